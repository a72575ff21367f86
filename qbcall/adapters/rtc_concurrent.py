"""A peer connection that begins with DTLS while ICE looks for a path, where its paths carry the handshake.

aiortc starts DTLS when ICE is done. Here one start stands for both; what is told of each stays true: ICE is completed
when a pair of addresses is selected, and the connection is connected when both are done.
"""

from __future__ import annotations

import asyncio
import inspect

from aiortc import RTCDtlsTransport, RTCIceTransport, RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsParameters
from aiortc.rtcicetransport import RTCIceParameters

from qbcall.adapters.rtc_carrying import CarryingPath
from qbcall.adapters.rtc_closable import ClosablePeerConnection
from qbcall.adapters.rtc_false_start import start_early


class ConcurrentPeerConnection(ClosablePeerConnection):
    """See there."""

    async def _RTCPeerConnection__connect(self) -> None:  # aiortc's private name, checked in `rtc_closable`
        remote = self._RTCPeerConnection__remoteDtls  # type: ignore[attr-defined]  # checked below
        for one in self.getTransceivers():
            dtls = one.receiver.transport
            path = dtls.transport._connection
            if (
                one in remote
                and isinstance(path, CarryingPath)
                and path.carries
                and "start" not in vars(dtls.transport)
            ):
                self._start_with(dtls.transport, dtls, remote[one])
        await super()._RTCPeerConnection__connect()

    def _start_with(self, ice: RTCIceTransport, dtls: RTCDtlsTransport, remote: RTCDtlsParameters) -> None:
        start = ice.start

        async def both(remoteParameters: RTCIceParameters) -> None:
            """Both in one; DTLS goes first, and here: what is behind its end must find who receives it."""
            if (ice.state, dtls.state) != ("new", "new"):
                await start(remoteParameters)
                return
            finding = asyncio.ensure_future(start(remoteParameters))
            self._connecting.add(finding)
            finding.add_done_callback(self._found)
            start_early(dtls)
            try:
                await dtls.start(remote)
            except BaseException:
                finding.cancel()
                raise
            await finding

        ice.start = both  # type: ignore[method-assign]

    def _found(self, finding: asyncio.Future[None]) -> None:
        self._connecting.discard(finding)
        if not finding.cancelled():
            finding.exception()  # whoever waits for it is told, and if nobody does any more it is no trouble


_CONNECT = vars(RTCPeerConnection)["_RTCPeerConnection__connect"].__code__.co_names
_KNOWN = (
    {"start", "state", "transport", "_RTCPeerConnection__remoteDtls"} <= set(_CONNECT),
    *(
        inspect.iscoroutinefunction(one.start)
        and list(inspect.signature(one.start).parameters)[1:] == ["remoteParameters"]
        for one in (RTCIceTransport, RTCDtlsTransport)
    ),
)
if not all(_KNOWN):
    raise ImportError("aiortc starts DTLS otherwise than in aiortc 1.16: it cannot begin before ICE is done")
