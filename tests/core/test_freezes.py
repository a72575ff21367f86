"""When a picture stands still."""

from __future__ import annotations

import pytest

from qbcall.core.freezes import Freezes


def shown(*times: float) -> Freezes:
    freezes = Freezes()
    for time in times:
        freezes.show(time)
    return freezes


STEADY = tuple(step / 25 for step in range(26))
"""25 pictures per second, the last one at 1.0."""


def test_nothing_is_known_before_the_first_picture() -> None:
    assert Freezes().read(5.0) == (None, None)


def test_steady_pictures_never_freeze() -> None:
    assert shown(*STEADY).read(1.04) == (0, 0)


def test_gap_of_the_definition_is_a_freeze() -> None:
    """The greater of three times the average, and the average and 150 ms: here 190 ms."""
    assert shown(*STEADY, 1.189).read(1.2)[0] == 0
    assert shown(*STEADY, 1.191).read(1.2) == pytest.approx((1, 0.191))


def test_slow_pictures_may_take_three_intervals() -> None:
    freezes = shown(0, 1, 2, 3)
    freezes.show(5.9)
    assert freezes.read(6.0)[0] == 0
    freezes.show(11.0)
    assert freezes.read(11.0) == pytest.approx((1, 5.1))


def test_freeze_that_goes_on_is_counted_once() -> None:
    freezes = shown(*STEADY)
    assert freezes.read(1.5) == pytest.approx((1, 0.5))
    assert freezes.read(2.5) == pytest.approx((1, 1.5))
    freezes.show(3.0)
    assert freezes.read(3.0) == pytest.approx((1, 2.0))


def test_time_in_which_nobody_looks_is_no_freeze() -> None:
    freezes = shown(*STEADY)
    freezes.pause()
    assert freezes.read(9.0) == (0, 0)
    freezes.show(9.0)
    assert freezes.read(9.0) == (0, 0)


def test_usual_interval_is_that_of_the_newest_pictures() -> None:
    freezes = shown(*(float(second) for second in range(5)), *(4 + step / 25 for step in range(1, 41)))
    freezes.show(5.6 + 0.25)
    assert freezes.read(5.85)[0] == 1
