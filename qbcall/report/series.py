"""Lines for a plot out of samples: what is missing is a gap. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from qbcall.core.model import MediaKind, StatsReport, StreamStats
from qbcall.report.document import Change, PeerPart, Sample

Point = tuple[float, float | None]
"""Seconds since the call was made, and a value; None: unknown."""
SLOW = 3.0
"""Times the usual interval between two samples after which the line is broken: nothing was measured in between."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What a plot shows."""

    title: str
    unit: str
    read: Callable[[StatsReport, StreamStats], float | None]
    """The value of a stream, in the unit."""
    direction: str = ""
    """`received` or `sent`; empty: of the connection, whatever the stream."""
    kinds: tuple[MediaKind, ...] = (MediaKind.AUDIO, MediaKind.VIDEO)
    low: float = 0.0
    """Where the scale begins."""
    least: float = 1.0
    """What it reaches at least."""
    growing: float | None = None
    """The value is a sum: what is shown is its growth per second, times this, and never more than this."""
    optional: bool = False
    """Left out where nothing is known."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot."""

    name: str
    peer: int
    """Which of the users, from 0."""
    kind: MediaKind | None
    """None: of the connection."""
    points: tuple[Point, ...]

    @property
    def values(self) -> list[float]:
        """Those that are known."""
        return [value for _, value in self.points if value is not None]


@dataclass(frozen=True, slots=True)
class Band:
    """A state that lasted."""

    start: float
    end: float
    state: str
    detail: str


def scaled(value: float | None, factor: float) -> float | None:
    """A value in another unit; None stays None, and what is no number is unknown."""
    return value * factor if value is not None and math.isfinite(value) else None


def lines(figure: Figure, peers: Sequence[PeerPart]) -> list[Line]:
    """The lines of a plot, without those of which nothing is known."""
    found = []
    for number, peer in enumerate(peers):
        if not figure.direction:
            points = [(sample.at, figure.read(sample.report, StreamStats())) for sample in peer.samples]
            found.append(Line(peer.user, number, None, tuple(_with_gaps(points))))
            continue
        for kind in figure.kinds:
            points = _points(figure, peer, kind)
            found.append(Line(f"{peer.user}, {kind.value}", number, kind, tuple(_with_gaps(points))))
    return [line for line in found if line.values]


def grown(points: Sequence[Point], factor: float) -> list[Point]:
    """How much a sum grew per second, times a factor, 0 at least and the factor at most."""
    found: list[Point] = []
    for (since, was), (at, value) in pairwise(points):
        known = value is not None and at > since
        found.append(
            (at, min(factor, max(0.0, factor * ((value or 0) - (was or 0)) / (at - since))) if known else None)
        )
    return found


def bands(changes: Sequence[Change], end: float) -> list[Band]:
    """The states one after the other, until the end; those that took no time are left out."""
    ends = [*(change.at for change in changes[1:]), max(end, changes[-1].at)] if changes else []
    return [
        Band(change.at, until, change.state, change.detail)
        for change, until in zip(changes, ends, strict=True)
        if until > change.at
    ]


def _points(figure: Figure, peer: PeerPart, kind: MediaKind) -> list[Point]:
    points = [(sample.at, _value(figure, sample, kind)) for sample in peer.samples]
    return points if figure.growing is None else grown(points, figure.growing)


def _value(figure: Figure, sample: Sample, kind: MediaKind) -> float | None:
    streams = sample.report.sent if figure.direction == "sent" else sample.report.received
    stream = streams.get(kind)
    return None if stream is None else figure.read(sample.report, stream)


def _with_gaps(points: Sequence[Point]) -> Iterator[Point]:
    """With a gap where nothing was measured for long."""
    steps = sorted(other[0] - one[0] for one, other in pairwise(points))
    usual = steps[len(steps) // 2] if steps else 0.0
    for place, point in enumerate(points):
        if place and point[0] - points[place - 1][0] > SLOW * usual:
            yield (points[place - 1][0] + point[0]) / 2, None
        yield point
