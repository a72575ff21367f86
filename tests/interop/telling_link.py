"""qbcall's own chat link, which tells what it sends: an offline callee cannot."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from qbcall.adapters.xmpp import XmppLink
from qbcall.core.model import CallHead, User
from qbcall.core.signals import Signal
from tests.interop.heard import Heard


@dataclass(frozen=True, slots=True)
class Sent:
    """One signal that went out."""

    to: User
    head: CallHead
    signal: Signal
    at: float
    """Seconds on the event loop's clock."""


class TellingLink:
    """Satisfies `qbcall.adapters.ports.ChatLink`."""

    def __init__(self, link: XmppLink, sent: Heard[Sent]) -> None:
        self.link = link
        """What it speaks for."""
        self._sent = sent
        self.dial = link.dial
        self.drop = link.drop
        self.close = link.close

    def send(self, to: User, head: CallHead, signal: Signal, ticket: int | None = None) -> None:
        """Send a signal, and tell it."""
        self._sent.add(Sent(to, head, signal, asyncio.get_running_loop().time()))
        self.link.send(to, head, signal, ticket)
