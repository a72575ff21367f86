"""An in-process chat link, for demos and tests: signals are handed over as values; media stays real."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from qbcall.core.inputs import Arrived, Confirmed, LinkBroke, LinkUp, Post
from qbcall.core.model import CallHead, Device, User
from qbcall.core.signals import Signal
from qbcall.errors import LinkDown

Tap = Callable[[User, User, Signal], int]
"""How many times a signal of the first user to the second one arrives; 0 loses it."""


def _once(sender: User, to: User, signal: Signal) -> int:
    return 1


class MemoryHub:
    """Where the links of one process meet, in place of a server.

    As with headline messages on a server (RFC 6121, section 8.5.2.1.1), a signal reaches every device of a user that
    is online, in the order of sending, and a user who is not online is silence. All links belong to one event loop.
    """

    def __init__(self, tap: Tap | None = None) -> None:
        self._tap = tap or _once
        self._links: dict[User, list[MemoryLink]] = {}
        self._numbers = itertools.count(1)

    def link(self, me: User, post: Post) -> MemoryLink:
        """A chat link of a user, not yet online; several of one user are several devices."""
        return MemoryLink(self, me, Device(f"{me}/{next(self._numbers)}"), post)

    def join(self, link: MemoryLink) -> None:
        """The link is online from now on."""
        links = self._links.setdefault(link.me, [])
        if link not in links:
            links.append(link)

    def part(self, link: MemoryLink) -> bool:
        """The link is offline from now on; False if it was already."""
        links = self._links.get(link.me, [])
        if link not in links:
            return False
        links.remove(link)
        return True

    def online(self, user: User) -> tuple[MemoryLink, ...]:
        """The devices of a user that are online."""
        return tuple(self._links.get(user, ()))

    def carry(self, sender: MemoryLink, to: User, signal: Signal) -> None:
        """Hand a signal to all devices of a user, as often as the tap says."""
        arrived = Arrived(sender=sender.me, device=sender.device, signal=signal)
        for _ in range(self._tap(sender.me, to, signal)):
            for link in tuple(self._links.get(to, ())):
                link.post(arrived)


class MemoryLink:
    """One device of one user; satisfies `qbcall.adapters.ports.ChatLink`."""

    def __init__(self, hub: MemoryHub, me: User, device: Device, post: Post) -> None:
        self.me = me
        """Whose link it is."""
        self.device = device
        """The same each time it dials."""
        self.post = post
        """Where facts are told."""
        self._hub = hub
        self._dialing: asyncio.Handle | None = None

    def dial(self) -> None:
        """Go online; `LinkUp` is posted in the next round of the event loop."""
        self._stop_dialing()
        self._dialing = asyncio.get_running_loop().call_soon(self._arrive)

    def _arrive(self) -> None:
        self._dialing = None
        self._hub.join(self)
        self.post(LinkUp(device=self.device))

    def drop(self) -> None:
        """Go offline; nothing is posted for it."""
        self._stop_dialing()
        self._hub.part(self)

    def cut(self) -> None:
        """Break the link as a network would: `LinkBroke` is posted if it was online."""
        if self._hub.part(self):
            self.post(LinkBroke(reason=LinkDown("the link was cut"), fatal=False))

    def send(self, to: User, head: CallHead, signal: Signal, ticket: int | None = None) -> None:
        """Send a signal to all devices of a user: it arrives, and is confirmed, in the next round of the loop."""
        asyncio.get_running_loop().call_soon(self._send, to, signal, ticket)

    async def close(self) -> None:
        """Go offline."""
        self.drop()

    def _send(self, to: User, signal: Signal, ticket: int | None) -> None:
        self._hub.carry(self, to, signal)
        if ticket is not None and self in self._hub.online(self.me):
            self.post(Confirmed(ticket=ticket))

    def _stop_dialing(self) -> None:
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
