"""One picture of who saw whom: a row for each participant, a column for each of the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

CELL = (240, 180)
"""Width and height of one picture, in pixels."""
GAP, MARGIN, LABELS, HEAD = 12, 28, 132, 104
"""Pixels between pictures, around everything, for the names of the rows, and above the pictures."""
PAPER, INK, FAINT, FRAME, EMPTY, CROSS = "#f6f5f1", "#22242a", "#7c808a", "#d5d3cb", "#eae8e1", "#b3403a"

Picture = av.VideoFrame | Image.Image | Path | str
"""A frame, an image, or the path of an image file."""


def contact_sheet(rows: Mapping[str, Mapping[str, Picture | None]], path: Path, *, title: str = "") -> None:
    """Write a contact sheet as PNG.

    Args:
        rows: for each participant, what it saw of each. A picture that is missing or cannot be read is crossed out.
        path: the file to write.
        title: the headline; default: who sees whom, and in how many directions.

    Raises:
        OSError: it cannot be written.
    """
    names = list(rows)
    size = (
        2 * MARGIN + LABELS + len(names) * (CELL[0] + GAP) - GAP,
        2 * MARGIN + HEAD + len(names) * (CELL[1] + GAP) - GAP,
    )
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    seen = 0
    for row, viewer in enumerate(names):
        _name(pen, (MARGIN + LABELS - 20, _top(row) + CELL[1] // 2), viewer, "rm")
        _name(pen, (_left(row) + CELL[0] // 2, MARGIN + HEAD - 14), viewer, "ms")
        for column, shown in enumerate(names):
            place = (_left(column), _top(row))
            picture = None if viewer == shown else _load(rows[viewer].get(shown))
            seen += picture is not None
            _cell(sheet, place, picture, itself=viewer == shown)
    directions = len(names) * (len(names) - 1)
    pen.text((MARGIN, MARGIN - 6), title or "Who sees whom", fill=INK, font=_font(30))
    told = f"{seen} of {directions} directions · each row is what one participant saw of the others"
    pen.text((MARGIN, MARGIN + 34), told, fill=FAINT, font=_font(16))
    sheet.save(path, format="PNG")


def _left(column: int) -> int:
    return MARGIN + LABELS + column * (CELL[0] + GAP)


def _top(row: int) -> int:
    return MARGIN + HEAD + row * (CELL[1] + GAP)


def _cell(sheet: Image.Image, place: tuple[int, int], picture: Image.Image | None, *, itself: bool) -> None:
    pen = ImageDraw.Draw(sheet)
    box = (*place, place[0] + CELL[0] - 1, place[1] + CELL[1] - 1)
    middle = ((box[0] + box[2]) // 2, (box[1] + box[3]) // 2)
    if picture is not None:
        pen.rectangle(box, fill=INK)
        sheet.paste(picture, (place[0] + (CELL[0] - picture.width) // 2, place[1] + (CELL[1] - picture.height) // 2))
        return
    pen.rectangle(box, fill=EMPTY, outline=FRAME)
    if itself:
        pen.text(middle, "itself", fill=FAINT, font=_font(16), anchor="mm")
        return
    inset = (box[0] + 30, box[1] + 24, box[2] - 30, box[3] - 24)
    pen.line(inset, fill=CROSS, width=3)
    pen.line((inset[0], inset[3], inset[2], inset[1]), fill=CROSS, width=3)
    pen.text((middle[0], box[3] - 8), "nothing seen", fill=CROSS, font=_font(14), anchor="ms")


def _name(pen: ImageDraw.ImageDraw, place: tuple[int, int], name: str, anchor: str) -> None:
    size = 22
    while size > 9 and _font(size).getlength(name) > LABELS - 24:
        size -= 1
    pen.text(place, name, fill=INK, font=_font(size), anchor=anchor)


def _load(picture: Picture | None) -> Image.Image | None:
    """A picture that fits a cell; None: there is none, or it cannot be read."""
    try:
        if picture is None:
            return None
        if isinstance(picture, av.VideoFrame):
            image = Image.fromarray(picture.to_ndarray(format="rgb24"))
        elif isinstance(picture, Image.Image):
            image = picture.convert("RGB")
        else:
            with Image.open(picture) as opened:
                image = opened.convert("RGB")
    except (OSError, ValueError):
        return None
    scale = min(CELL[0] / image.width, CELL[1] / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
