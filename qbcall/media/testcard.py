"""The picture of the test source: name, frame counter and clock for people, a bar code for machines.

What does not change is drawn once for each name and size; digits are kept as small pictures.
"""

from __future__ import annotations

import colorsys
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from qbcall.media.cardcode import Card, paint, scan, short_name
from qbcall.media.frames import VideoFormat
from qbcall.media.planes import Plane, luma, plane

__all__ = ["Card", "colour_of", "draw", "read", "short_name"]

GLYPHS = "0123456789#:. "
WHITE, PAPER = 235, 200
"""Luma of texts, and of the paper around the bar code."""
NAME_TOP, WORDS_TOP, TRACK_TOP, PAPER_TOP = 0.08, 0.38, 0.58, 0.67
"""Where the parts begin, in parts of the height."""
TURN = 90
"""Frames in which the moving block goes there and back."""


@dataclass(frozen=True, slots=True)
class _Background:
    """What stays the same; planes of shape (height, width)."""

    y: Plane
    u: Plane
    v: Plane


def draw(format: VideoFormat, name: str, counter: int, timestamp: int) -> av.VideoFrame:
    """A test card, yuv420p.

    Args:
        format: its size, at least 68x48 pixels for a readable bar code; `fps` does not matter.
        name: of the participant; the bar code has room for 12 bytes of UTF-8.
        counter: number of the frame, 32 bits.
        timestamp: milliseconds since the epoch, 48 bits.
    """
    frame = av.VideoFrame(format.width, format.height, "yuv420p")
    back = _background(format.width, format.height, name)
    y = plane(frame, 0)
    y[:], plane(frame, 1)[:], plane(frame, 2)[:] = back.y, back.u, back.v
    _write_words(y, counter, timestamp)
    _move_block(y, counter)
    paint(y, Card(name, counter, timestamp))
    return frame


def read(frame: av.VideoFrame) -> Card | None:
    """What the test card in a frame says; None if there is none, or it cannot be read. Never raises."""
    try:
        return scan(luma(frame))
    except Exception:  # a frame of whatever a peer sent: hardware surfaces, formats that cannot be converted
        return None


def colour_of(name: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, that belong to a name."""
    hue = zlib.crc32(name.encode("utf-8", "replace")) % 360 / 360
    red, green, blue = colorsys.hls_to_rgb(hue, 0.30, 0.55)
    return round(red * 255), round(green * 255), round(blue * 255)


def _write_words(y: Plane, counter: int, timestamp: int) -> None:
    width = max(8, y.shape[1] // 16)
    seconds, milliseconds = divmod(timestamp % 2**40, 1000)
    glyphs, number = _glyphs(width), f"#{counter % 10**6:06d}"
    often = [glyphs[letter] for letter in f"{milliseconds:03d}"]
    words = np.hstack([_words(width, number[:5]), _words(width, number[5:]), _clock(width, seconds), *often])
    top, left = round(WORDS_TOP * y.shape[0]), max(0, (y.shape[1] - words.shape[1]) // 2)
    room = y[top : top + words.shape[0], left : left + words.shape[1]]
    np.maximum(room, words[: room.shape[0], : room.shape[1]], out=room)


def _move_block(y: Plane, counter: int) -> None:
    """A block that goes from left to right and back; people see whether the picture is fluent."""
    height, width = y.shape
    side = max(2, height // 18)
    there = abs((counter % TURN) / TURN * 2 - 1)
    left, top = round((width - 3 * side) * there) + side // 2, round(TRACK_TOP * height)
    y[top : top + side, left : left + 2 * side] = WHITE


@lru_cache(maxsize=8)
def _background(width: int, height: int, name: str) -> _Background:
    base = colour_of(name)
    picture = Image.new("RGB", (width, height), base)
    pen = ImageDraw.Draw(picture)
    for line in range(height):
        shade = 1.15 - 0.45 * line / height
        pen.line([(0, line), (width, line)], fill=tuple(min(255, round(part * shade)) for part in base))
    size = height // 4
    while size > 8 and _font(size).getlength(name) > 0.9 * width:
        size -= 1
    pen.text((width / 2, NAME_TOP * height), name, fill="white", font=_font(size), anchor="ma")
    frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(format="yuv420p")
    y, u, v = (plane(frame, index).copy() for index in range(3))
    top = round(PAPER_TOP * height)
    y[top:] = PAPER
    u[top // 2 :], v[top // 2 :] = 128, 128
    return _Background(y, u, v)


@lru_cache(maxsize=128)
def _words(width: int, text: str) -> Plane:
    """A picture of digits that come again."""
    glyphs = _glyphs(width)
    return np.hstack([glyphs[letter] for letter in text])


@lru_cache(maxsize=8)
def _clock(width: int, seconds: int) -> Plane:
    return _words(width, datetime.fromtimestamp(seconds, UTC).strftime("   %H:%M:%S."))


@lru_cache(maxsize=8)
def _glyphs(width: int) -> dict[str, Plane]:
    """Pictures of digits, all equally wide, so that 22 of them fill most of a line."""
    size = max(7, round(width * 1.05))
    font = _font(size)
    wide = max(1, round(font.getlength("0")) + 1)
    pictures: dict[str, Plane] = {}
    for letter in GLYPHS:
        picture = Image.new("L", (wide, size + size // 4))
        ImageDraw.Draw(picture).text((wide / 2, 0), letter, fill=WHITE, font=font, anchor="ma")
        pictures[letter] = np.asarray(picture)
    return pictures


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
