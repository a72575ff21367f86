"""The table at the end of a run: what both sides of each scenario decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One direction pair of one scenario."""

    scenario: str
    roles: str
    """Who called whom, e.g. `qbcall 1001 > JS 1002`."""
    connected: float
    """Seconds from the invitation to the connection, at qbcall's side; in a group call, from the later accept."""
    py_video: int
    """Frames that qbcall decoded."""
    py_audio: int
    """Blocks of sound that qbcall decoded."""
    js_video: int
    """Frames that the browser decoded."""
    js_audio: int
    """Packets of sound that the browser got."""


HEAD = ("scenario", "roles", "connected/s", "qbcall video", "audio", "JS video", "audio")


def lines(rows: list[Row]) -> Iterator[str]:
    """The table, line by line."""
    cells = [HEAD] + [
        tuple(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in astuple(r)) for r in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    for line in cells:
        yield "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
