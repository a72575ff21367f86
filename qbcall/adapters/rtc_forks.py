"""One offer may be answered by several devices of a user; only the one whose answer was taken is listened to.

A caller that has no answer yet cannot tell them apart: aioice answers the connectivity checks of all, and hands on
media of any sender. So the DTLS hello of a device that accepted a moment too late would get into the handshake with
the other, and break it. A check names the username fragments of both sides (RFC 8445, section 7.3): they tell senders
apart here.
"""

from __future__ import annotations

import inspect
from collections import deque
from typing import Any, TypeAlias

import aioice.ice
import aiortc.rtcicetransport
from aioice.ice import Connection, StunProtocol
from aioice.stun import Message

Address: TypeAlias = tuple[str, int]

LAST_OF_STUN = b"\x03"
"""First byte of a datagram: up to here it is STUN's (RFC 7983, section 7)."""
MOST_WAITING = 32
"""Datagrams kept until the answer is there; a DTLS hello and its repetitions are a few."""


class OneDeviceConnection(Connection):
    """Takes media of the peer whose answer was taken only. A peer that checks nothing (ICE lite) is believed."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._fragments: dict[Address, str] = {}
        """Who proved before the answer that it has the offer, and what it is called."""
        self._waiting: deque[tuple[Address, bytes, int]] = deque(maxlen=MOST_WAITING)

    def take(self, sender: Address, data: bytes, component: int) -> None:
        """Media came; before the answer it has to wait."""
        if self.remote_username is None:
            self._waiting.append((sender, data, component))
        elif self._fragments.get(sender, self.remote_username) == self.remote_username:
            self.data_received(data, component)

    def request_received(self, message: Message, addr: Address, protocol: StunProtocol) -> None:
        """A check came."""
        super().request_received(message, addr, protocol)
        if self._early_checks and self._early_checks[-1][0] is message:  # it was authentic
            self._fragments[addr] = message.attributes["USERNAME"].partition(":")[2]

    async def connect(self) -> None:
        """The answer is there."""
        early = list(self._waiting) if self.remote_username is not None else []
        self._waiting.clear()
        for one in early:
            self.take(*one)
        await super().connect()


class ForkingProtocol(StunProtocol):
    """Tells the connection who sent what."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """See `asyncio.DatagramProtocol`."""
        receiver = self.receiver
        if isinstance(receiver, OneDeviceConnection) and isinstance(data, bytes) and data[:1] > LAST_OF_STUN:
            receiver.take((addr[0], addr[1]), data, self.local_candidate.component)
        else:
            super().datagram_received(data, addr)


# Neither aiortc nor aioice has a setting for the classes it makes: two names are replaced here, and nowhere else.
_KNOWN = (
    list(inspect.signature(StunProtocol.datagram_received).parameters) == ["self", "data", "addr"],
    list(inspect.signature(Connection.request_received).parameters) == ["self", "message", "addr", "protocol"],
    list(inspect.signature(Connection.data_received).parameters) == ["self", "data", "component"],
    "_early_checks" in Connection.__init__.__code__.co_names,
    vars(aiortc.rtcicetransport).get("Connection") is Connection,
)
if not all(_KNOWN):
    raise ImportError("aioice receives otherwise than in aioice 0.13: devices that accept at once would be mixed up")
aioice.ice.StunProtocol = ForkingProtocol  # type: ignore[misc]
aiortc.rtcicetransport.Connection = OneDeviceConnection  # type: ignore[attr-defined]
