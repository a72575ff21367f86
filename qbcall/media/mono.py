"""Mono sound of any rate: brought to another one, and cut into blocks."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from math import ceil

import av
import numpy as np
import numpy.typing as npt

from qbcall.errors import InvalidArgument
from qbcall.media.blocks import audio_frame, samples_of

Mono = npt.NDArray[np.int16]
"""Shape (samples,)."""

LOWEST_RATE, HIGHEST_RATE = 8_000, 48_000
"""Samples per second that are given and taken."""
PCM_RATE = 16_000
"""Samples per second unless told otherwise: what speech recognizers take."""
EMPTY: Mono = np.zeros(0, np.int16)


def check_rate(rate: int) -> int:
    """See whether sound can be given and taken at this rate, in samples per second.

    Raises:
        InvalidArgument: it cannot.
    """
    if type(rate) is not int or not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InvalidArgument(f"rate must be a whole number from {LOWEST_RATE} to {HIGHEST_RATE} Hz, not {rate!r}")
    return rate


def mono_of(frame: av.AudioFrame) -> Mono:
    """All channels of a frame as one, at the rate of the frame."""
    samples = samples_of(frame)
    if samples.shape[1] == 1:
        return samples[:, 0].copy()
    mixed: Mono = samples.mean(axis=1).astype(np.int16)
    return mixed


class Resampler:
    """From one rate to another, 1 to 4 ms later; what comes out lasts as long as what went in, but for a sample."""

    def __init__(self, before: int, after: int) -> None:
        """Rates in samples per second."""
        self._before = before
        self._ratio = Fraction(after, before)
        self._work = None if before == after else av.AudioResampler("s16", "mono", after)
        self._begun = False

    def push(self, samples: Mono) -> Mono:
        """The next samples."""
        if self._work is None or not len(samples):
            return samples
        frame = audio_frame(samples[:, None], self._before)
        parts = [mono_of(part) for part in self._work.resample(frame)]
        if not self._begun:
            # What the filter holds back is made up for once, so that a block comes out for each that goes in.
            self._begun = True
            held = ceil(len(samples) * self._ratio) - sum(map(len, parts))
            parts.insert(0, np.zeros(max(held, 0), np.int16))
        return np.concatenate(parts)


class Samples:
    """A queue of samples."""

    def __init__(self) -> None:
        self._pieces: deque[Mono] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, samples: Mono) -> None:
        """More of them."""
        if len(samples):
            self._pieces.append(samples)
            self._size += len(samples)

    def take(self, count: int) -> Mono:
        """The oldest, so many, or as many as there are."""
        taken: list[Mono] = []
        missing = min(count, self._size)
        self._size -= missing
        while missing:
            piece = self._pieces.popleft()
            taken.append(piece[:missing])
            if len(piece) > missing:
                self._pieces.appendleft(piece[missing:])
            missing -= len(taken[-1])
        return np.concatenate(taken) if taken else EMPTY

    def clear(self) -> None:
        """Forget them."""
        self._pieces.clear()
        self._size = 0
