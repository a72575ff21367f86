"""What is heard from one user as plain samples, for programs that recognize speech, measure or answer."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from qbcall.errors import InvalidArgument
from qbcall.media.frames import SourceEnded
from qbcall.media.mono import Mono, Resampler, Samples, check_rate, mono_of
from qbcall.media.waiting import Waiting

BLOCK_RANGE = (5, 1000)
"""Milliseconds in one block."""
BUFFER_RANGE = (20, 60_000)
"""Milliseconds that may wait."""
LONGEST_FILLED = Fraction(1)
"""Seconds of a gap that are filled with silence; a longer one is one."""


class MonoBlocks:
    """Turns frames into blocks of one length, rate and channel.

    Short gaps in the time stamps of the frames become silence, so that the blocks keep the time of the sender.
    """

    def __init__(self, rate: int, samples: int) -> None:
        """`samples` are in each block, `rate` in a second."""
        self.filled = 0.0
        """Seconds of silence that are in the blocks in place of what never came."""
        self._rate = rate
        self._samples = samples
        self._queue = Samples()
        self._resampler: Resampler | None = None
        self._form = 0
        self._end: Fraction | None = None

    def push(self, frame: av.AudioFrame) -> Iterator[Mono]:
        """The blocks that are complete with this frame."""
        sound = mono_of(frame)
        if self._resampler is None or frame.sample_rate != self._form:
            self._form = frame.sample_rate
            self._resampler = Resampler(self._form, self._rate)
        if gap := self._gap(frame):
            self.filled += float(gap)
            self._queue.add(self._resampler.push(np.zeros(round(gap * self._form), np.int16)))
        self._queue.add(self._resampler.push(sound))
        while len(self._queue) >= self._samples:
            yield self._queue.take(self._samples)

    def _gap(self, frame: av.AudioFrame) -> Fraction:
        """Seconds that are missing before this frame; those of another time line have none."""
        before, self._end = self._end, None
        if frame.pts is None or frame.time_base is None:
            return Fraction(0)
        start = frame.pts * frame.time_base
        self._end = start + Fraction(frame.samples, frame.sample_rate)
        gap = Fraction(0) if before is None else start - before
        return gap if 0 < gap <= LONGEST_FILLED else Fraction(0)


class PcmStream:
    """Blocks of samples as they come in: numpy arrays of shape (samples,), int16, mono; each is the reader's own.

    They follow the sender's clock: what was lost is made up, and silence stands for what was not sent, up to a
    second; `filled` counts that. While the connection is lost, nothing comes. A reader that is too slow loses the
    oldest blocks, which `dropped` counts. The iteration ends with the call. Sound is decoded as long as this object
    exists and is not closed.
    """

    def __init__(self, rate: int, block: int, buffer: int) -> None:
        """Milliseconds in a block, and milliseconds that may wait; see `qbcall.media.incoming.Incoming.pcm`.

        Raises:
            InvalidArgument: a number is out of range.
        """
        self.rate = check_rate(rate)
        """Samples per second."""
        self.samples = rate * _checked("block", block, BLOCK_RANGE) // 1000
        """In each block."""
        self._blocks = MonoBlocks(rate, self.samples)
        self._waiting: Waiting[Mono] = Waiting(max(_checked("buffer", buffer, BUFFER_RANGE) // block, 1))

    @property
    def dropped(self) -> int:
        """Blocks that were lost because nobody read them in time."""
        return self._waiting.dropped

    @property
    def filled(self) -> float:
        """Seconds of silence in place of what never came."""
        return self._blocks.filled

    def __aiter__(self) -> PcmStream:
        return self

    async def __anext__(self) -> Mono:
        try:
            return await self._waiting.get()
        except SourceEnded:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Want no more: the iteration ends, and sound is not decoded for it."""
        self._waiting.clear()
        self._waiting.end()

    # -- told by what is received ------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether it takes no more."""
        return self._waiting.ended

    def put(self, frame: object) -> None:
        """A frame came in."""
        if isinstance(frame, av.AudioFrame) and not self.ended:
            for block in self._blocks.push(frame):
                self._waiting.put(block)

    def end(self) -> None:
        """Nothing more comes; the blocks that wait are still given."""
        self._waiting.end()


def _checked(name: str, milliseconds: int, allowed: tuple[int, int]) -> int:
    low, high = allowed
    if type(milliseconds) is not int or not low <= milliseconds <= high:
        raise InvalidArgument(f"{name} must be a whole number from {low} to {high} ms, not {milliseconds!r}")
    return milliseconds
