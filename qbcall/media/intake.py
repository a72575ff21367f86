"""Reads one source, a little ahead, in a task of its own; what is read waits until it is pulled.

A source is never asked for more than is needed: one that has no pace gets ours. One that has a pace keeps the newest
frames itself, as `FrameSource` says.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

import av

from qbcall.media.blocks import Blocks, Samples
from qbcall.media.frames import Frame, FrameSource, SourceEnded
from qbcall.media.planes import is_sendable, sendable

log = logging.getLogger("qbcall.media.intake")

START_BLOCKS = 2
"""Blocks of sound that are waited for after a gap: 40 ms, which bridges a busy machine."""
MOST_BLOCKS = 3
"""Blocks of sound that may wait before the source is asked for more."""

Over = Callable[[FrameSource, Exception | None], None]
"""Told when a source has no more frames, or broke."""
Changed = Callable[[], None]
"""Told when something came in, ended, or was cleared; it must not raise."""


class Intake(ABC):
    """What waits between a source and the stream that is sent."""

    def __init__(self, source: FrameSource | None, over: Over, changed: Changed) -> None:
        self.source = source
        self.ended = source is None
        self._over = over
        self._changed = changed
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def clear(self) -> None:
        """Forget what waits, so that nothing old is sent."""
        self._forget()
        self._room.set()
        self._changed()

    async def close(self) -> None:
        """Stop reading and close the source."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.source is None:
            return
        try:
            await self.source.close()
        except Exception:
            log.exception("closing the source %s failed", type(self.source).__name__)

    def _start(self) -> None:
        """The first pull starts to read, so that a device is not drained before anybody listens."""
        if self._task is None and self.source is not None:
            self._task = asyncio.get_running_loop().create_task(self._read(self.source), name="qbcall-read-source")

    async def _read(self, source: FrameSource) -> None:
        error: Exception | None = None
        try:
            while True:
                self._put(await source.read())
                self._changed()
                while self._full():
                    self._room.clear()
                    await self._room.wait()
        except SourceEnded:
            pass
        except Exception as problem:
            error = problem
        self.ended = True
        self._over(source, error)
        self._changed()

    @abstractmethod
    def _put(self, frame: Frame) -> None: ...

    @abstractmethod
    def _full(self) -> bool: ...

    @abstractmethod
    def _forget(self) -> None: ...


class AudioIntake(Intake):
    """Sound, cut into blocks."""

    def __init__(self, source: FrameSource | None, over: Over, changed: Changed) -> None:
        super().__init__(source, over, changed)
        self._blocks = Blocks()
        self._flowing = False

    def pull(self) -> Samples | None:
        """The next 20 ms; None: there is nothing to hear now."""
        self._start()
        self._flowing = len(self._blocks) >= (1 if self._flowing or self.ended else START_BLOCKS)
        block = self._blocks.pull() if self._flowing else None
        self._room.set()
        return block

    def pass_by(self) -> None:
        """20 ms that nobody is to hear: what is read goes on by itself, or waits."""

    def _put(self, frame: Frame) -> None:
        if not isinstance(frame, av.AudioFrame):
            raise TypeError(f"an audio source yields av.AudioFrame, not {type(frame).__name__}")
        self._blocks.push(frame)

    def _full(self) -> bool:
        return len(self._blocks) >= MOST_BLOCKS

    def _forget(self) -> None:
        self._blocks.clear()
        self._flowing = False


class PulledSource(ABC):
    """Sound that is asked for just when it is sent, so that nothing waits but what waits in the source."""

    @abstractmethod
    async def read(self) -> Frame:
        """See `FrameSource`."""

    @abstractmethod
    async def close(self) -> None:
        """See `FrameSource`."""

    @abstractmethod
    def pull(self) -> Samples | None:
        """The next 20 ms, at once; None: there is nothing to hear now.

        Raises:
            SourceEnded: there is no more.
        """


class PulledIntake(AudioIntake):
    """Sound of a source that is asked for each block."""

    def __init__(self, source: PulledSource, over: Over, changed: Changed) -> None:
        super().__init__(source, over, changed)
        self._pulled = source

    def pull(self) -> Samples | None:
        """The next 20 ms; None: there is nothing to hear now."""
        if self.ended:
            return None
        error: Exception | None = None
        try:
            return self._pulled.pull()
        except SourceEnded:
            pass
        except Exception as problem:
            error = problem
        self.ended = True
        self._over(self._pulled, error)
        return None

    def pass_by(self) -> None:
        """20 ms that nobody is to hear."""
        self.pull()


class FreshSource:
    """A source of new pictures, which nobody else has and no decoder made: they need not be copied to be sent."""


class VideoIntake(Intake):
    """Pictures: one waits."""

    def __init__(self, source: FrameSource | None, over: Over, changed: Changed) -> None:
        super().__init__(source, over, changed)
        self._fresh = isinstance(source, FreshSource)
        self._frame: av.VideoFrame | None = None

    def pull(self) -> av.VideoFrame | None:
        """The next picture; None: there is none yet."""
        self._start()
        frame, self._frame = self._frame, None
        self._room.set()
        return frame

    def _put(self, frame: Frame) -> None:
        if not isinstance(frame, av.VideoFrame):
            raise TypeError(f"a video source yields av.VideoFrame, not {type(frame).__name__}")
        self._frame = frame if self._fresh and is_sendable(frame) else sendable(frame)

    def _full(self) -> bool:
        return self._frame is not None

    def _forget(self) -> None:
        self._frame = None
