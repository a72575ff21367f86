"""A connection that is made while the call rings: nothing is sent and nothing delivered until it is started."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiortc import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame

from qbcall.adapters.rtc_decoding import DecoderThread
from qbcall.adapters.rtc_encoder import SharedStream
from qbcall.adapters.rtc_receive import SUITED
from qbcall.adapters.rtc_sender import ENCODES_ONCE
from qbcall.adapters.rtc_share import Share, Terms
from qbcall.adapters.rtc_tracks import OutgoingTrack
from qbcall.adapters.rtc_viewer import Viewer
from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame

PATIENCE = 2.0
"""Seconds that an early offer or answer waits for STUN and TURN servers: no candidates follow it."""
HOLDS = ENCODES_ONCE and SUITED
"""Whether aiortc takes what it sends, and gives what it receives, as we know it: else it cannot be kept from it."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """In place of what is sent."""

    kind: MediaKind

    def share(self, codec: RTCRtpCodecParameters, terms: Terms) -> Share:
        """Never asked for."""
        raise AssertionError("nothing is sent before the track is released")


class HeldTrack(OutgoingTrack):
    """Sends nothing until it is released: its source may not even be open."""

    def __init__(self, kind: MediaKind) -> None:
        super().__init__(Nothing(kind))
        self._released = asyncio.Event()

    def release(self, stream: SharedStream) -> None:
        """Send this from now on."""
        self._stream = stream
        self._released.set()

    async def encoded(self, codec: RTCRtpCodecParameters) -> RTCEncodedFrame:
        """See `OutgoingTrack`."""
        await self._released.wait()
        return await super().encoded(codec)

    def stop(self) -> None:
        """See `OutgoingTrack`."""
        super().stop()
        self._released.set()


class Gate:
    """Stands before who takes what is received."""

    def __init__(self, thread: DecoderThread) -> None:
        self._behind: Viewer | None = None
        self.viewer = Viewer(self._deliver, self._wants, self._passed, thread)
        """Takes nothing until the gate is open."""

    def open(self, viewer: Viewer) -> None:
        """Let everything through from now on."""
        self._behind = viewer

    def _deliver(self, frame: Frame) -> None:
        if self._behind is not None:
            self._behind.deliver(frame)

    def _wants(self, kind: MediaKind) -> bool:
        return self._behind is not None and self._behind.wants(kind)

    def _passed(self, kind: MediaKind) -> None:
        if self._behind is not None:
            self._behind.passed(kind)
