"""Real peer connections over sockets that lose and delay what they were told to."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable
from functools import partial

import pytest
from aioice.ice import StunProtocol

from qbcall.adapters import rtc_impaired
from qbcall.adapters.rtc import IceSettings
from qbcall.adapters.rtc_impaired import ImpairedNetwork
from qbcall.adapters.rtc_path import Path, PathProtocol
from qbcall.adapters.rtc_search import Search
from qbcall.core.impairment import Conditions, Impairment
from qbcall.core.impairment_text import parse_impairment
from qbcall.core.model import MediaKind, StreamStats
from tests.adapters.rtc_room import CALL, LOOPBACK, Endpoint, join, run
from tests.adapters.test_rtc_path import relay
from tests.coturn import NEEDS_COTURN, coturn
from tests.media import virtual_clock
from tests.media.virtual_clock import VirtualClockLoop


def bad(text: str) -> IceSettings:
    return IceSettings(addresses=LOOPBACK.addresses, impairment=parse_impairment(text))


def heard(one: Endpoint, other: Endpoint) -> StreamStats:
    """Sound that came from the other."""
    report = one.media.latest(CALL, other.user)
    return report.received.get(MediaKind.AUDIO, StreamStats()) if report else StreamStats()


def test_one_of_ten_that_are_lost_is_what_the_other_side_counts() -> None:
    """Within four standard deviations; what comes back is not lost."""

    async def play() -> None:
        async with Endpoint("a", ice=bad("up.loss=10%,seed=7")) as a, Endpoint("b") as b:
            await join(a, b)
            await b.condition(lambda: (heard(b, a).packets or 0) >= 225)
            lost, passed = heard(b, a).packets_lost or 0, heard(b, a).packets or 0
            expected = 0.1 * (lost + passed)
            assert abs(lost - expected) <= 4 * (0.9 * expected) ** 0.5
            assert (heard(a, b).packets_lost or 0) <= 2

    run(play)


def test_datagrams_that_are_received_get_lost_too() -> None:
    async def play() -> None:
        async with Endpoint("a", ice=bad("down.loss=30%,seed=7")) as a, Endpoint("b") as b:
            await join(a, b)
            await a.condition(lambda: (heard(a, b).packets or 0) >= 70)
            lost, passed = heard(a, b).packets_lost or 0, heard(a, b).packets or 0
            expected = 0.3 * (lost + passed)
            assert abs(lost - expected) <= 4 * (0.7 * expected) ** 0.5
            assert (heard(b, a).packets_lost or 0) <= 2

    run(play)


def round_trip(one: Endpoint, other: Endpoint) -> float | None:
    report = one.media.latest(CALL, other.user)
    return report.round_trip if report else None


def test_delay_of_both_directions_is_in_the_round_trip() -> None:
    async def play() -> None:
        async with Endpoint("a", ice=bad("up.delay=70ms,down.delay=30ms")) as a, Endpoint("b") as b:
            await join(a, b)
            await a.condition(lambda: round_trip(a, b) is not None)
            assert 0.09 <= (round_trip(a, b) or 0.0) <= 1.0

    run(play)


@NEEDS_COTURN
def test_what_goes_through_a_relay_is_delayed_too() -> None:
    async def play() -> None:
        async with coturn() as server:
            impairment = parse_impairment("delay=50ms")
            servers = (relay(server),)
            ice = IceSettings(
                servers=servers, addresses=LOOPBACK.addresses, transport_policy="relay", impairment=impairment
            )
            async with Endpoint("a", ice=ice) as a, Endpoint("b") as b:
                await join(a, b)
                await a.condition(lambda: round_trip(a, b) is not None)
                assert 0.09 <= (round_trip(a, b) or 0.0) <= 1.0
                report = a.media.latest(CALL, b.user)
                assert report is not None
                assert report.local_candidate == "relay"

    run(play)


def test_whatever_is_lost_and_reordered_the_call_connects_and_closes() -> None:
    async def play() -> None:
        ice = bad("loss=10%,delay=40ms,jitter=40ms,rate=2M,seed=7")
        async with Endpoint("a", ice=ice) as a, Endpoint("b", ice=ice) as b:
            await join(a, b)
            await a.frame(b, MediaKind.VIDEO)
            await b.frame(a, MediaKind.AUDIO)

    run(play)


def test_nothing_stands_in_the_way_of_a_network_that_stays_as_it_is() -> None:
    async def play() -> None:
        async with Endpoint("a") as a:
            await a.offer(a)
            (lane,) = a.media._lanes.values()
            assert lane._connection is not None
            assert isinstance(lane._connection._search, Search)
            (path, *_) = lane._connection._search.paths
            assert {type(protocol) for protocol in path._protocols} == {PathProtocol}

    run(play)
    assert Search(LOOPBACK, Path, lambda *_: None, lambda: None).socket is None


# -- on a virtual clock ----------------------------------------------------------------------------------------------

Arrived = list[tuple[float, int]]


def carried(loop: VirtualClockLoop, network: ImpairedNetwork, count: int) -> Arrived:
    """Time after now and number of each that arrives, of so many that are sent at once."""
    arrived: Arrived = []
    start = loop.time()
    for number in range(count):
        network.carry("up", bytes(972), partial(lambda one: arrived.append((loop.time() - start, one)), number))
    return arrived


def on_virtual_clock(text: str, check: Callable[[Arrived], None]) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        arrived = carried(loop, ImpairedNetwork(parse_impairment(text)), 20)
        await asyncio.sleep(30)
        check(arrived)

    virtual_clock.run(scenario)


def test_what_nothing_holds_up_arrives_at_once() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        assert carried(loop, ImpairedNetwork(Impairment()), 3) == [(0.0, 0), (0.0, 1), (0.0, 2)]

    virtual_clock.run(scenario)


def test_what_is_sent_at_the_same_time_arrives_in_order() -> None:
    def check(arrived: Arrived) -> None:
        assert [number for _, number in arrived] == list(range(20))
        assert [at for at, _ in arrived] == pytest.approx([0.08] * 20)

    on_virtual_clock("delay=80ms", check)


def test_a_line_of_limited_rate_lets_one_after_the_other_through() -> None:
    def check(arrived: Arrived) -> None:
        assert [number for _, number in arrived] == [0, 1, 2], "more do not wait"
        assert [at for at, _ in arrived] == pytest.approx([0.08 + 0.125 * number for number in (1, 2, 3)])

    on_virtual_clock("delay=80ms,rate=64k", check)


def test_jitter_lets_datagrams_overtake_each_other() -> None:
    def check(arrived: Arrived) -> None:
        assert sorted(number for _, number in arrived) == list(range(20))
        assert [number for _, number in arrived] != list(range(20))
        assert [at for at, _ in arrived] == sorted(at for at, _ in arrived)
        assert all(0.06 <= at <= 0.1001 for at, _ in arrived)

    on_virtual_clock("delay=80ms,jitter=20ms,seed=7", check)


def test_each_call_has_the_same_fate() -> None:
    fates: list[Arrived] = []
    for _ in range(2):
        on_virtual_clock("loss=30%,delay=80ms,jitter=20ms,seed=7", fates.append)
    assert fates[0] == fates[1]


def test_datagram_that_breaks_its_receiver_holds_no_other_up() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        told: list[object] = []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        network = ImpairedNetwork(Impairment(up=Conditions(delay=0.1)))

        def breaks() -> None:
            raise RuntimeError("broken")

        network.carry("up", b"", breaks)
        arrived = carried(loop, network, 3)
        await asyncio.sleep(1)
        assert [number for _, number in arrived] == [0, 1, 2]
        assert [str(one) for one in told] == ["broken"]

    virtual_clock.run(scenario)


def test_blackout_begins_with_media_and_holds_in_both_directions() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        network = ImpairedNetwork(parse_impairment("blackout=3s@10s"))
        passed: list[tuple[float, str]] = []

        async def play(data: bytes, seconds: int) -> None:
            for _ in range(seconds):
                for direction in ("up", "down"):
                    network.carry(direction, data, partial(passed.append, (loop.time() - 1000.0, direction)))
                await asyncio.sleep(1)

        await play(b"\x00 STUN", 20)
        await play(b"\x80 RTP", 20)
        for direction in ("up", "down"):
            missing = set(range(40)) - {at for at, one in passed if one == direction}
            assert missing == {30, 31, 32}

    virtual_clock.run(scenario)


@pytest.mark.parametrize("name", ["send_data", "send_stun"])
def test_library_that_sends_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(StunProtocol, name, lambda self, other: None)
        with pytest.raises(ImportError, match="sends otherwise than in aioice"):
            runpy.run_path(str(rtc_impaired.__file__))


def test_library_that_sends_in_one_more_way_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(StunProtocol, "send_more", lambda self: self.transport.sendto(b""), raising=False)
        with pytest.raises(ImportError, match="sends otherwise than in aioice"):
            runpy.run_path(str(rtc_impaired.__file__))
