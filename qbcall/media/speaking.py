"""Plain samples as a source: what a program says, as fast as it is said and not faster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from qbcall.errors import InvalidArgument, InvalidState
from qbcall.media.blocks import Samples as Stereo
from qbcall.media.blocks import audio_frame
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE, Frame, SourceEnded
from qbcall.media.intake import PulledSource
from qbcall.media.mono import EMPTY, PCM_RATE, Mono, Resampler, Samples, check_rate
from qbcall.media.pace import Pace

Pcm = npt.NDArray[np.int16] | bytes | bytearray | memoryview
"""Mono sound: int16 of shape (samples,), or the same as little-endian bytes."""

START = 2 * AUDIO_BLOCK
"""Samples that are waited for after a pause, as long as more come: 40 ms, which bridges an irregular writer."""
TAIL = 48
"""Samples that push the last of the others out of the resampler's filter."""
BUFFER_RANGE = (100, 60_000)
"""Milliseconds that may wait."""
PATIENCE = 50
"""Blocks, 1 s, in which what waits may be needed."""
PIECES = 50
"""Parts of a second that are written at once."""


class PcmSource(PulledSource):
    """Says what is written to it; silence otherwise.

    Give it to one call as its source; it sends no picture. `write` waits until there is room, so a program may write
    as fast as it can, and what it writes is sent in real time: nothing is lost, and time stamps never drift. While
    the sound is muted, what is written passes unheard.
    """

    video = None
    """It has no picture."""

    def __init__(self, rate: int = PCM_RATE, *, buffer: int = 200) -> None:
        """Make one.

        Args:
            rate: of what is written, in samples per second, 8000 to 48000.
            buffer: milliseconds that may wait to be sent, 100 to 60000.

        Raises:
            InvalidArgument: a number is out of range.
        """
        low, high = BUFFER_RANGE
        if type(buffer) is not int or not low <= buffer <= high:
            raise InvalidArgument(f"buffer must be a whole number from {low} to {high} ms, not {buffer!r}")
        self.rate = check_rate(rate)
        """Samples per second of what is written."""
        self.closed = False
        """The call is over."""
        self._most = buffer * AUDIO_RATE // 1000
        self._resampler = Resampler(rate, AUDIO_RATE)
        self._queue = Samples()
        self._speaks = False
        """Blocks are sent without a pause between them."""
        self._before = 0
        """How much waited one block ago."""
        self._ended = False
        self._live = False
        """It is never to lag."""
        self._least: list[int] = []
        """How much waited after each of the latest blocks."""
        self._turn = 0
        """Goes up when what was to be said is forgotten."""
        self._writing = asyncio.Lock()
        self._moved = asyncio.Event()
        self._pace = Pace(AUDIO_BLOCK / AUDIO_RATE)

    @property
    def audio(self) -> PcmSource:
        """Itself: calls take an object with `audio` and `video`.

        Raises:
            InvalidState: the call that it was given to is over.
        """
        if self.closed:
            raise InvalidState("this source served a call that is over: make a new one")
        return self

    @property
    def buffered(self) -> float:
        """Seconds that wait to be sent."""
        return len(self._queue) / AUDIO_RATE

    async def write(self, pcm: Pcm) -> None:
        """Say this after all that was written before; wait until it fits in the buffer.

        Args:
            pcm: int16 samples of shape (samples,), or little-endian bytes of them; any length.

        Raises:
            InvalidArgument: it is something else.
            InvalidState: the call is over, or sends something else.
        """
        samples, turn = as_mono(pcm), self._turn
        async with self._writing:
            for piece in self._pieces(samples):
                while turn == self._turn and not self.closed and len(self._queue) > self._most - START:
                    await self._move()
                if self.closed:
                    raise InvalidState("nothing can be said: the call is over, or sends something else")
                if turn != self._turn:
                    return
                self._queue.add(self._resampler.push(piece))

    def push(self, pcm: Pcm) -> None:
        """Say this after what waits; for sound of just now.

        It never waits for room, but leaves out the oldest; and what waited all the time for the last second, because
        the machine had stalled, is left out too: it never lags.

        Raises:
            InvalidArgument: see `write`.
        """
        self._live = True
        for piece in self._pieces(as_mono(pcm)):
            self._queue.add(self._resampler.push(piece))
        self._queue.take(max(len(self._queue) - self._most, 0))

    def clear(self) -> None:
        """Say no more of what was written, from the next 20 ms on; a `write` that waits returns."""
        self._turn += 1
        self._resampler = Resampler(self.rate, AUDIO_RATE)
        self._queue.clear()
        self._speaks = False
        self._moved.set()

    async def drained(self) -> None:
        """Wait until everything that was written has been sent, or cleared, or the call is over."""
        while not self.closed and (self._speaks or self._queue or self._writing.locked()):
            await self._move()

    def end(self) -> None:
        """No more is written: when all was sent, the source is over."""
        self._ended = True

    # -- told by what is sent ----------------------------------------------------------------------------------------

    def pull(self) -> Stereo | None:
        """The next 20 ms; None: silence.

        Raises:
            SourceEnded: there is no more.
        """
        size, before = len(self._queue), self._before
        self._before = size
        if not self._speaks:
            self._speaks = size >= START or 0 < size == before or (self._ended and size > 0)
        if self._speaks:
            block = self._take()
            self._catch_up()
            self._moved.set()
            return np.repeat(block[:, None], 2, axis=1)
        if self._ended:
            raise SourceEnded("everything was said")
        return None

    async def read(self) -> Frame:
        """The next 20 ms, when they are due.

        Raises:
            SourceEnded: there is no more.
        """
        await self._pace.tick()
        block = self.pull()
        return audio_frame(np.zeros((AUDIO_BLOCK, 2), np.int16) if block is None else block)

    async def close(self) -> None:
        """The call is over."""
        self.closed = True
        self._queue.clear()
        self._moved.set()

    # -- details -----------------------------------------------------------------------------------------------------

    def _take(self) -> Mono:
        if len(self._queue) < AUDIO_BLOCK:  # it runs dry
            self._speaks = False
            self._queue.add(self._resampler.push(np.zeros(TAIL, np.int16)))
        block = self._queue.take(AUDIO_BLOCK)
        return np.concatenate([block, np.zeros(AUDIO_BLOCK - len(block), np.int16)])

    def _catch_up(self) -> None:
        """Leave out what was never needed to bridge anything, but for a block."""
        self._least.append(len(self._queue))
        if self._live and len(self._least) >= PATIENCE and min(self._least) >= 2 * AUDIO_BLOCK:
            self._queue.take(min(self._least) - AUDIO_BLOCK)
        if len(self._least) >= PATIENCE:
            self._least.clear()

    def _pieces(self, samples: Mono) -> Iterator[Mono]:
        step = self.rate // PIECES
        for start in range(0, max(len(samples), 1), step):
            yield samples[start : start + step]

    async def _move(self) -> None:
        self._moved.clear()
        await self._moved.wait()


def as_mono(pcm: Pcm) -> Mono:
    """The samples that were given.

    Raises:
        InvalidArgument: it is nothing of that kind.
    """
    if isinstance(pcm, np.ndarray):
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise InvalidArgument(f"pcm must be int16 of shape (samples,), not {pcm.dtype} {pcm.shape}")
        return pcm.astype(np.int16)
    if not isinstance(pcm, (bytes, bytearray, memoryview)):
        raise InvalidArgument(f"pcm must be a numpy array or bytes, not {type(pcm).__name__}")
    data = bytes(pcm)
    if len(data) % 2:
        raise InvalidArgument(f"pcm must be whole samples of 2 bytes, not {len(data)} bytes")
    return np.frombuffer(data, "<i2").astype(np.int16) if data else EMPTY
