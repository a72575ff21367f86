"""A Matroska file of frames that were encoded by somebody else.

FFmpeg puts H.264 into the form of the file by itself when it knows the parameter sets; it finds them in the first
picture, which is read as if it were a file. Each cluster of frames is written as a whole: a file that was cut short
plays up to its last one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import OutputContainer
from av.stream import Stream

from qbcall.core.model import MediaKind
from qbcall.media.encoded import MOST_PIXELS, EncodedFrame

TICK = Fraction(1, 1000)
"""Seconds: Matroska counts milliseconds."""
OPTIONS = {
    "cluster_time_limit": "500",  # milliseconds that a crash may cost
    "flush_packets": "1",  # clusters go to the file, and do not wait for more
    "max_interleave_delta": "500000",  # microseconds that one kind waits for the other, which may be silent
}
SOUND: Mapping[str, tuple[str, int, str]] = {
    "OPUS": ("libopus", 48_000, "stereo"),
    "PCMU": ("pcm_mulaw", 8000, "mono"),
    "PCMA": ("pcm_alaw", 8000, "mono"),
    "G722": ("g722", 16_000, "mono"),
}
"""Codecs of sound as FFmpeg calls them, with rate and layout. What comes over RTP is always what is named here
(RFC 7587, section 7; RFC 3551, section 4.5)."""


class Track:
    """What a file has to know of one kind before it begins."""

    def __init__(self, frame: EncodedFrame) -> None:
        """Learn it from a frame that a decoder can begin with.

        Raises:
            ValueError, av.FFmpegError: it cannot be recorded.
        """
        self.codec = frame.codec
        if frame.codec not in _TRACKS:
            raise ValueError(f"{frame.codec} cannot be recorded")
        self.add_to: Callable[[OutputContainer], Stream] = _TRACKS[frame.codec](frame)
        """Add a stream of this form to a file."""
        with av.open(io.BytesIO(), "w", format="matroska") as trial:
            self.add_to(trial)  # PyAV refuses what FFmpeg would take, e.g. PCMU: not once a file has begun


def _sound(frame: EncodedFrame) -> Callable[[OutputContainer], Stream]:
    name, rate, layout = SOUND[frame.codec]
    # An encoder that gets nothing to do: it writes what the head of the file says about it.
    return lambda container: container.add_stream(name, rate=rate, layout=layout)


def _vp8(frame: EncodedFrame) -> Callable[[OutputContainer], Stream]:
    width, height = frame.size or (0, 0)
    _check(width, height)
    return lambda container: container.add_mux_stream("vp8", width=width, height=height)


def _h264(frame: EncodedFrame) -> Callable[[OutputContainer], Stream]:
    alone = av.open(
        io.BytesIO(frame.data),
        format="h264",
        stream_options=[{"max_pixels": str(MOST_PIXELS)}],  # type: ignore[list-item]  # PyAV's stubs say text
    )
    template = alone.streams.video[0]
    _check(template.width, template.height)
    if not template.codec_context.extradata:
        raise ValueError("a picture without parameter sets")
    # The stream is part of what was opened: that must live as long.
    return lambda container: container.add_stream_from_template(alone.streams.video[0], opaque=True)


def _check(width: int, height: int) -> None:
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError(f"a picture of {width}x{height}")


_TRACKS = {**dict.fromkeys(SOUND, _sound), "VP8": _vp8, "H264": _h264}


class MatroskaFile:
    """A file that is being written."""

    def __init__(self, path: Path, tracks: Mapping[MediaKind, Track], start: float) -> None:
        """Create it.

        Args:
            path: where; what is there is overwritten.
            tracks: what it holds.
            start: the time at which it begins.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        self.codecs = {kind: track.codec for kind, track in tracks.items()}
        """By kind."""
        self.unusable = 0
        """Frames that were left out, because they are not what they say."""
        self._start = start
        self._container: OutputContainer = av.open(path, "w", format="matroska", container_options=OPTIONS)
        order = [kind for kind in (MediaKind.VIDEO, MediaKind.AUDIO) if kind in tracks]  # players show the first
        self._streams = {kind: tracks[kind].add_to(self._container) for kind in order}
        for stream in self._streams.values():
            stream.time_base = TICK
        self._last = dict.fromkeys(tracks, -1)
        self._container.start_encoding()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, frame: EncodedFrame, time: float) -> None:
        """Add a frame of a codec that the file has; times go up, or are made to.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        packet = av.Packet(frame.data)
        tick = self._last[frame.kind] = max(round((time - self._start) * 1000), self._last[frame.kind] + 1)
        packet.pts = packet.dts = tick
        packet.time_base = TICK
        packet.is_keyframe = frame.keyframe
        packet.stream = self._streams[frame.kind]
        try:
            self._container.mux_one(packet)
        except av.InvalidDataError:
            self.unusable += 1

    def close(self) -> None:
        """Finish it.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        self._container.close()
