"""What nobody wants is read later, many at a time; nothing overtakes anything, and no counter tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import rtcrtpreceiver
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, HeaderExtensionsMap, RtcpRrPacket, RtpPacket

from qbcall.adapters.rtc_arrival import MOST_WAITING, PATIENCE, Arrival, Taker, arrival_of
from qbcall.adapters.rtc_reception import count
from qbcall.core.model import MediaKind
from tests.adapters.rtc_room import BOTH, Endpoint, join
from tests.adapters.rtc_room import run as run_really
from tests.media.virtual_clock import VirtualClockLoop, run

REPORT = bytes(RtcpRrPacket(ssrc=1))


@dataclass
class Scene:
    """A transport that decrypts nothing, and what comes of its packets."""

    patch: pytest.MonkeyPatch
    loop: VirtualClockLoop
    wanted: bool = False
    seen: list[object] = field(default_factory=list)
    """Numbers of packets, and reports."""
    came: list[float] = field(default_factory=list)
    arrival: Arrival = field(init=False)
    transport: Any = field(init=False)
    taken_over: Callable[[], None] = field(init=False)

    def __post_init__(self) -> None:
        receiver: Any = object()
        reader = SimpleNamespace(_handle_rtcp_packet=self._report)
        self.transport = SimpleNamespace(
            _state=State.CONNECTED,
            _rx_srtp=SimpleNamespace(unprotect=lambda data: data, unprotect_rtcp=lambda data: data),
            _rtp_header_extensions_map=HeaderExtensionsMap(),
            _rtp_router=SimpleNamespace(route_rtp=lambda packet: receiver, route_rtcp=lambda packet: [reader]),
            _RTCDtlsTransport__rx_bytes=0,
            _RTCDtlsTransport__rx_packets=0,
        )
        self.arrival = Arrival(self.transport)
        self.taken_over = lambda: self.arrival.hand_over(receiver, Taker(self._take, lambda: self.wanted))
        self.taken_over()

    def packet(self, number: int) -> None:
        assert self.arrival.take(RtpPacket(97, 0, number, 0, 1, b"x").serialize(), self.loop.time())

    def report(self) -> None:
        assert self.arrival.take(REPORT, self.loop.time())

    def _take(self, packet: RtpPacket, came: float) -> None:
        self.seen.append(packet.sequence_number)
        self.came.append(came)

    async def _report(self, packet: AnyRtcpPacket) -> None:
        self.seen.append("report")


def test_what_nobody_wants_waits_and_what_somebody_wants_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        scene = Scene(monkeypatch, loop)
        scene.packet(1)
        assert scene.seen == []
        scene.taken_over()  # as whenever the state of the connection changes
        assert scene.seen == [1]
        scene.report()
        began = loop.time()
        scene.packet(2)
        await asyncio.sleep(PATIENCE / 2)
        scene.packet(3)
        assert scene.seen == [1, "report"]
        await asyncio.sleep(PATIENCE)
        assert scene.seen == [1, "report", 2, 3]
        assert scene.came[1:] == [began, began + PATIENCE / 2], "when they came, not when they are read"
        scene.packet(4)
        scene.report()
        assert scene.seen[4:] == [4, "report"], "a report overtakes nothing"
        scene.packet(5)
        scene.wanted = True
        scene.arrival.catch_up()
        scene.packet(6)
        assert scene.seen[6:] == [5, 6]
        assert scene.transport._RTCDtlsTransport__rx_packets == 8

    run(scenario)


def test_no_more_than_some_wait_and_none_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        scene = Scene(monkeypatch, loop)
        scene.report()
        for number in range(MOST_WAITING + 1):
            scene.packet(number)
        assert scene.seen == ["report", *range(MOST_WAITING)]
        scene.transport._state = State.CLOSED
        await asyncio.sleep(2 * PATIENCE)
        assert len(scene.seen) == 1 + MOST_WAITING
        assert not scene.arrival.take(REPORT, loop.time())

    run(scenario)


def test_counters_are_those_of_aiortc(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(20):
        dice, number, now = Random(seed), seed * 3000, 1e9
        theirs, ours = StreamStatistics(90_000), StreamStatistics(90_000)
        for _ in range(500):
            now += dice.uniform(0, 0.05)
            number += dice.choice([1, 1, 1, 2, -1, 0])
            packet = RtpPacket(97, 0, number % 2**16, int(now * 90_000 + dice.uniform(0, 900)) % 2**32, 1)
            monkeypatch.setattr(rtcrtpreceiver, "time", SimpleNamespace(time=lambda at=now: at))
            theirs.add(packet)
            count(ours, packet, now)
            assert vars(ours) == vars(theirs)


def test_counters_that_are_read_lack_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a bot that only speaks; what it may want later is there at once."""
    take = Arrival.take

    def watched(arrival: Arrival, datagram: bytes, came: float) -> bool:
        taken = take(arrival, datagram, came)
        if arrival._waiting:
            waits.set()
        return taken

    monkeypatch.setattr(Arrival, "take", watched)
    waits = asyncio.Event()

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b", sends=()) as b:
            b.wants.clear()
            await join(a, b)
            await waits.wait()
            (lane,) = b.media._lanes.values()
            connection = lane._connection
            assert connection is not None
            arrival = arrival_of(connection._pc.getReceivers()[0])
            assert arrival is not None
            before, waiting = sum(one.packets.packets for one in connection._inlets.values()), len(arrival._waiting)
            assert waiting
            assert sum(one.packets for one in connection.counts.values()) == before + waiting
            b.wants.update(BOTH)
            connection.wake()
            await b.frame(a, MediaKind.VIDEO)

    run_really(play)
