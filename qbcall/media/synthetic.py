"""Sources that need neither file nor device: test card and tone, black and silence."""

from __future__ import annotations

from time import time

import av
import numpy as np

from qbcall.media import testcard
from qbcall.media.beat import BEAT
from qbcall.media.blocks import Samples, audio_frame
from qbcall.media.frames import AUDIO_BLOCK, VideoFormat
from qbcall.media.intake import FreshSource, PulledSource
from qbcall.media.pace import Pace
from qbcall.media.planes import plain
from qbcall.media.pumps import BLACK_FPS, CATCH_UP
from qbcall.media.tone import tone


class TestCard(FreshSource):
    """Test cards with the present time. The counter skips what the machine was too busy to draw."""

    __test__ = False  # the name is that of a thing, not of a test

    def __init__(self, format: VideoFormat, name: str) -> None:
        self._format = format
        self._name = name
        self._pace = Pace(1 / format.fps)

    async def read(self) -> av.VideoFrame:
        """The next card, when it is due."""
        counter = await self._pace.tick()
        return testcard.draw(self._format, self._name, counter, round(time() * 1000))

    async def close(self) -> None:
        """Nothing is held."""


class Tone(PulledSource):
    """A tone of one pitch."""

    def __init__(self, hertz: int) -> None:
        """Make one.

        Raises:
            InvalidArgument: the pitch is out of range.
        """
        self._blocks = (np.repeat(block[:, None], 2, axis=1) for block in tone(hertz))
        self._pace = Pace(BEAT, patience=CATCH_UP * BEAT)

    def pull(self) -> Samples:
        """The next 20 ms."""
        return next(self._blocks)

    async def read(self) -> av.AudioFrame:
        """The next 20 ms, when they are due."""
        await self._pace.tick()
        return audio_frame(self.pull())

    async def close(self) -> None:
        """Nothing is held."""


class Black:
    """A black picture, sent again now and then."""

    def __init__(self, format: VideoFormat) -> None:
        self._format = format
        self._pace = Pace(1 / min(BLACK_FPS, format.fps))

    async def read(self) -> av.VideoFrame:
        """The picture, when it is due."""
        await self._pace.tick()
        return plain(self._format.width, self._format.height)

    async def close(self) -> None:
        """Nothing is held."""


class Silence(PulledSource):
    """No sound."""

    def __init__(self) -> None:
        self._pace = Pace(BEAT, patience=CATCH_UP * BEAT)

    async def read(self) -> av.AudioFrame:
        """The next 20 ms, when they are due."""
        await self._pace.tick()
        return audio_frame(self.pull())

    def pull(self) -> Samples:
        """20 ms of it."""
        return np.zeros((AUDIO_BLOCK, 2), np.int16)

    async def close(self) -> None:
        """Nothing is held."""
