"""How signals look on the wire: pure translation between XML and `core.signals`, no rules of calls, no timers."""

from __future__ import annotations

from typing import Protocol
from xml.etree.ElementTree import Element

from qbcall.core.model import CallHead, User
from qbcall.core.signals import Signal


class Dialect(Protocol):
    """One way to write calls in XMPP, seen from one account."""

    def decode(self, message: Element) -> Signal | None:
        """The signal in a message stanza; None: the message is none of this dialect's.

        Raises:
            Malformed: it is a signal of this dialect, but breaks its rules; names the field.
        """

    def encode(self, to: User, head: CallHead, signal: Signal) -> Element:
        """The complete message stanza, addressed to all devices of the user."""

    def leads(self, a: User, b: User) -> bool:
        """Whether `a` offers where two users are equal."""

    def user(self, text: str) -> User:
        """The user that a person means by `text`.

        Raises:
            InvalidArgument: it cannot be a user of this account's calls.
        """
