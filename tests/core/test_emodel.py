"""The estimate of how sound is judged."""

from __future__ import annotations

import pytest

from qbcall.core.emodel import HELD, mos, opinion, rating


def test_rating_without_impairment_is_that_of_the_recommendation() -> None:
    """G.107, table 3 and annex B: R = 93.2 is a MOS of 4.41."""
    assert rating(0, 0) == pytest.approx(93.2)
    assert opinion(93.2) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(("r", "score"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_opinion_is_that_of_the_table_of_the_recommendation(r: float, score: float) -> None:
    """G.107, table B.1."""
    assert opinion(r) == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize(("r", "score"), [(-5, 1.0), (0, 1.0), (3, 1.0), (100, 4.5), (130, 4.5)])
def test_opinion_stays_within_its_scale(r: float, score: float) -> None:
    assert opinion(r) == score


def test_delay_hurts_more_beyond_the_knee() -> None:
    assert rating(0.1, 0) == pytest.approx(93.2 - 2.4)
    assert rating(0.3, 0) == pytest.approx(93.2 - 7.2 - 0.11 * (300 - 177.3))


def test_loss_of_as_much_as_the_robustness_takes_half() -> None:
    """Ie,eff = 95/2 where Ppl = Bpl."""
    assert rating(0, 0.251) == pytest.approx(93.2 - 47.5)


@pytest.mark.parametrize("loss", [-0.5, 1.5])
def test_impossible_losses_are_taken_as_the_nearest_possible(loss: float) -> None:
    assert rating(0, loss) == rating(0, float(loss > 0))


def test_score_is_of_half_the_round_trip_and_falls_with_each_impairment() -> None:
    best = mos(0.02, 0, 0)
    assert best == opinion(rating(0.01 + HELD, 0))
    for round_trip, jitter, loss in ((0.8, 0, 0), (0.02, 0.1, 0), (0.02, 0, 0.05)):
        worse = mos(round_trip, jitter, loss)
        assert worse is not None
        assert best is not None
        assert 1 <= worse < best


def test_score_is_unknown_while_too_little_is_known() -> None:
    assert mos(None, 0.01, 0.0) is None
    assert mos(0.1, 0.01, None) is None
    assert mos(0.1, None, 0.0) is not None
