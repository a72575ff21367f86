"""qbcall's own test cards, as pictures that a browser can show, and read from what a browser saw."""

from __future__ import annotations

import base64
import io
from functools import lru_cache

import av
import numpy as np
from PIL import Image

from qbcall.media.frames import VideoFormat
from qbcall.media.testcard import Card, draw, read

CARDS = 30
NOISES = 8
FORMAT = VideoFormat(320, 240, 15)
PREFIX = "data:image/png;base64,"


@lru_cache(maxsize=8)
def card_urls(name: str, format: VideoFormat = FORMAT) -> tuple[str, ...]:
    """Cards of a participant, counted from 0, as data URLs; their time stamps mean nothing."""
    return tuple(_url(draw(format, name, counter, 0)) for counter in range(CARDS))


@lru_cache(maxsize=1)
def noise_urls() -> tuple[str, ...]:
    """Pictures that no encoder makes small, as data URLs."""
    dice = np.random.default_rng(1)
    return tuple(_url(noise(dice)) for _ in range(NOISES))


def noise(dice: np.random.Generator) -> av.VideoFrame:
    """A picture that no encoder makes small; few pixels, so that none takes long behind a limit."""
    grey = dice.integers(88, 168, (120, 160), np.uint8)
    return av.VideoFrame.from_ndarray(grey, format="gray")


def _url(frame: av.VideoFrame) -> str:
    file = io.BytesIO()
    Image.fromarray(frame.to_ndarray(format="rgb24")).save(file, "PNG")
    return PREFIX + base64.b64encode(file.getvalue()).decode()


def frame_of(url: str) -> av.VideoFrame:
    """The picture in a data URL."""
    picture = Image.open(io.BytesIO(base64.b64decode(url.removeprefix(PREFIX)))).convert("RGB")
    return av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")


def card_of(url: str) -> Card | None:
    """What the card in a data URL says; None: there is none."""
    return read(frame_of(url)) if url else None
