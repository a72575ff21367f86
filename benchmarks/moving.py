"""A picture all of which moves, as a camera's does that pans, with the bar code of a test card to say its number.

A test card hardly changes; encoders that look far back in it find all of it, and spend nothing.
"""

from __future__ import annotations

from functools import lru_cache
from time import time

import av
import numpy as np
from PIL import Image

from qbcall.media.cardcode import Card, paint
from qbcall.media.frames import VideoFormat
from qbcall.media.pace import Pace
from qbcall.media.planes import Plane, plain, plane

ACROSS, DOWN = 3, 2
"""Pixels by which it moves from one picture to the next."""
GRAIN = 16
"""Pixels of what is seen in it."""
NOISE = 4
"""Steps of luma that a camera's noise takes, at most."""


def draw(format: VideoFormat, card: Card) -> av.VideoFrame:
    """The picture with this number."""
    frame, width, height = plain(format.width, format.height), format.width, format.height
    scene, noise = _scene(width, height)
    top, left = card.counter * DOWN % height, card.counter * ACROSS % width
    luma = plane(frame, 0)
    luma[:] = scene[top : top + height, left : left + width]
    # The same noise begins somewhere else each time.
    top, left = card.counter * 7919 % height, card.counter * 104_729 % width
    luma[:] += noise[top : top + height, left : left + width]
    paint(luma, card)
    return frame


@lru_cache(maxsize=2)
def _scene(width: int, height: int) -> tuple[Plane, Plane]:
    """Twice as wide and high as the picture; it goes on at its edges where it began."""
    random = np.random.default_rng(1)
    small = random.integers(16, 230, (height // GRAIN, width // GRAIN), np.uint8)
    large = Image.fromarray(np.tile(small, (4, 4))).resize((width * 4, height * 4), Image.Resampling.BICUBIC)
    scene = np.asarray(large)[height : height * 3, width : width * 3].clip(16, 230)
    noise = np.tile(random.integers(0, NOISE + 1, (height, width), np.uint8), (2, 2))
    return scene, noise


class Moving:
    """These pictures in real time; the number skips what the machine was too busy to draw."""

    def __init__(self, format: VideoFormat, name: str) -> None:
        self._format = format
        self._name = name
        self._pace = Pace(1 / format.fps)

    async def read(self) -> av.VideoFrame:
        """The next picture, when it is due."""
        return draw(self._format, Card(self._name, await self._pace.tick(), round(time() * 1000)))

    async def close(self) -> None:
        """Nothing is held."""
