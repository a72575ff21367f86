"""What is taken in one step is what aiortc takes in its own way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiortc import RTCDtlsTransport, RTCRtpReceiver
from aiortc.rate import RateCounter
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from qbcall.adapters import rtc_arrival, rtc_reception
from qbcall.adapters.rtc_arrival import Arrival
from qbcall.adapters.rtc_reception import Rate
from qbcall.core.inputs import StatsRead
from tests.adapters.rtc_room import BOTH, Endpoint, colour, is_near, join, pitch, run

AUDIO, VIDEO = BOTH
RED = (200, 40, 40)


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


@pytest.mark.parametrize("at_once", [True, False])
def test_media_that_is_taken_either_way_is_seen_heard_and_counted(
    at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtc_arrival, "KNOWN", at_once)
    taken = watched(monkeypatch)

    async def play() -> None:
        async with Endpoint("a", colour=RED, pitch=500) as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            assert is_near(colour(await b.frame(a, VIDEO, more=20)), RED)
            assert abs(pitch(await b.frame(a, AUDIO, more=20)) - 500) <= 50
            assert bool(taken) == at_once
            b.read_stats(a)
            for kind, stream in (await b.until(StatsRead)).report.received.items():
                assert stream.packets, kind
                assert stream.bytes, kind
                assert stream.packets_lost == 0, kind
            a.read_stats(b)
            sent = (await a.until(StatsRead)).report.sent
            assert set(sent) == set(BOTH)

    run(play)


def watched(patch: pytest.MonkeyPatch) -> list[bytes]:
    taken: list[bytes] = []
    read = Arrival.read_media

    def keep(arrival: Arrival, data: bytes) -> None:
        taken.append(data)
        read(arrival, data)

    patch.setattr(Arrival, "read_media", keep)
    return taken


def test_packets_that_came_before_are_taken_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Media may come while keys are agreed on: aiortc keeps it, and what comes then must not overtake it."""
    numbers: dict[tuple[Any, int], list[int]] = {}
    take = rtc_reception.Reception.take
    theirs = RTCRtpReceiver._handle_rtp_packet

    def note(receiver: object, packet: RtpPacket) -> None:
        numbers.setdefault((receiver, packet.ssrc), []).append(packet.sequence_number)

    def ours(reception: rtc_reception.Reception, packet: RtpPacket, arrived: int) -> None:
        note(reception._receiver, packet)
        take(reception, packet, arrived)

    async def other(receiver: RTCRtpReceiver, packet: RtpPacket, arrival_time_ms: int) -> None:
        note(receiver, packet)
        await theirs(receiver, packet, arrival_time_ms)

    monkeypatch.setattr(rtc_reception.Reception, "take", ours)
    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", other)

    async def play() -> None:
        async with Endpoint("a", colour=RED, pitch=500) as a, Endpoint("b", colour=RED, pitch=500) as b:
            await join(a, b)
            await asyncio.gather(*(one.frame(to, VIDEO, more=10) for one, to in ((a, b), (b, a))))

    run(play)
    assert len(numbers) >= 4
    for some in numbers.values():
        assert some == list(range(some[0], some[0] + len(some)))


@pytest.mark.parametrize("name", ["_recv_next", "_handle_rtp_data", "_set_state"])
@pytest.mark.parametrize("instead", [None, 5, print, lambda self, data: None])
def test_transports_that_are_otherwise_are_noticed(name: str, instead: object) -> None:
    assert not rtc_arrival.is_known(type("Other", (RTCDtlsTransport,), {name: instead}))


@pytest.mark.parametrize("instead", [None, 5, print, lambda self, packet, arrival_time_ms: None])
def test_receivers_that_are_otherwise_are_noticed(instead: object) -> None:
    assert not rtc_reception.is_known(type("Other", (RTCRtpReceiver,), {"_handle_rtp_packet": instead}))


def test_pinned_aiortc_is_known() -> None:
    """If this fails, aiortc has changed: read its transport and receiver, then change what stands in their place."""
    assert rtc_arrival.KNOWN
    assert rtc_reception.KNOWN
