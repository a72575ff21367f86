"""How a peer connection reaches its peer where aiortc or aioice are others than we know: as they do it by themselves.

Then an offer waits for every STUN and TURN server, a lost peer is noticed by the packets that do not come, and a path
that was lost for long does not come back: a fresh connection takes its place.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import aioice.ice
from aiortc import RTCIceServer, RTCPeerConnection
from aiortc.stats import RTCTransportStats

from qbcall.adapters.rtc_addresses import IceSettings, local_addresses
from qbcall.adapters.rtc_settled import settled
from qbcall.adapters.rtc_stats import pick
from qbcall.errors import InvalidArgument


class StockSearch:
    """Stands in for `rtc_search.Search`; see there."""

    gathering = False
    carries = False

    def __init__(self, ice: IceSettings, peer: Callable[[], RTCPeerConnection]) -> None:
        """`peer` is the connection, once it is made.

        Raises:
            InvalidArgument: the settings name local addresses, and this aioice cannot be told which to use.
        """
        if ice.addresses and not CHOOSES:
            raise InvalidArgument(f"addresses: aioice {aioice.__version__} cannot be told which to offer")
        self.servers = [RTCIceServer(list(one.urls), one.username, one.credential) for one in ice.servers]
        self.addresses = local_addresses(ice)
        self._peer = peer
        self._packets = 0
        self._heard_at: float | None = None

    @property
    def heard_at(self) -> float | None:
        """When more packets of the peer were there than at the last look."""
        receivers = self._peer().getReceivers()
        told = [one for receiver in receivers for one in pick(settled(receiver.getStats()), RTCTransportStats)]
        packets = sum(one.packetsReceived for one in told)
        if packets != self._packets:
            self._packets = packets
            self._heard_at = asyncio.get_running_loop().time()
        return self._heard_at

    async def gathered(self, patience: float) -> None:
        """An offer or answer waited for all already."""

    def stop(self) -> None:
        """Nothing can be stopped."""

    @contextmanager
    def here(self) -> Iterator[None]:
        """Within this context, and in tasks made in it, only these addresses are offered."""
        token = _offered.set(self.addresses)
        try:
            yield
        finally:
            _offered.reset(token)


_offered: ContextVar[list[str] | None] = ContextVar("qbcall_offered_addresses", default=None)
_all_but_loopback = aioice.ice.get_host_addresses


def _chosen(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """Replaces aioice's choice: the addresses of the present context."""
    offered = _offered.get()
    return _all_but_loopback(use_ipv4, use_ipv6) if offered is None else offered


# aioice has no setting for its addresses.
CHOOSES = list(inspect.signature(_all_but_loopback).parameters) == ["use_ipv4", "use_ipv6"]
if CHOOSES:
    aioice.ice.get_host_addresses = _chosen
