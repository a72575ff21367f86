"""Scales, ticks and labels."""

from __future__ import annotations

import pytest

from qbcall.report.axes import Axis, clock, exact, number, ticks, time_ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 733, [0, 200, 400, 600, 800]),
        (1, 5, [1, 2, 3, 4, 5]),
        (0, 0, [0, 1]),
        (0, float("inf"), [0, 1]),
    ],
)
def test_ticks_are_round_and_reach_the_end(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("end", [0.4, 1.0, 7.0, 59.0, 61.0, 3601.0, 90_000.0, 10.0**7])
def test_times_are_few_and_within_the_axis(end: float) -> None:
    marks = time_ticks(end)
    assert marks[0] == 0
    assert marks[-1] <= end
    assert len(marks) <= 10


def test_axis_maps_its_ends_and_holds_what_is_beyond() -> None:
    axis = Axis(0.0, 10.0, 100, 0)
    assert [axis.at(value) for value in (-1, 0, 2.5, 10, 11)] == [100, 100, 75, 0, 0]


def test_times_read_like_a_stopwatch() -> None:
    assert [clock(time) for time in (0, 7.9, 65, 3723)] == ["0:00", "0:07", "1:05", "1:02:03"]
    assert [exact(time) for time in (0.04, 7.96, 59.97)] == ["0:00.0", "0:08.0", "1:00.0"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.05, "0.05"), (0.0004, "0"), (12.34, "12.3"), (100.0, "100"), (1234.6, "1235"), (float("nan"), "-")],
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text
