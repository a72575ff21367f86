"""Lines out of samples: every figure, and gaps where nothing is known."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from qbcall.core.model import StatsReport, StreamStats
from qbcall.report.document import Change, Sample
from qbcall.report.figures import FIGURES
from qbcall.report.series import Band, Figure, bands, grown, lines, scaled
from tests.report.examples import AUDIO, BOB, CAT, FULL, VIDEO, measured, peer

NAMED = pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: f"{figure.title} {figure.direction}")
EXPECTED = {
    "Bit rate": 64.0,
    "Pictures per second": 15.0,
    "Packets lost": 1.0,
    "Jitter": 3.0,
    "Round trip": 20.0,
    "Sound, as it would be judged": 4.2,
    "Loudness": 20.0,
    "Delay of test cards": 80.0,
    "Standing picture": 0.0,
}


@NAMED
def test_figure_is_read_in_its_unit(figure: Figure) -> None:
    """QB-139."""
    found = lines(figure, [peer(BOB, FULL, replace(FULL, at=3.0))])
    assert len(found) == (len(figure.kinds) if figure.direction else 1)
    for line in found:
        assert line.values[-1] == pytest.approx(
            EXPECTED[figure.title.partition(", received")[0].partition(", sent")[0]]
        )


@NAMED
def test_figure_that_is_not_known_is_a_gap_and_not_an_error(figure: Figure) -> None:
    """QB-139: at the start, in the middle, at the end, and of users who were never connected."""
    nothing = Sample(at=3.0, report=StatsReport())
    bare = Sample(at=4.0, report=StatsReport(sent={AUDIO: StreamStats()}, received={VIDEO: StreamStats()}))
    samples = [replace(bare, at=0.5), replace(FULL, at=1.0), FULL, nothing, bare, replace(FULL, at=5.0)]
    assert lines(figure, [peer(BOB), peer(CAT, nothing, bare)]) == []
    for line in lines(figure, [peer(BOB, *samples)]):
        known = dict(line.points)
        assert known.get(3.0) is None
        assert known[2.0] is not None


def test_numbers_that_are_none_are_unknown() -> None:
    assert [scaled(value, 2.0) for value in (None, float("nan"), float("inf"), 3.0)] == [None, None, None, 6.0]


def test_every_figure_of_a_stream_has_a_value_in_the_example() -> None:
    given = FULL.report.received[VIDEO]
    assert [one.name for one in fields(given) if getattr(given, one.name) is None] == []


def test_line_is_broken_where_nothing_was_measured_for_long() -> None:
    times = (1.0, 2.0, 3.0, 9.0, 10.0)
    figure = next(one for one in FIGURES if one.direction == "sent")
    line = lines(figure, [peer(BOB, *(measured(at, bitrate=1e3) for at in times))])[0]
    assert line.points == ((1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (6.0, None), (9.0, 1.0), (10.0, 1.0))


def test_sum_is_shown_as_what_it_grew() -> None:
    points = [(1.0, None), (2.0, 0.5), (4.0, 1.5), (4.0, 1.5), (5.0, 1.0), (6.0, 9.0), (7.0, None), (8.0, 9.0)]
    assert grown(points, 100.0) == [
        (2.0, 50.0),
        (4.0, 50.0),
        (4.0, None),
        (5.0, 0.0),
        (6.0, 100.0),
        (7.0, None),
        (8.0, 100.0),
    ]
    assert grown([], 100.0) == []


def test_states_are_bands_until_the_next_or_the_end() -> None:
    changes = [Change(at=0.0, state="a"), Change(at=1.0, state="b"), Change(at=1.0, state="c", detail="why")]
    assert bands(changes, 5.0) == [Band(0.0, 1.0, "a", ""), Band(1.0, 5.0, "c", "why")]
    assert bands(changes, 0.5)[-1].state == "a"
    assert bands([], 5.0) == []
