"""Sound that tells at every moment when it was made: a tone that rises evenly, over and over again.

The pitch of 20 ms of it gives their place in a period to some milliseconds, whatever codec they went through.
"""

from __future__ import annotations

import asyncio

import av
import numpy as np

from qbcall.media.blocks import audio_frame, samples_of
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE
from qbcall.media.pace import Pace
from qbcall.media.tone import LEVEL, pitch

LOW, SLOPE = 500.0, 1000.0
"""Hertz at the beginning of a period, and by which it rises in a second."""
PERIOD = 2.0
"""Seconds; delays are known to be between a quarter of it below zero, and three quarters."""
BLOCK = AUDIO_BLOCK / AUDIO_RATE
BLOCKS = round(PERIOD / BLOCK)
EDGE = 1.5 * BLOCK
"""Seconds near the ends of a period, where a block may hold both."""
PARTS, WHOLE = 4, LEVEL * 32767 / 3
"""Parts of a block, and the loudness of each if all of it is the tone: a sender that is late puts silence in."""
CATCH_UP = 0.1
"""Seconds of sound that are made up for when the machine was busy."""


def _blocks() -> list[np.ndarray]:
    times = np.arange(round(PERIOD * AUDIO_RATE)) / AUDIO_RATE
    whole = np.sin(2 * np.pi * (LOW * times + SLOPE * times**2 / 2)) * LEVEL * 32767
    return list(whole.round().astype(np.int16).reshape(BLOCKS, AUDIO_BLOCK, 1))


class Sweep:
    """The sound of one participant."""

    def __init__(self) -> None:
        self.began: float | None = None
        """When the first block was made, on the event loop's clock."""
        self._blocks = _blocks()
        self._pace = Pace(BLOCK, patience=CATCH_UP)

    async def read(self) -> av.AudioFrame:
        """The next 20 ms, when they are due; those that the machine was too busy for are left out."""
        if self.began is None:
            self.began = asyncio.get_running_loop().time()
        return audio_frame(self._blocks[await self._pace.tick() % BLOCKS])

    async def close(self) -> None:
        """Nothing is held."""

    def delay(self, place: float, now: float) -> float:
        """Seconds since what is at this place of a period was made."""
        assert self.began is not None, "it was heard"
        return (now - self.began - place + PERIOD / 4) % PERIOD - PERIOD / 4


def place_of(frame: av.AudioFrame) -> float | None:
    """Where in a period the block begins, in seconds; None: it is near an end, or not all of it such a tone."""
    sound = samples_of(frame)[:, 0]
    parts = sound[: len(sound) // PARTS * PARTS].reshape(PARTS, -1).astype(np.float64)
    found = pitch(sound, frame.sample_rate)
    if found is None or np.sqrt(np.mean(parts**2, axis=1)).min() < WHOLE:
        return None
    place = (found - LOW) / SLOPE - frame.samples / frame.sample_rate / 2
    return place if EDGE < place < PERIOD - EDGE - BLOCK else None
