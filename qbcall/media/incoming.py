"""What is heard or seen from one other user, for the application to look at."""

from __future__ import annotations

import weakref
from time import monotonic

import av
import numpy as np
import numpy.typing as npt

from qbcall.core.model import MediaKind
from qbcall.media.blocks import samples_of
from qbcall.media.frames import Frame, SourceEnded
from qbcall.media.rate import Rate
from qbcall.media.waiting import WaitingFrames

WAITING = {MediaKind.AUDIO: 25, MediaKind.VIDEO: 5}
"""Frames that may wait for one iteration; the oldest is dropped, so that it never lags."""


class Incoming:
    """One kind of media from one user. `async for frame in incoming:` gives the frames from now on."""

    def __init__(self, kind: MediaKind) -> None:
        self.kind = kind
        self.frames = 0
        """Frames received."""
        self.latest: Frame | None = None
        """The newest frame; None before the first one, and after the end."""
        self._rate = Rate()
        # Weak: an iteration that is left with `break` vanishes.
        self._listeners: weakref.WeakSet[Frames] = weakref.WeakSet()
        self._closed = False

    @property
    def fps(self) -> float:
        """Frames per second over the last seconds."""
        return self._rate.at(monotonic())

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the newest picture."""
        latest = self.latest
        return (latest.width, latest.height) if isinstance(latest, av.VideoFrame) else None

    @property
    def level(self) -> float | None:
        """Loudness of the newest sound: root mean square, 0 (silence) to 1 (full scale)."""
        if not isinstance(self.latest, av.AudioFrame):
            return None
        samples = samples_of(self.latest) / 32768.0
        return float(np.sqrt(np.mean(samples**2))) if samples.size else 0.0

    def push(self, frame: Frame) -> None:
        """A frame came in."""
        self.frames += 1
        self.latest = frame
        self._rate.count(monotonic())
        for listener in self._listeners:
            listener.waiting.put(frame)

    def __aiter__(self) -> Frames:
        frames = Frames(WAITING[self.kind])
        if self._closed:
            frames.waiting.end()
        self._listeners.add(frames)
        return frames

    def close(self) -> None:
        """Nothing more comes; iterations end. The newest frame is let go: calls that are over are remembered."""
        self._closed = True
        self.latest = None
        for listener in self._listeners:
            listener.waiting.end()


class Frames:
    """An iteration over frames as they come in; the oldest is dropped when the application is too slow."""

    def __init__(self, limit: int) -> None:
        self.waiting = WaitingFrames(limit)

    def __aiter__(self) -> Frames:
        return self

    async def __anext__(self) -> Frame:
        try:
            return await self.waiting.get()
        except SourceEnded:
            raise StopAsyncIteration from None


def to_array(frame: Frame) -> npt.NDArray[np.uint8] | npt.NDArray[np.int16]:
    """A frame as numpy array: video (height, width, 3) uint8 BGR, audio (samples, channels) int16."""
    if isinstance(frame, av.VideoFrame):
        return frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
    return samples_of(frame)
