"""Transports of aiortc that outlive what a peer writes into its packets.

aiortc expects some mistakes. Others end the task that reads: the whole connection, and it is not even told (e.g. a
header extension of another length than its name says).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable

from aiortc import RTCDtlsTransport

log = logging.getLogger("qbcall.adapters.rtc")

NAMES = ("_handle_rtp_data", "_handle_rtcp_data")


def guard(transport: RTCDtlsTransport) -> None:
    """Leave out what cannot be read; again is no error."""
    for name in NAMES:
        if name not in vars(transport):
            setattr(transport, name, _forgiving(getattr(transport, name)))


def _forgiving(take: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    complained = False

    async def attempt(data: bytes, **named: int) -> None:
        nonlocal complained
        try:
            await take(data, **named)
        except Exception:  # whatever a stranger writes may break it anywhere
            if not complained:
                log.info("a packet that cannot be read is left out (told once)", exc_info=True)
            complained = True

    return attempt


# aiortc calls both on its transports by these names.
if not set(NAMES) <= set(RTCDtlsTransport._recv_next.__code__.co_names) or [
    list(inspect.signature(getattr(RTCDtlsTransport, name)).parameters) for name in NAMES
] != [["self", "data", "arrival_time_ms"], ["self", "data"]]:
    log.warning("aiortc reads packets otherwise than in aiortc 1.16: malformed ones may end a connection")
