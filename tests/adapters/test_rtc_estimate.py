"""What peers are told that they may send is what aiortc would tell them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from aiortc.rate import BandwidthUsage, RateCounter, RemoteBitrateEstimator
from hypothesis import given
from hypothesis import strategies as st

from qbcall.adapters.rtc_estimate import CLOCK, TURN, Estimate, Rate

START = 10**12
PACKETS = 3000


@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 400))), st.integers(0, 2500), st.booleans())
def test_rate_is_that_of_aiortc(packets: list[tuple[int, int]], pause: int, again: bool) -> None:
    """Bytes, and the milliseconds before them; then a pause."""
    theirs, ours, now = RateCounter(1000, 8000), Rate(), 10**12
    for size, after in packets:
        now += after
        assert ours.rate(now) == theirs.rate(now)
        for one in (theirs, ours):
            one.add(size, now)
        assert ours.rate(now) == theirs.rate(now)
    now += pause
    assert ours.rate(now) == theirs.rate(now)
    if again:
        for one in (theirs, ours):
            one.reset()
            one.add(1000, now)
        assert ours.rate(now + 10) == theirs.rate(now + 10)


def packets(random: Random, kilobits: int) -> Iterator[tuple[int, int, int, int]]:
    """When each was sent, in ticks, when it came, in milliseconds, its size and stream; over a path of this rate."""
    sent = began = random.randrange(TURN) * 1000 / CLOCK
    free = 0.0
    for _ in range(PACKETS):
        sent += random.choice([0, 0.1, 20, 33, random.uniform(0, 60)]) if random.random() < 0.99 else 3000
        size = random.randrange(20, 1300)
        free = max(free, sent) + size * 8 / kilobits * random.uniform(0.5, 1.5)
        came = free + random.uniform(0, random.choice([0, 3, 20]))
        yield int(sent * CLOCK / 1000) % TURN, START + int(came - began), size, random.choice([1, 2])


@pytest.mark.parametrize("kilobits", [150, 400, 5000])
def test_estimate_is_that_of_aiortc_whatever_comes(kilobits: int) -> None:
    seen = set()
    for seed in range(4):
        theirs, ours, told = RemoteBitrateEstimator(), Estimate(), 0
        for sent, now, size, ssrc in sorted(packets(Random(seed), kilobits), key=lambda packet: packet[1]):
            expected = theirs.add(abs_send_time=sent, arrival_time_ms=now, payload_size=size, ssrc=ssrc)
            given = ours.add(sent, now, size, ssrc)
            assert (given is None) == (expected is None), (seed, now)
            if given is not None and expected is not None:
                assert given[0] == pytest.approx(expected[0], rel=1e-4)
                assert given[1] == expected[1]
                told += 1
            assert ours.usage is theirs.detector.state()
            seen.add(ours.usage)
        assert told
    assert BandwidthUsage.OVERUSING in seen or kilobits == 5000
    assert BandwidthUsage.NORMAL in seen
