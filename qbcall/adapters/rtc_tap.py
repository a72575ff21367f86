"""Hands on what comes in as it came, to whoever records it."""

from __future__ import annotations

import asyncio
from itertools import count

from qbcall.adapters.rtc_format import Format
from qbcall.adapters.rtc_keyframes import size_of
from qbcall.adapters.rtc_viewer import Received
from qbcall.core.model import MediaKind
from qbcall.media.encoded import EncodedFrame

_numbers = count(1)


class Tap:
    """Of one stream, from a complete picture on."""

    def __init__(self, received: Received, format: Format, ssrc: int) -> None:
        self.ssrc = ssrc
        """Of the stream."""
        self.behind = received.kind is MediaKind.VIDEO
        """A complete picture is needed."""
        self._begun = not self.behind
        self._received = received
        self._format = format
        self._number = next(_numbers)
        self._loop = asyncio.get_running_loop()

    def take(self, payload_type: int, timestamp: int, data: bytes) -> None:
        """The next frame of the stream."""
        codec = self._format.codecs[payload_type]
        video = self._received.kind is MediaKind.VIDEO
        complete = not video or self._format.begins(payload_type, data)
        self._begun |= complete
        if not self._begun:
            return
        frame = EncodedFrame(
            kind=self._received.kind,
            codec=codec.name.upper(),
            data=data,
            stream=self._number,
            timestamp=timestamp,
            clock_rate=codec.clockRate,
            arrival=self._loop.time(),
            captured=self._received.clock.at(self.ssrc, timestamp, codec.clockRate),
            keyframe=complete,
            size=size_of(codec.name, data) if video and complete else None,
        )
        self.behind = self._received.record(frame)
