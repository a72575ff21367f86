"""What is taken in one step is what aiortc takes in its own way."""

from __future__ import annotations

import asyncio

import pytest
from aiortc import RTCDtlsTransport, RTCRtpReceiver

from qbcall.adapters import rtc_arrival, rtc_reception
from qbcall.adapters.rtc_arrival import Arrival
from qbcall.adapters.rtc_path import Path
from qbcall.core.inputs import StatsRead
from tests.adapters.rtc_room import BOTH, Endpoint, colour, is_near, join, run

AUDIO, VIDEO = BOTH
RED = (200, 40, 40)
MEDIA, HANDSHAKE = b"\x80" + bytes(40), b"\x16" + bytes(40)


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
            await b.hears(a, 500, more=20)
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

    def keep(arrival: Arrival, data: bytes, came: float) -> None:
        taken.append(data)
        read(arrival, data, came)

    patch.setattr(Arrival, "read_media", keep)
    return taken


def test_packets_that_came_before_are_taken_before() -> None:
    """Media may come while keys are agreed on: aiortc keeps it, and what comes then must not overtake it."""

    async def play() -> None:
        async with Endpoint("a", colour=RED, pitch=500) as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            await b.frame(a, VIDEO)
            path = path_of(b)
            sender = path._nominated[1].remote_addr
            taken: list[bytes] = []

            def take(data: bytes, came: float) -> bool:
                if data == MEDIA:
                    taken.append(data)
                return True

            path.media = take
            path.take(sender, MEDIA, 1, 0.0)
            assert taken == [MEDIA]
            for data in (HANDSHAKE, MEDIA):  # the first has to be read by a task
                path.data_received(data, 1)
            path.take(sender, MEDIA, 1, 0.0)
            assert taken == [MEDIA]
            for _ in range(10):
                await asyncio.sleep(0)
            assert path._queue.empty()
            path.take(sender, MEDIA, 1, 0.0)
            assert taken == [MEDIA, MEDIA]

    run(play)


def path_of(endpoint: Endpoint) -> Path:
    (lane,) = endpoint.media._lanes.values()
    assert lane._connection is not None
    path = lane._connection._pc.getReceivers()[0].transport.transport._connection
    assert isinstance(path, Path)
    return path


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
