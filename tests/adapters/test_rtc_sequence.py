"""Packets come out in order, each once, and none waits for long."""

from __future__ import annotations

from itertools import pairwise

from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from qbcall.adapters.rtc_sequence import FAR, STRAYS, Sequence, distance

MOST_HELD = 3


def packet(number: int) -> RtpPacket:
    return RtpPacket(96, 0, number % 2**16, 960 * number % 2**32)


def numbers(packets: list[RtpPacket]) -> list[int]:
    return [one.sequence_number for one in packets]


@given(st.integers(0, 2**16 - 1), st.lists(st.integers(-20, 20), max_size=60))
def test_out_in_order_each_once_and_few_are_held(start: int, steps: list[int]) -> None:
    """Whatever is late, repeated or lost, and however the numbers wrap."""
    sequence = Sequence(MOST_HELD)
    place, out = start, numbers(sequence.add(packet(start)))
    came = {start}
    for step in steps:
        place += step
        came.add(place % 2**16)
        out += numbers(sequence.add(packet(place)))
        assert len(sequence._held) <= MOST_HELD
    while sequence.holds:
        out += numbers(sequence.skip())
    assert all(distance(other, one) > 0 for one, other in pairwise(out))
    assert set(out) <= came


@given(st.integers(0, 2**16 - 1), st.permutations(range(1, MOST_HELD + 1)))
def test_late_packet_takes_its_place(start: int, order: list[int]) -> None:
    sequence = Sequence(MOST_HELD)
    out = numbers(sequence.add(packet(start)))
    for offset in order:
        out += numbers(sequence.add(packet(start + offset)))
    assert out == [(start + offset) % 2**16 for offset in range(MOST_HELD + 1)]


def test_missing_packet_is_given_up_when_enough_came_after_it() -> None:
    sequence = Sequence(MOST_HELD)
    assert numbers(sequence.add(packet(7))) == [7]
    for number in range(9, 9 + MOST_HELD):
        assert sequence.add(packet(number)) == []
    assert numbers(sequence.add(packet(9 + MOST_HELD))) == list(range(9, 10 + MOST_HELD))
    assert sequence.add(packet(8)) == []
    assert sequence.skip() == []


@given(st.integers(0, 2**16 - 1), st.integers(FAR + 9, 2**16 - FAR - 9))
def test_stream_that_began_again_goes_on(start: int, jump: int) -> None:
    """A single packet far away is a stray; some in a row are the stream (RFC 3550, appendix A.1)."""
    sequence = Sequence(MOST_HELD)
    sequence.add(packet(start))
    sequence.add(packet(start + 2))
    far = [(start + jump + offset) % 2**16 for offset in range(STRAYS + 1)]
    out = [numbers(sequence.add(packet(number))) for number in far]
    assert out[: STRAYS - 1] == [[]] * (STRAYS - 1)
    assert out[STRAYS - 1] == [(start + 2) % 2**16, far[STRAYS - 1]]
    assert out[STRAYS] == [far[STRAYS]]
