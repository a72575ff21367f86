"""A connection that is made while the call rings: nothing is sent and nothing delivered until it is started."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import NoReturn

from aiortc import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from qbcall.adapters.rtc_encoder import SharedStream
from qbcall.adapters.rtc_receive import SUITED, Buffer
from qbcall.adapters.rtc_sender import ENCODES_ONCE
from qbcall.adapters.rtc_share import Share, Take, Terms
from qbcall.adapters.rtc_tracks import OutgoingTrack
from qbcall.adapters.rtc_viewer import Viewer
from qbcall.core.model import MediaKind
from qbcall.media.encoded import EncodedFrame
from qbcall.media.frames import Frame

PATIENCE = 2.0
"""Seconds that an early offer or answer waits for STUN and TURN servers: no candidates follow it."""
KEPT = {MediaKind.AUDIO: 50, MediaKind.VIDEO: 300}
"""Packets that the caller keeps: about a second."""
HOLDS = ENCODES_ONCE and SUITED
"""Whether aiortc takes what it sends, and gives what it receives, as we know it: else it cannot be kept from it."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """In place of what is sent."""

    kind: MediaKind

    def share(self, codec: RTCRtpCodecParameters, terms: Terms, take: Take) -> Share:
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

    def prepare(self, codec: RTCRtpCodecParameters) -> None:
        """See `OutgoingTrack`; not before it is released."""
        if self._released.is_set():
            super().prepare(codec)

    async def encoded(self, codec: RTCRtpCodecParameters) -> NoReturn:
        """See `OutgoingTrack`."""
        await self._released.wait()
        await super().encoded(codec)

    def stop(self) -> None:
        """See `OutgoingTrack`."""
        super().stop()
        self._released.set()


class Kept:
    """Keeps the last packets until they are let through: who accepts sends at once, and its accept may come later.

    Else the picture would begin a round trip later: its first, complete one would be lost.
    """

    def __init__(self, kind: MediaKind, buffer: Buffer) -> None:
        self._buffer = buffer
        self._packets: deque[RtpPacket] | None = deque(maxlen=KEPT[kind])

    def release(self) -> None:
        """Let them through, and from now on all."""
        packets, self._packets = self._packets or (), None
        for packet in packets:
            self._buffer.add(packet)

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """See `rtc_receive.Buffer`."""
        if self._packets is None:
            return self._buffer.add(packet)
        self._packets.append(packet)
        return False, None

    def wake(self) -> None:
        """See `rtc_receive.Intake`."""
        if self._packets is None:
            self._buffer.wake()

    def close(self) -> None:
        """See `rtc_receive.Intake`."""
        self._packets = None
        self._buffer.close()


class Gate:
    """Stands before who takes what is received."""

    def __init__(self, viewer: Viewer) -> None:
        """`viewer`: who is expected to be behind it."""
        self._behind: Viewer | None = None
        self.viewer = replace(
            viewer,
            deliver=self._deliver,
            wants=self._wants,
            passed=self._passed,
            records=self._records,
            record=self._record,
        )
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

    def _records(self, kind: MediaKind) -> bool:
        return self._behind is not None and self._behind.records(kind)

    def _record(self, frame: EncodedFrame) -> bool:
        return self._behind is not None and self._behind.record(frame)
