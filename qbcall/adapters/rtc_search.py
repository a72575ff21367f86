"""What the paths of one peer connection have in common: where they may look, and who is told what they find."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiortc.rtcicetransport
from aioice.candidate import Candidate
from aioice.ice import Connection
from aiortc import RTCIceServer

from qbcall.adapters.rtc_addresses import IceSettings, local_addresses

if TYPE_CHECKING:
    from qbcall.adapters.rtc_path import Path, PathProtocol


class Search:
    """Of one peer connection."""

    def __init__(
        self,
        ice: IceSettings,
        kind: type[Path],
        found: Callable[[Path, Candidate], None],
        heard_again: Callable[[], None],
        *,
        socket: Callable[[Path], PathProtocol] | None = None,
    ) -> None:
        self.ice = ice
        self.socket = socket
        """Makes each socket of a path, and each address at a TURN server; None: they are as usual."""
        self._kind = kind
        self.servers: list[RTCIceServer] = []
        """None: paths ask them."""
        self.addresses = local_addresses(ice)
        """Of this machine, that may be offered. Found once: it takes as long as a check on a local path."""
        self.found = found
        """Told of each candidate, the addresses of this machine too."""
        self.heard_again = heard_again
        """Told when a peer is heard that was lost."""
        self.carries = False
        """Both sides said that their checks may carry the DTLS handshake; see `rtc_handshake`."""
        self.paths: list[Path] = []

    @property
    def gathering(self) -> bool:
        """Whether more candidates may be found."""
        return any(path.gathering for path in self.paths)

    @property
    def heard_at(self) -> float | None:
        """When the peer was last heard, in seconds of the event loop's clock; None: nobody is connected."""
        return max((path.heard_at for path in self.paths if path.heard_at is not None), default=None)

    async def gathered(self, patience: float) -> None:
        """Wait until no more candidates may be found, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                for path in self.paths:
                    await path.gathered()

    def stop(self) -> None:
        """Wait for no server any more."""
        for path in self.paths:
            path.stop_gathering()

    def path(self, **named: Any) -> Path:
        """One more; see `aioice.Connection` for what is named."""
        path = self._kind(self, **named)
        self.paths.append(path)
        return path

    @contextmanager
    def here(self) -> Iterator[None]:
        """Transports that aiortc makes within this context are paths of this search."""
        token = _search.set(self)
        try:
            yield
        finally:
            _search.reset(token)


_search: ContextVar[Search | None] = ContextVar("qbcall_search", default=None)


def _connection(**named: Any) -> Connection:
    """Replaces aiortc's choice: others in the process get what they always did."""
    search = _search.get()
    return Connection(**named) if search is None else search.path(**named)


# aiortc has no setting for the transport it makes: one name is replaced here, and nowhere else.
if vars(aiortc.rtcicetransport).get("Connection") is not Connection:
    raise ImportError("transports are made otherwise than in aiortc 1.16: calls would break")
aiortc.rtcicetransport.Connection = _connection  # type: ignore[assignment,attr-defined]
