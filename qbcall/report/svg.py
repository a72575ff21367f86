"""Plots as SVG, drawn by hand: lines over time, and states as bands. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qbcall.core.model import MediaKind
from qbcall.report.axes import Axis, clock, exact, number, ticks, time_ticks
from qbcall.report.markup import Markup, element
from qbcall.report.series import Band, Line, Point

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 10, 24
"""Room around a plot, for the labels."""
WIDE, NAMES = 1310, 190
"""Width of the bands, and the room for their names."""
ROW, BAR = 26, 18
LETTER = 6.6
"""Width of a letter in a band."""
MOST_LETTERS = 26
"""In the name of a row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of states."""

    name: str
    bands: Sequence[Band]


def path(points: Sequence[Point], x: Axis, y: Axis) -> str:
    """The outline of a line (SVG 2, section 9.3): broken at gaps; a point alone between two is a dot."""
    parts: list[str] = []
    pen_down = False
    for place, (at, value) in enumerate(points):
        if value is None:
            pen_down = False
            continue
        where = f"{x.at(at):g},{y.at(value):g}"
        alone = not pen_down and (place + 1 == len(points) or points[place + 1][1] is None)
        parts.append(f"L{where}" if pen_down else f"M{where}h0" if alone else f"M{where}")
        pen_down = True
    return "".join(parts)


def plot(label: str, unit: str, lines: Sequence[Line], end: float, *, low: float, least: float) -> Markup:
    """Lines over the time from 0 to `end` seconds; the scale goes from `low` to `least` or higher."""
    marks = ticks(low, max([least, *(value for line in lines for value in line.values)]))
    x = Axis(0.0, end, LEFT, WIDTH - RIGHT)
    y = Axis(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    grid = [
        element("g", _across(y.at(mark)), _text(LEFT - 7, y.at(mark) + 4, number(mark), anchor="end"))
        for mark in marks
    ]
    drawn = [_line(line, unit, x, y) for line in lines]
    empty = None if lines else _text((LEFT + WIDTH) / 2, HEIGHT / 2, "nothing is known", anchor="middle")
    return _picture(label, WIDTH, HEIGHT, *grid, *_time(x, HEIGHT - BOTTOM, TOP), *drawn, empty)


def states(label: str, rows: Sequence[Row], classes: dict[str, str], end: float) -> Markup:
    """A row of bands for each; `classes` has the CSS class of a state."""
    x = Axis(0.0, end, NAMES, WIDE - RIGHT)
    bottom = TOP + ROW * len(rows)
    drawn: list[Markup] = []
    for number_, row in enumerate(rows):
        top = TOP + ROW * number_
        drawn.append(_text(NAMES - 10, top + BAR - 4, _short(row.name), anchor="end", title=row.name))
        drawn += [_band(row.name, band, x, top, classes.get(band.state, "idle")) for band in row.bands]
    return _picture(label, WIDE, bottom + BOTTOM, *_time(x, bottom, TOP, most=16), *drawn)


# -- parts -----------------------------------------------------------------------------------------------------------


def _picture(label: str, width: float, height: float, *parts: object) -> Markup:
    return element("svg", *parts, viewBox=f"0 0 {width} {height}", role="img", aria_label=label)


def _line(line: Line, unit: str, x: Axis, y: Axis) -> Markup:
    kind = "both" if line.kind is None else line.kind.value
    title = f"{line.name}: {summed_up(line, unit)}"
    return element(
        "path", element("title", title), d=path(line.points, x, y), class_=f"line user{line.peer % 3} {kind}"
    )


def summed_up(line: Line, unit: str) -> str:
    """The least, the mean and the greatest value."""
    values = line.values
    mean = sum(values) / len(values)
    return f"{number(min(values))} to {number(max(values))}, mean {number(mean)} {unit}"


def _band(name: str, band: Band, x: Axis, top: float, class_: str) -> Markup:
    left, right = x.at(band.start), x.at(band.end)
    width = max(1.0, round(right - left, 1))
    detail = f": {band.detail}" if band.detail else ""
    title = f"{name}: {band.state}, {exact(band.start)} to {exact(band.end)}{detail}"
    fits = width > LETTER * (len(band.state) + 1)
    return element(
        "g",
        element("title", title),
        element("rect", x=left, y=top, width=width, height=BAR, rx=3),
        _text(left + 6, top + BAR - 5, band.state) if fits else None,
        class_=f"band {class_}",
    )


def _time(x: Axis, bottom: float, top: float, most: int = 8) -> list[Markup]:
    """Lines upward, with times below."""
    return [
        element(
            "g",
            element("line", x1=x.at(mark), x2=x.at(mark), y1=top, y2=bottom + 4, class_="grid"),
            _text(x.at(mark), bottom + 17, clock(mark), anchor="middle"),
        )
        for mark in time_ticks(x.high, most)
    ]


def _across(y: float) -> Markup:
    return element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")


def _text(x: float, y: float, words: str, *, anchor: str | None = None, title: str | None = None) -> Markup:
    full = None if title in (None, words) else element("title", title)
    return element("text", full, words, x=x, y=y, text_anchor=anchor)


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"


def swatch(peer: int | None, kind: MediaKind | None) -> Markup:
    """A piece of a line, for a legend; of no user: in grey."""
    colour = "" if peer is None else f" user{peer % 3}"
    drawn = element("path", d="M2,6h32", class_=f"line{colour} {kind.value if kind else 'both'}")
    return element("svg", drawn, viewBox="0 0 36 12", class_="swatch", aria_hidden="true")
