"""What peers ask of a shared encoder, on a clock that is an argument."""

from __future__ import annotations

import itertools
import random

import pytest

from qbcall.adapters.rtc_demand import (
    GROWTH,
    PATIENCE,
    RUNGS,
    SPACING,
    START,
    Completions,
    Demand,
    Ladder,
)

MOST = 1_500_000


# -- the rate --------------------------------------------------------------------------------------------------------


def test_less_is_made_at_once() -> None:
    ladder = Ladder(MOST)
    assert ladder.climb(0.0, 1_400_000) == START
    assert ladder.climb(2.0, 1_400_000) == 1_000_000
    assert ladder.climb(2.1, 930_000) == 700_000
    assert ladder.climb(2.2, 200_000) == 150_000


def test_more_is_made_only_when_it_was_asked_for_all_the_time() -> None:
    ladder = Ladder(MOST)
    assert ladder.climb(0.0, 800_000) == START
    assert ladder.climb(PATIENCE - 0.01, 800_000) == START
    assert ladder.climb(PATIENCE, 800_000) == 700_000


def test_a_dip_starts_the_wait_anew() -> None:
    ladder = Ladder(MOST)
    ladder.climb(0.0, 800_000)
    ladder.climb(1.9, 500_000)
    assert ladder.climb(2.0, 800_000) == START
    assert ladder.climb(3.9, 800_000) == START
    assert ladder.climb(4.0, 800_000) == 700_000


def test_no_more_is_made_than_the_least_that_was_asked_for_in_the_meantime() -> None:
    ladder = Ladder(MOST)
    ladder.climb(0.0, 1_500_000)
    ladder.climb(1.0, 700_000)
    assert ladder.climb(2.0, 1_500_000) == 700_000


@pytest.mark.parametrize(("asked", "rate"), [(0, RUNGS[0]), (1, RUNGS[0]), (10**18, MOST), (-5, RUNGS[0])])
def test_nonsense_stays_within_the_ladder(asked: int, rate: int) -> None:
    ladder = Ladder(MOST)
    ladder.climb(0.0, asked)
    assert ladder.climb(PATIENCE, asked) == rate


def test_noisy_estimates_seldom_change_the_rate() -> None:
    """Each change costs a complete picture for everybody."""
    dice, ladder = random.Random(1), Ladder(MOST)
    rates = [ladder.climb(0.1 * step, round(800_000 * dice.uniform(0.9, 1.1))) for step in range(600)]
    assert sum(one != other for one, other in itertools.pairwise(rates)) <= 1


# -- one peer --------------------------------------------------------------------------------------------------------


def reported(*fractions: float, demand: Demand, rate: int, start: float = 0.0) -> int | None:
    """What is asked for after a report each second of 100 packets, of which such parts were lost."""
    lost = 0.0
    demand.report(start, lost=0, highest=0, rate=rate)
    for number, fraction in enumerate(fractions, 1):
        lost += 100 * fraction
        demand.report(start + number, lost=round(lost), highest=100 * number, rate=rate)
    return demand.bits


def test_peer_that_says_nothing_asks_for_nothing() -> None:
    assert Demand().bits is None


def test_estimate_of_the_peer_counts() -> None:
    demand = Demand()
    demand.estimate(1_400_000)
    assert demand.bits == 1_400_000
    demand.estimate(90_000)
    assert demand.bits == 90_000


def test_heavy_loss_takes_half_of_its_part_away() -> None:
    demand = Demand()
    demand.estimate(1_400_000)
    assert reported(0.2, demand=demand, rate=1_000_000) == 900_000


def test_medium_loss_changes_nothing() -> None:
    demand = Demand()
    demand.estimate(1_400_000)
    assert reported(0.05, 0.09, 0.03, demand=demand, rate=1_000_000) == 1_400_000


def test_what_loss_took_comes_back_slowly_when_it_is_over() -> None:
    demand = Demand()
    demand.estimate(1_400_000)
    assert reported(0.5, 0.0, demand=demand, rate=1_000_000) == round(750_000 * GROWTH)
    reported(*[0.0] * 30, demand=demand, rate=1_000_000, start=10.0)
    assert demand.bits == 1_400_000


def test_lasting_loss_ends_at_the_lowest_rung() -> None:
    demand = Demand()
    demand.estimate(1_400_000)
    assert reported(*[1.0] * 20, demand=demand, rate=150_000) == RUNGS[0]


def test_reports_in_quick_succession_are_judged_together() -> None:
    """Browsers report with each NACK: a few packets say little."""
    demand = Demand()
    demand.estimate(1_400_000)
    for step in range(10):
        demand.report(0.1 * step, lost=step // 5, highest=30 * step, rate=1_000_000)
    assert demand.bits == 1_400_000


@pytest.mark.parametrize(
    "reports",
    [
        [(0, 0), (-(1 << 23), 1 << 31), ((1 << 23) - 1, (1 << 32) - 1)],
        [(50, 1000), (0, 0), (0, 0), (10, 100)],
        [(5, 5)] * 5,
    ],
)
def test_nonsense_in_reports_does_no_harm(reports: list[tuple[int, int]]) -> None:
    """RFC 3550: 24 bits with sign, and 32 bits without."""
    demand = Demand()
    for at, (lost, highest) in enumerate(reports):
        demand.report(float(at), lost=lost, highest=highest, rate=START)
    assert demand.bits is None or RUNGS[0] <= demand.bits <= START


# -- complete pictures -----------------------------------------------------------------------------------------------


def test_six_hundred_requests_make_one_picture_each_300_ms() -> None:
    completions, made = Completions(), []
    for step in range(600):
        at = step / 300
        completions.ask()
        if completions.are_due(at):
            made.append(at)
            completions.made(at)
    assert made[0] == 0
    assert len(made) == 7  # in 2 s
    assert min(later - earlier for earlier, later in itertools.pairwise(made)) >= SPACING - 0.001


def test_request_in_between_is_kept_until_its_time() -> None:
    completions = Completions()
    completions.made(10.0)
    assert completions.wait(10.1) is None
    completions.ask()
    assert completions.wait(10.1) == pytest.approx(0.2)
    assert not completions.are_due(10.1)
    assert completions.are_due(10.3)
    completions.made(10.3)
    assert completions.wait(11.0) is None
    assert not completions.are_due(11.0)


def test_first_request_need_not_wait() -> None:
    completions = Completions()
    completions.ask()
    assert completions.are_due(0.0)
    assert not completions.is_recent(0.0)
