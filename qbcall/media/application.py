"""Any object of the application as a source."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Collection

import av
import numpy as np

from qbcall.core.model import MediaKind
from qbcall.errors import InvalidArgument
from qbcall.media.blocks import audio_frame
from qbcall.media.frames import Frame, FrameSource, Source, VideoFormat
from qbcall.media.intake import PulledSource
from qbcall.media.waiting import WaitingFrames

EXPECTED = "av.VideoFrame, av.AudioFrame, uint8 (height, width, 3) BGR or int16 (samples, 1 or 2) at 48 kHz"
CREDIT = 0.1
"""Seconds of sound that may come early."""


def source_of(thing: object, format: VideoFormat, kinds: Collection[MediaKind]) -> Source:
    """What an application gave as its source.

    Args:
        thing: a `Source`; or an object with `audio` and `video`, each None, a `FrameSource` or an asynchronous
            iterable; or an asynchronous iterable of frames and arrays of both kinds.
        format: the rate of pictures of an iterable that has none of its own.
        kinds: what is wanted of it.

    Raises:
        InvalidArgument: it is none of these.
    """
    if isinstance(thing, AsyncIterable):
        return _of_iterable(thing, format, kinds)
    if not hasattr(thing, "audio") and not hasattr(thing, "video"):
        raise InvalidArgument(
            "source must be text, an object with audio and video, or an asynchronous iterable of frames, "
            f"not {type(thing).__name__}"
        )
    parts = {kind: _part(getattr(thing, kind.value, None), kind, format) for kind in kinds}
    return Source(audio=parts.get(MediaKind.AUDIO), video=parts.get(MediaKind.VIDEO))


def as_frame(thing: object) -> Frame:
    """A frame, from what an application yields.

    Raises:
        TypeError: it is neither a frame nor an array of the right shape and type.
    """
    if isinstance(thing, (av.VideoFrame, av.AudioFrame)):
        return thing
    if isinstance(thing, np.ndarray):
        if thing.dtype == np.uint8 and thing.ndim == 3 and thing.shape[2] == 3 and thing.size:
            return av.VideoFrame.from_ndarray(np.ascontiguousarray(thing), format="bgr24")
        if thing.dtype == np.int16 and thing.ndim == 2 and thing.shape[1] in (1, 2) and thing.size:
            return audio_frame(thing)
        raise TypeError(f"a source yields {EXPECTED}, not an array of {thing.dtype} {thing.shape}")
    raise TypeError(f"a source yields {EXPECTED}, not {type(thing).__name__}")


class ObjectPart:
    """A `FrameSource` of the application, which may also yield arrays, and need not have `close`."""

    def __init__(self, given: FrameSource) -> None:
        self._given = given

    async def read(self) -> Frame:
        """The next frame."""
        return as_frame(await self._given.read())

    async def close(self) -> None:
        """Close it, if it can be."""
        close = getattr(self._given, "close", None)
        result = close() if callable(close) else None
        if inspect.isawaitable(result):
            await result


class Iteration:
    """An asynchronous iterable, read in a task of its own, no faster than real time, and shared by both kinds."""

    def __init__(self, given: AsyncIterable[object], format: VideoFormat, kinds: Collection[MediaKind]) -> None:
        self._given = given
        self._interval = 1 / format.fps
        self._waiting = {kind: WaitingFrames(1 if kind is MediaKind.VIDEO else 10) for kind in kinds}
        self._due = dict.fromkeys(MediaKind, 0.0)
        self._task: asyncio.Task[None] | None = None
        self._users = len(self._waiting)

    async def next(self, kind: MediaKind) -> Frame:
        """The next frame of one kind.

        Raises:
            SourceEnded: there are no more.
            Exception: whatever the iterable raised.
        """
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._iterate(), name="qbcall-read-iterable")
        try:
            return await self._waiting[kind].get()
        except Exception:
            if self._task.done() and not self._task.cancelled():
                self._task.result()
            raise

    async def close(self) -> None:
        """One part is not needed any more; the last one stops the iteration."""
        self._users -= 1
        if self._users == 0 and self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _iterate(self) -> None:
        iterator = aiter(self._given)
        try:
            async for thing in iterator:
                frame = as_frame(thing)
                kind = MediaKind.VIDEO if isinstance(frame, av.VideoFrame) else MediaKind.AUDIO
                await self._wait_for(kind, frame)
                if kind in self._waiting:
                    self._waiting[kind].put(frame)
        finally:
            aclose = getattr(iterator, "aclose", None)
            if aclose is not None:
                await aclose()
            for waiting in self._waiting.values():
                waiting.end()

    async def _wait_for(self, kind: MediaKind, frame: Frame) -> None:
        """Sleep until a frame is due; one with a pace of its own may be a little early."""
        now = asyncio.get_running_loop().time()
        if isinstance(frame, av.AudioFrame):
            duration, credit = frame.samples / frame.sample_rate, CREDIT
        else:
            duration = credit = self._interval
        due = max(self._due[kind], now)
        self._due[kind] = due + duration
        await asyncio.sleep(max(0.0, due - credit - now))


class IterationPart:
    """One kind of what an iterable yields."""

    def __init__(self, iteration: Iteration, kind: MediaKind) -> None:
        self._iteration = iteration
        self._kind = kind

    async def read(self) -> Frame:
        """The next frame."""
        return await self._iteration.next(self._kind)

    async def close(self) -> None:
        """This part is not needed any more."""
        await self._iteration.close()


def _of_iterable(thing: AsyncIterable[object], format: VideoFormat, kinds: Collection[MediaKind]) -> Source:
    iteration = Iteration(thing, format, kinds)
    parts = {kind: IterationPart(iteration, kind) for kind in kinds}
    return Source(audio=parts.get(MediaKind.AUDIO), video=parts.get(MediaKind.VIDEO))


def _part(given: object, kind: MediaKind, format: VideoFormat) -> FrameSource | None:
    if given is None:
        return None
    if isinstance(given, AsyncIterable):
        return IterationPart(Iteration(given, format, [kind]), kind)
    if isinstance(given, PulledSource):
        return given
    if not callable(getattr(given, "read", None)):
        raise InvalidArgument(f"{kind.value} of the source must have `async def read`, not be {type(given).__name__}")
    return ObjectPart(given)  # type: ignore[arg-type]  # has `read`; what it yields is checked frame by frame
