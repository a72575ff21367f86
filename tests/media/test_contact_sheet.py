"""The contact sheet shows who saw whom."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image

from qbcall.media.contact_sheet import CELL, CROSS, EMPTY, Picture, contact_sheet
from qbcall.media.testcard import read
from tests.media.pieces import cards


def cell(sheet: Image.Image, row: int, column: int, rows: int) -> Image.Image:
    """The picture in a cell, found from the lower right corner."""
    left = sheet.width - 28 - (rows - column) * CELL[0] - (rows - column - 1) * 12
    top = sheet.height - 28 - (rows - row) * CELL[1] - (rows - row - 1) * 12
    return sheet.crop((left, top, left + CELL[0], top + CELL[1]))


def shows(picture: Image.Image) -> str | None:
    card = read(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24"))
    return None if card is None else card.name


def test_each_cell_shows_what_its_row_saw_of_its_column(tmp_path: Path) -> None:
    names = ("ann", "bob", "cat")
    frames = {name: next(cards(name, 320, 240)) for name in names}
    on_disk = tmp_path / "cat.png"
    Image.fromarray(frames["cat"].to_ndarray(format="rgb24")).save(on_disk)
    rows: dict[str, dict[str, Picture]] = {
        "ann": {"bob": frames["bob"], "cat": on_disk},
        "bob": {"ann": Image.fromarray(frames["ann"].to_ndarray(format="rgb24")), "cat": str(on_disk)},
        "cat": {"ann": frames["ann"], "bob": frames["bob"], "cat": on_disk},
    }
    path = tmp_path / "sheet.png"
    contact_sheet(rows, path)
    with Image.open(path) as sheet:
        for row, viewer in enumerate(names):
            for column, shown in enumerate(names):
                assert shows(cell(sheet, row, column, 3)) == (None if viewer == shown else shown)


def test_what_is_missing_or_unreadable_is_crossed_out(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    path = tmp_path / "sheet.png"
    contact_sheet({"ann": {"bob": tmp_path / "none.png"}, "bob": {"ann": broken}, "cat": {"bob": None}}, path)
    with Image.open(path) as sheet:
        for row in range(3):
            for column in range(3):
                colours = {
                    f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.asarray(cell(sheet, row, column, 3)).reshape(-1, 3)
                }
                assert EMPTY in colours
                assert (CROSS in colours) == (row != column)


def test_picture_of_another_shape_keeps_its_proportions(tmp_path: Path) -> None:
    wide = next(cards("bob", 320, 90))
    path = tmp_path / "sheet.png"
    contact_sheet({"ann": {"bob": wide}, "bob": {}}, path)
    with Image.open(path) as sheet:
        picture = np.asarray(cell(sheet, 0, 1, 2))
        assert shows(cell(sheet, 0, 1, 2).crop((0, 56, 240, 124))) == "bob"
        assert picture[:50].std(axis=(0, 1)).max() < 1
