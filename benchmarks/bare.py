"""The yardstick: two aiortc peers in one process, joined without any signalling."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from unittest.mock import patch

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack


class Bare:
    """A pair of peers."""

    def __init__(self, addresses: Sequence[str], servers: Sequence[str] = ()) -> None:
        self._addresses = tuple(addresses)
        self._servers = [RTCIceServer(url) for url in servers]

    async def connect(self) -> float:
        """Seconds from the moment the answerer has the offer to both connected."""
        with patch("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: self._addresses):
            caller, callee = self._peer(), self._peer()
            connected = [self._connected(peer) for peer in (caller, callee)]
            await caller.setLocalDescription(await caller.createOffer())
            started = perf_counter()
            await callee.setRemoteDescription(caller.localDescription)
            await callee.setLocalDescription(await callee.createAnswer())
            await caller.setRemoteDescription(callee.localDescription)
            await asyncio.gather(*connected)
        taken = perf_counter() - started
        await asyncio.gather(caller.close(), callee.close())
        return taken

    def _peer(self) -> RTCPeerConnection:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=self._servers))
        peer.addTrack(AudioStreamTrack())
        peer.addTrack(VideoStreamTrack())
        return peer

    @staticmethod
    def _connected(peer: RTCPeerConnection) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def changed() -> None:
            if peer.connectionState == "connected" and not future.done():
                future.set_result(None)

        peer.on("connectionstatechange", changed)
        return future
