"""A bad network on request: the sockets of a call lose, delay and reorder what they send and receive.

Also relayed addresses, with what goes through them; not what this machine and the TURN server say to each other.
Without a request there are plain sockets: see `Search`.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import random
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from aioice.ice import StunProtocol
from aioice.stun import Message

from qbcall.adapters.rtc_path import Path, PathProtocol
from qbcall.core.impairment import Crossing, Impairment

FIRST_OF_MEDIA, LAST_OF_MEDIA = 128, 191
"""First byte of a datagram of RTP and RTCP (RFC 7983, section 7)."""


class ImpairedNetwork:
    """The network of one participant in one call: all its sockets share a line in each direction."""

    def __init__(self, impairment: Impairment) -> None:
        self._began: float | None = None
        """When the first packet of media passed by, on the event loop's clock."""
        self._lines = {
            name: _Line(Crossing(conditions, random.Random(_seed(impairment, name)).random))  # noqa: S311 - no secret
            for name, conditions in (("up", impairment.up), ("down", impairment.down))
        }

    def socket(self, path: Path) -> PathProtocol:
        """A socket on this network."""
        return ImpairedProtocol(path, self)

    def carry(self, direction: str, data: bytes, arrive: Callable[[], None]) -> None:
        """Have a datagram arrive when it does, if it does; at once if nothing holds it up."""
        now = asyncio.get_running_loop().time()
        if self._began is None and data and FIRST_OF_MEDIA <= data[0] <= LAST_OF_MEDIA:
            self._began = now
        self._lines[direction].carry(now, len(data), self._began, arrive)


def _seed(impairment: Impairment, direction: str) -> str | None:
    return None if impairment.seed is None else f"{impairment.seed} {direction}"


class _Line:
    """One direction, and the datagrams that are on their way."""

    def __init__(self, crossing: Crossing) -> None:
        self._crossing = crossing
        self._order = count()
        self._on_their_way: list[tuple[float, int, Callable[[], None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def carry(self, now: float, size: int, began: float | None, arrive: Callable[[], None]) -> None:
        at = self._crossing.arrival(now, size, began)
        if at is None:
            return
        if at <= now and not self._on_their_way:
            arrive()
            return
        heapq.heappush(self._on_their_way, (at, next(self._order), arrive))
        self._wait()

    def _wait(self) -> None:
        """For the next one to arrive."""
        first = self._on_their_way[0][0]
        if self._timer is not None:
            if self._timer.when() <= first:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(first, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        try:
            while self._on_their_way and self._on_their_way[0][0] <= now:
                heapq.heappop(self._on_their_way)[2]()
        finally:
            if self._on_their_way:
                self._wait()


class ImpairedProtocol(PathProtocol):
    """A socket on a bad network. What is on its way when it is closed is lost."""

    def __init__(self, path: Path, network: ImpairedNetwork) -> None:
        super().__init__(path)
        self._network = network
        self._lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._lost = True
        super().connection_lost(exc)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """See `asyncio.DatagramProtocol`."""
        assert isinstance(data, bytes), "datagrams are no text"
        self._network.carry("down", data, partial(self._take, data, addr))

    def send_now(self, data: bytes, addr: tuple[str, int]) -> None:
        """Send media."""
        self._network.carry("up", data, partial(self._send, data, addr))

    def send_stun(self, message: Message, addr: tuple[str, int]) -> None:
        """Send a check or its answer."""
        data = bytes(message)
        self._network.carry("up", data, partial(self._send, data, addr))

    def _take(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if not self._lost:
            super().datagram_received(data, addr)

    def _send(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._lost:
            self.transport.sendto(data, addr)


# aioice sends in these two ways only; both are replaced, since its sockets offer no other place.
_SENDING = {
    "send_data": (["self", "data", "addr"], {"transport", "sendto"}),
    "send_stun": (["self", "message", "addr"], {"transport", "sendto"}),
}


def _is_known(name: str) -> bool:
    parameters, names = _SENDING[name]
    function = vars(StunProtocol).get(name)
    return (
        inspect.isfunction(function)
        and list(inspect.signature(function).parameters) == parameters
        and names <= set(function.__code__.co_names)
    )


_SENDERS = {
    name
    for name, function in vars(StunProtocol).items()
    if inspect.isfunction(function) and "sendto" in function.__code__.co_names
}
if not all(map(_is_known, _SENDING)) or set(_SENDING) != _SENDERS:
    raise ImportError("aioice.ice.StunProtocol sends otherwise than in aioice 0.13: a network cannot be impaired")
