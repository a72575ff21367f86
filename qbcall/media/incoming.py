"""What is heard or seen from one other user, for the application to look at."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import monotonic
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt

from qbcall.core.model import MediaKind
from qbcall.errors import InvalidState
from qbcall.media.blocks import samples_of
from qbcall.media.frames import Frame, SourceEnded
from qbcall.media.listening import PcmStream
from qbcall.media.mono import PCM_RATE
from qbcall.media.rate import Rate
from qbcall.media.waiting import WaitingFrames

WAITING = {MediaKind.AUDIO: 25, MediaKind.VIDEO: 5}
"""Frames that may wait for one iteration; the oldest is dropped, so that it never lags."""


LOOK = 2.0
"""Seconds for which a look at the newest frame wants more: whoever looks again meanwhile sees it move."""


class Listener(Protocol):
    """Takes what comes in."""

    @property
    def ended(self) -> bool:
        """Whether it takes no more."""

    def put(self, frame: Frame) -> None:
        """A frame came in."""

    def end(self) -> None:
        """Nothing more comes."""


class Incoming:
    """One kind of media from one user. `async for frame in incoming:` gives the frames from now on.

    Frames are decoded only while somebody wants them: an iteration, a sink, or a look at the newest one. Others may
    have the same frame, and what follows is decoded with it: `frame.make_writable()` before it is drawn into.
    """

    def __init__(self, kind: MediaKind, wake: Callable[[], None] = lambda: None) -> None:
        """`wake` is told when somebody begins to want frames."""
        self.kind = kind
        self.frames = 0
        """Frames received, decoded or not."""
        self._latest: Frame | None = None
        self._wake = wake
        self._looked_at = -LOOK
        self._rate = Rate()
        # Weak: an iteration that is left with `break` vanishes.
        self._listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
        self._closed = False

    @property
    def latest(self) -> Frame | None:
        """The newest frame; None: there is none yet, or no more, or nobody wanted any for a while: look again."""
        wanted, self._looked_at = self.wanted, monotonic()
        if not wanted and not self._closed:
            self._wake()
        return self._latest

    @property
    def newest(self) -> Frame | None:
        """The newest frame, if any is decoded anyway: unlike `latest` this wants no more."""
        return self._latest

    @property
    def wanted(self) -> bool:
        """Whether somebody iterates, or looked at the newest frame a moment ago."""
        return not self._closed and (self._iterated or monotonic() - self._looked_at < LOOK)

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
        latest = self.latest
        if not isinstance(latest, av.AudioFrame):
            return None
        samples = samples_of(latest) / 32768.0
        return float(np.sqrt(np.mean(samples**2))) if samples.size else 0.0

    def pass_by(self) -> None:
        """A frame came in that was not decoded."""
        self.frames += 1
        self._latest = None
        self._rate.count(monotonic())

    def push(self, frame: Frame) -> None:
        """A frame came in."""
        self.frames += 1
        self._latest = frame
        self._rate.count(monotonic())
        if len(self._listeners):  # to go through none of them takes longer than all else here
            for listener in self._listeners:
                listener.put(frame)

    def __aiter__(self) -> Frames:
        frames = Frames(WAITING[self.kind])
        self._listen(frames)
        return frames

    def pcm(self, rate: int = PCM_RATE, *, block: int = 20, buffer: int = 1000) -> PcmStream:
        """Sound from now on as blocks of samples: `async for samples in peer.audio.pcm(rate=16_000):`.

        Each is a numpy array of its own, shape (samples,), int16, mono. Several may listen at the same time.

        Args:
            rate: samples per second, 8000 to 48000.
            block: milliseconds in one block, 5 to 1000.
            buffer: milliseconds that may wait for a slow reader; older ones are dropped, and counted.

        Raises:
            InvalidArgument: a number is out of range.
            InvalidState: these are pictures.
        """
        if self.kind is not MediaKind.AUDIO:
            raise InvalidState("pictures have no samples of sound: use peer.audio")
        stream = PcmStream(rate, block, buffer)
        self._listen(stream)
        return stream

    def close(self) -> None:
        """Nothing more comes; iterations end. The newest frame is let go: calls that are over are remembered."""
        self._closed = True
        self._latest = None
        for listener in self._listeners:
            listener.end()

    # -- details -----------------------------------------------------------------------------------------------------

    @property
    def _iterated(self) -> bool:
        return len(self._listeners) > 0 and any(not listener.ended for listener in self._listeners)

    def _listen(self, listener: Listener) -> None:
        if self._closed:
            listener.end()
        wanted = self.wanted
        self._listeners.add(listener)
        if self.wanted and not wanted:
            self._wake()


class Frames:
    """An iteration over frames as they come in; the oldest is dropped when the application is too slow."""

    def __init__(self, limit: int) -> None:
        self._waiting = WaitingFrames(limit)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._waiting.ended

    def put(self, frame: Frame) -> None:
        """A frame came in."""
        self._waiting.put(frame)

    def end(self) -> None:
        """Nothing more comes; those that wait are still given."""
        self._waiting.end()

    def __aiter__(self) -> Frames:
        return self

    async def __anext__(self) -> Frame:
        try:
            return await self._waiting.get()
        except SourceEnded:
            raise StopAsyncIteration from None


def to_array(frame: Frame) -> npt.NDArray[np.uint8] | npt.NDArray[np.int16]:
    """A frame as numpy array: video (height, width, 3) uint8 BGR, audio (samples, channels) int16."""
    if isinstance(frame, av.VideoFrame):
        return frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
    return samples_of(frame)
