"""Frames, and those who make and take them. No rules of calls, no aiortc: what moves here are `av` frames.

A `Source` is what one participant sends in a call: sound, picture, or both. It is opened before anything is sent, so
that a missing file or camera is an error of the call that named it. A `Sink` takes what was received, from all peers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import av

from qbcall.core.model import MediaKind, User
from qbcall.errors import InvalidArgument

Frame = av.VideoFrame | av.AudioFrame
"""Video: any pixel format av knows. Audio: any format, layout and rate av knows."""

AUDIO_RATE = 48_000
"""Samples per second of everything that is sent (the clock rate of Opus, RFC 7587)."""
AUDIO_BLOCK = 960
"""Samples in one block that is sent: 20 ms."""


class SourceEnded(Exception):
    """The source has no more frames, e.g. a file that is played once."""


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """Size and speed of the picture that is sent. QuickBlox's default: 640x480 at 30 frames per second."""

    width: int = 640
    """Pixels, even, 16 to 3840."""
    height: int = 480
    """Pixels, even, 16 to 2160."""
    fps: int = 30
    """Frames per second, 1 to 60."""

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("width", self.width, 16, 3840),
            ("height", self.height, 16, 2160),
            ("fps", self.fps, 1, 60),
        ):
            if type(value) is not int or not low <= value <= high:
                raise InvalidArgument(f"{name} must be a whole number from {low} to {high}, not {value!r}")
            if name != "fps" and value % 2:
                raise InvalidArgument(f"{name} must be even, not {value}")


MAX_BANDWIDTH = 1_000_000
"""Kilobit per second; more than that is no limit."""


def check_bandwidth(value: int) -> None:
    """See whether this can be a limit of what is sent, in kbit/s; 0 is none, as in QuickBlox.

    Raises:
        InvalidArgument: it is negative, too large, or no whole number.
    """
    if type(value) is not int or not 0 <= value <= MAX_BANDWIDTH:
        raise InvalidArgument(f"bandwidth must be 0 (no limit) to {MAX_BANDWIDTH} kbit/s, not {value!r}")


class FrameSource(Protocol):
    """One kind of media, produced in real time."""

    async def read(self) -> Frame:
        """The next frame, when it is due. Time stamps do not matter: the sender sets its own.

        Raises:
            SourceEnded: there are no more frames.
        """

    async def close(self) -> None:
        """Let go of the file or device. Called once."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one participant sends."""

    audio: FrameSource | None = None
    video: FrameSource | None = None

    def of(self, kind: MediaKind) -> FrameSource | None:
        """The part of this kind."""
        return self.audio if kind is MediaKind.AUDIO else self.video

    async def close(self) -> None:
        """Close both parts."""
        for part in (self.audio, self.video):
            if part is not None:
                await part.close()


class Sink(Protocol):
    """Takes received frames of all peers of one call."""

    @property
    def kinds(self) -> Collection[MediaKind]:
        """What it takes; of the rest nothing is decoded, unless somebody else wants it."""

    def write(self, peer: User, frame: Frame) -> None:
        """Take a frame of these kinds; on the event loop's thread: slow work goes to a thread of its own.

        Others may have it too, and what follows is decoded with it: `frame.make_writable()` before it is changed.
        An exception is logged once and takes this sink out of the call.
        """

    async def close(self) -> None:
        """Finish: files are complete and playable after it. Called once."""
