"""What carries a peer connection: qbcall's own parts, or aiortc's where it or aioice are others than we know.

Each part of ours that reaches into a library refuses to be imported where it would do harm. Calls work then all the
same, with fewer promises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any, Protocol

from aioice import Candidate
from aiortc import RTCCertificate, RTCConfiguration, RTCIceServer, RTCPeerConnection

from qbcall.adapters.rtc_addresses import IceSettings
from qbcall.core.impairment import Impairment
from qbcall.errors import InvalidArgument

log = logging.getLogger("qbcall.adapters.rtc")


class Transport(Protocol):
    """Where a peer connection looks for its way; see `rtc_search.Search`."""

    carries: bool

    @property
    def servers(self) -> list[RTCIceServer]:
        """Those that aiortc is to ask by itself."""

    @property
    def addresses(self) -> list[str]:
        """Of this machine, that may be offered."""

    @property
    def gathering(self) -> bool:
        """Whether more candidates may be found."""

    @property
    def heard_at(self) -> float | None:
        """When the peer was last heard, in seconds of the event loop's clock; None: nobody is connected."""

    async def gathered(self, patience: float) -> None:
        """Wait until no more candidates may be found, at most so many seconds."""

    def stop(self) -> None:
        """Wait for no server any more."""

    def here(self) -> AbstractContextManager[None]:
        """What aiortc makes and gathers within this context is of this search."""


def instead(what: str, error: Exception) -> None:
    """Told once for each part that is not used."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiortc", "aioice"))
    log.warning("%s (%s): %s", what, libraries, error)


OWN_PATH = CLOSES = True
WHY_UNIMPAIRED = ""
try:
    from qbcall.adapters.rtc_lasting import LastingPath
    from qbcall.adapters.rtc_search import Search
except (ImportError, AttributeError) as error:
    from qbcall.adapters.rtc_stock_path import StockSearch

    OWN_PATH = False
    instead("calls connect later, and do not find a network again that was away for long", error)
try:
    from qbcall.adapters.rtc_closable import ClosablePeerConnection
except (ImportError, AttributeError) as error:
    CLOSES = False
    instead("a call that is closed while it connects may leave a task behind, and has other keys after a loss", error)
CARRIES = OWN_PATH and CLOSES
"""Whether checks of ICE can carry a DTLS handshake."""
if CARRIES:
    try:
        from qbcall.adapters.rtc_carrying import CarryingPath
        from qbcall.adapters.rtc_concurrent import ConcurrentPeerConnection
    except (ImportError, AttributeError) as error:
        CARRIES = False
        instead("media of a call comes a round trip later", error)
try:
    from qbcall.adapters.rtc_impaired import ImpairedNetwork
except (ImportError, AttributeError) as error:
    WHY_UNIMPAIRED = str(error)


def transport(
    ice: IceSettings,
    peer: Callable[[], RTCPeerConnection],
    found: Callable[[Any, Candidate], None],
    heard_again: Callable[[], None],
    network: ImpairedNetwork | None,
) -> Transport:
    """For one peer connection, that `peer` gives once it is made.

    `found` is told of the path and of each candidate of it, `heard_again` when a peer is heard that was lost.

    Raises:
        InvalidArgument: the settings ask for what this aioice cannot do.
    """
    if not OWN_PATH:
        return StockSearch(ice, peer)
    return Search(
        ice, CarryingPath if CARRIES else LastingPath, found, heard_again, socket=network.socket if network else None
    )


def peer_connection(configuration: RTCConfiguration, certificate: RTCCertificate | None) -> RTCPeerConnection:
    """One that leaves nothing behind, and has these keys."""
    if not CLOSES:
        return RTCPeerConnection(configuration)
    return (ConcurrentPeerConnection if CARRIES else ClosablePeerConnection)(configuration, certificate)


def impaired(impairment: Impairment) -> ImpairedNetwork:
    """A bad network, on request.

    Raises:
        InvalidArgument: this aioice does not let its packets be touched.
    """
    if WHY_UNIMPAIRED or not OWN_PATH:
        raise InvalidArgument(f"impairment: {WHY_UNIMPAIRED or 'the path of this aioice is not our own'}")
    return ImpairedNetwork(impairment)
