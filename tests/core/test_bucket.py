"""What one sender may say is limited, for a moment and in the long run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qbcall.core.bucket import BURST, MOST_SENDERS, RATE, TokenBuckets
from qbcall.core.model import User

ANN, BOB = User("ann@localhost"), User("bob@localhost")


def test_burst_is_read_and_what_goes_beyond_is_not() -> None:
    buckets = TokenBuckets(rate=10.0, burst=5.0)
    assert [buckets.take(ANN, 0.0) for _ in range(7)] == [True] * 5 + [False] * 2


def test_sender_is_read_again_at_the_rate() -> None:
    buckets = TokenBuckets(rate=10.0, burst=5.0)
    for _ in range(5):
        buckets.take(ANN, 0.0)
    assert [buckets.take(ANN, now) for now in (0.05, 0.1, 0.15, 0.2)] == [False, True, False, True]


def test_flood_of_one_sender_leaves_the_others_alone() -> None:
    buckets = TokenBuckets(rate=10.0, burst=5.0)
    for _ in range(100):
        buckets.take(ANN, 0.0)
    assert buckets.take(BOB, 0.0)


def test_only_so_many_senders_are_remembered() -> None:
    """Whoever comes with ever new addresses fills no memory."""
    buckets = TokenBuckets(rate=10.0, burst=1.0)
    assert buckets.take(ANN, 0.0)
    assert not buckets.take(ANN, 0.0)
    for number in range(MOST_SENDERS):
        assert buckets.take(User(f"{number}@localhost"), 0.0)
    assert len(vars(buckets)["_levels"]) == MOST_SENDERS
    assert buckets.take(ANN, 0.0)


@given(st.lists(st.floats(0.0, 0.5), max_size=200))
def test_never_more_than_burst_and_rate_allow(pauses: list[float]) -> None:
    buckets = TokenBuckets(rate=10.0, burst=5.0)
    now, read = 0.0, 0
    for pause in pauses:
        now += pause
        read += buckets.take(ANN, now)
        assert read <= 5.0 + now * 10.0 + 1e-6


def test_all_that_may_wait_in_a_call_comes_through_at_once() -> None:
    buckets = TokenBuckets()
    assert all(buckets.take(ANN, 0.0) for _ in range(int(BURST)))
    assert buckets.take(ANN, 1.5 / RATE)
