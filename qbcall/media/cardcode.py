"""The bar code of a test card: name, counter and time as big cells of luma, made to survive lossy video.

192 bits, the most significant first: name (12 bytes of UTF-8, filled up with NUL), counter (32 bits), milliseconds
since the epoch (48 bits), CRC-16/CCITT-FALSE of all that. The cells are placed in parts of the frame's size, so that
the code can be read after any rescaling. Dark is 0.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

NAME_BYTES = 12
"""Room for a name."""
COLUMNS, ROWS = 32, 6
LEFT, RIGHT, TOP, BOTTOM = 1 / 34, 33 / 34, 0.70, 0.97
"""The edges of the code, in parts of the frame's width and height."""
DARK, LIGHT = 30, 220
"""Luma of the cells: far apart, but within the range of television."""
ENOUGH_CONTRAST = 40
"""Difference between the darkest and the lightest cell; a picture with less has no code."""
MIN_WIDTH, MIN_HEIGHT = 68, 48
"""Smaller frames have cells of less than two pixels."""

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Card:
    """What a test card says."""

    name: str
    """Name of the participant, cut to 12 bytes of UTF-8."""
    counter: int
    """Number of the frame, from 0."""
    timestamp: int
    """When it was drawn, in milliseconds since the epoch."""


def short_name(name: str) -> str:
    """As much of a name as a card has room for; a character is never cut in two."""
    return name.replace("\0", "").encode("utf-8", "replace")[:NAME_BYTES].decode("utf-8", "ignore")


def encode(card: Card) -> npt.NDArray[np.bool_]:
    """The cells, shape (6, 32)."""
    words = short_name(card.name).encode("utf-8").ljust(NAME_BYTES, b"\0")
    words += (card.counter % 2**32).to_bytes(4, "big") + (card.timestamp % 2**48).to_bytes(6, "big")
    words += _crc(words).to_bytes(2, "big")
    return np.unpackbits(np.frombuffer(words, np.uint8)).reshape(ROWS, COLUMNS).astype(np.bool_)


def decode(cells: npt.NDArray[np.bool_]) -> Card | None:
    """What the cells say; None if the CRC or the name is wrong."""
    words = np.packbits(cells.reshape(-1)).tobytes()
    if _crc(words[:-2]) != int.from_bytes(words[-2:], "big"):
        return None
    try:
        name = words[:NAME_BYTES].rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        return None
    counter, timestamp = words[NAME_BYTES : NAME_BYTES + 4], words[NAME_BYTES + 4 : -2]
    return Card(name, int.from_bytes(counter, "big"), int.from_bytes(timestamp, "big"))


def paint(luma: Plane, card: Card) -> None:
    """Draw the code of a card into a luma plane, shape (height, width)."""
    rows, left, columns = _cells_of_pixels(luma.shape[1], luma.shape[0])
    lines = np.where(encode(card), np.uint8(LIGHT), np.uint8(DARK)).take(columns, axis=1)  # row by row, unlike `[]`
    for line, (top, bottom) in zip(lines, pairwise(rows), strict=True):
        luma[top:bottom, left : left + columns.size] = line


def scan(luma: Plane) -> Card | None:
    """Read the code in a luma plane, shape (height, width); None if there is none, or it is damaged."""
    height, width = luma.shape
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return None
    rows, columns = _centres(width, height)
    shades = luma[rows, columns].astype(np.float32).mean(axis=2)
    low, high = float(shades.min()), float(shades.max())
    if high - low < ENOUGH_CONTRAST:
        return None
    return decode(shades > (low + high) / 2)


def _crc(data: bytes) -> int:
    return binascii.crc_hqx(data, 0xFFFF)


def _edges(start: float, end: float, count: int, pixels: int) -> list[int]:
    """Where each cell begins, and the last one ends, in pixels."""
    return [round((start + (end - start) * index / count) * pixels) for index in range(count + 1)]


@lru_cache(maxsize=16)
def _cells_of_pixels(width: int, height: int) -> tuple[list[int], int, npt.NDArray[np.intp]]:
    """Where rows of cells begin and the last one ends; where columns begin, and the column of each pixel."""
    columns = _edges(LEFT, RIGHT, COLUMNS, width)
    return _edges(TOP, BOTTOM, ROWS, height), columns[0], np.repeat(np.arange(COLUMNS), np.diff(columns))


@lru_cache(maxsize=16)
def _centres(width: int, height: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where to look: 3x3 pixels around the middle of each cell, spread over half of it; shapes (6, 1 or 32, 9)."""
    y, x = np.meshgrid([-0.2, 0.0, 0.2], [-0.2, 0.0, 0.2], indexing="ij")
    tall, wide = (BOTTOM - TOP) / ROWS, (RIGHT - LEFT) / COLUMNS
    rows = TOP + tall * (np.arange(ROWS)[:, None, None] + 0.5 + y.reshape(1, 1, 9))
    columns = LEFT + wide * (np.arange(COLUMNS)[None, :, None] + 0.5 + x.reshape(1, 1, 9))
    return (rows * height).astype(np.intp), (columns * width).astype(np.intp)
