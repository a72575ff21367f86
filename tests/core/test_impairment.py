"""What becomes of datagrams on a bad network, on a virtual clock."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbcall.core.impairment import HEADERS, LONGEST_QUEUE, Blackout, Conditions, Crossing
from qbcall.errors import InvalidArgument

SIZE = 972
"""Bytes of content: with its headers, such a datagram has 8000 bits."""
BITS = (SIZE + HEADERS) * 8


def crossing(seed: int = 7, **conditions: object) -> Crossing:
    return Crossing(Conditions(**conditions), random.Random(seed).random)  # type: ignore[arg-type]  # names them below


def arrivals(one: Crossing, count: int, interval: float, began: float | None = None) -> list[float | None]:
    """Of datagrams that are sent regularly, from the time 0 on."""
    return [one.arrival(number * interval, SIZE, began) for number in range(count)]


def travelled(told: list[float | None], interval: float) -> list[float]:
    """How long each was on its way, of those that arrived."""
    return [at - number * interval for number, at in enumerate(told) if at is not None]


def test_good_network_delivers_at_once() -> None:
    assert arrivals(crossing(), 3, 0.5) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.1, 0.5, 1.0])
def test_part_of_the_datagrams_is_lost(loss: float) -> None:
    """Within four standard deviations; at the ends exactly."""
    count = 20_000
    lost = arrivals(crossing(loss=loss), count, 0.01).count(None)
    assert abs(lost - loss * count) <= 4 * (loss * (1 - loss) * count) ** 0.5


def test_losses_do_not_depend_on_each_other() -> None:
    told = arrivals(crossing(loss=0.1), 50_000, 0.01)
    after_a_loss = [second for first, second in pairwise(told) if first is None]
    assert after_a_loss.count(None) / len(after_a_loss) == pytest.approx(0.1, abs=0.02)


def test_same_seed_has_the_same_fate() -> None:
    bad = {"loss": 0.2, "delay": 0.05, "jitter": 0.02}
    assert arrivals(crossing(7, **bad), 500, 0.01) == arrivals(crossing(7, **bad), 500, 0.01)
    assert arrivals(crossing(7, **bad), 500, 0.01) != arrivals(crossing(8, **bad), 500, 0.01)


def test_fate_of_one_datagram_changes_no_other() -> None:
    """Each takes as many random numbers: a blackout or a full queue moves none."""
    good = arrivals(crossing(loss=0.3), 100, 0.1, began=0.0)
    dark = arrivals(crossing(loss=0.3, blackouts=(Blackout(2.0, 3.0),)), 100, 0.1, began=0.0)
    assert dark[:30] == good[:30]
    assert dark[30:50] == [None] * 20
    assert dark[50:] == good[50:]


def test_delay_without_jitter_is_the_same_for_all() -> None:
    assert travelled(arrivals(crossing(delay=0.08), 100, 0.01), 0.01) == pytest.approx([0.08] * 100)


def test_jitter_spreads_the_delay_evenly_and_reorders() -> None:
    told = arrivals(crossing(delay=0.08, jitter=0.02), 20_000, 0.001)
    times = travelled(told, 0.001)
    assert 0.06 <= min(times) < 0.0601
    assert 0.0999 < max(times) <= 0.1
    assert sum(times) / len(times) == pytest.approx(0.08, abs=0.0005)
    assert sum(time < 0.07 for time in times) / len(times) == pytest.approx(0.25, abs=0.02)
    assert told != sorted(at for at in told if at is not None)


def test_jitter_that_would_arrive_before_it_was_sent_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"jitter must be at most the delay \(0.01 s\), not 0.02 s"):
        Conditions(delay=0.01, jitter=0.02)


def test_line_of_limited_rate_takes_its_time() -> None:
    assert arrivals(crossing(rate=BITS * 10.0), 3, 1.0) == pytest.approx([0.1, 1.1, 2.1])
    assert arrivals(crossing(rate=BITS * 10.0), 3, 0.0) == pytest.approx([0.1, 0.2, 0.3])


def test_more_than_the_line_takes_is_dropped_at_the_tail() -> None:
    told = arrivals(crossing(rate=300_000.0), 10_000, BITS / 600_000)  # twice as much as passes
    times = travelled(told, BITS / 600_000)
    passed = len(times) * BITS / (10_000 * BITS / 600_000)
    assert passed == pytest.approx(300_000, rel=0.01)
    assert max(times) <= LONGEST_QUEUE + BITS / 300_000 + 1e-9
    assert min(times[-1000:]) > LONGEST_QUEUE - BITS / 300_000, "the queue stays full"


def test_large_datagram_passes_a_slow_line_when_it_is_free() -> None:
    one = crossing(rate=8000.0)
    assert one.arrival(0.0, SIZE, None) == pytest.approx(1.0)
    assert one.arrival(0.5, SIZE, None) is None
    assert one.arrival(0.9, SIZE, None) == pytest.approx(2.0)


def test_lost_datagrams_take_no_room_on_the_line() -> None:
    assert arrivals(crossing(loss=1.0, rate=8000.0), 5, 0.0) == [None] * 5
    one = crossing(loss=0.5, rate=BITS * 10.0)
    passed = [at for at in arrivals(one, 4, 0.0) if at is not None]
    assert passed == pytest.approx([0.1 * (number + 1) for number in range(len(passed))])


@pytest.mark.parametrize(
    ("now", "passes"), [(99.9, True), (109.9, True), (109.96, False), (110.0, False), (112.9, False), (113.0, True)]
)
def test_nothing_is_on_its_way_during_a_blackout(now: float, passes: bool) -> None:
    """3 s, 10 s after media began at 100 s; a datagram takes 50 ms."""
    one = crossing(delay=0.05, blackouts=(Blackout(3.0, 10.0),))
    assert (one.arrival(now, SIZE, 100.0) is not None) is passes


def test_blackouts_wait_for_media() -> None:
    one = crossing(blackouts=(Blackout(5.0, 0.0),))
    assert one.arrival(1.0, SIZE, None) == 1.0
    assert one.arrival(2.0, SIZE, 2.0) is None


def test_there_may_be_several_blackouts() -> None:
    one = crossing(blackouts=(Blackout(1.0, 2.0), Blackout(0.5, 4.0)))
    told = arrivals(one, 10, 0.5, began=0.0)
    assert [number * 0.5 for number, at in enumerate(told) if at is None] == [2.0, 2.5, 4.0]


def sent(gaps: list[float]) -> Iterator[float]:
    now = 0.0
    for gap in gaps:
        now += gap
        yield now


@given(
    gaps=st.lists(st.floats(0.0, 2.0), max_size=60),
    size=st.integers(0, 65507),
    delay=st.floats(0.0, 10.0),
    rate=st.one_of(st.just(0.0), st.floats(8e3, 1e9)),
    loss=st.floats(0.0, 1.0),
)
def test_without_jitter_order_is_kept_and_nothing_arrives_before_it_was_sent(
    gaps: list[float], size: int, delay: float, rate: float, loss: float
) -> None:
    one = crossing(delay=delay, rate=rate, loss=loss)
    told = [(now, one.arrival(now, size, 0.0)) for now in sent(gaps)]
    passed = [at for _, at in told if at is not None]
    assert passed == sorted(passed)
    assert all(at is None or at >= now + delay for now, at in told)
