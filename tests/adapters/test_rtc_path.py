"""Offers and answers wait for no server; what servers answer is told and tried meanwhile."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import aioice
import aiortc.rtcicetransport
import pytest

from qbcall.adapters import rtc_path, rtc_servers
from qbcall.adapters.rtc import IceServer, IceSettings
from qbcall.adapters.rtc_path import Path
from qbcall.adapters.rtc_search import Search
from qbcall.adapters.rtc_servers import turn_servers
from qbcall.core.effects import CreateOffer
from qbcall.core.inputs import CandidatesFound, IceChecking, IceConnected, MediaBroke, OfferReady
from qbcall.core.model import CallMedia, Candidate, Description, Epoch
from tests.adapters.rtc_room import CALL, LOOPBACK, Endpoint, join, run
from tests.adapters.stun_servers import StunServer, mapped, response, silence, stun_server
from tests.coturn import NEEDS_COTURN, Coturn, coturn

PROMPTLY = 2.0
"""Seconds; a server that is waited for takes 5."""


def asking(*servers: IceServer | StunServer, policy: str = "all") -> IceSettings:
    """On loopback, with these servers."""
    some = tuple(one.urls() if isinstance(one, StunServer) else one for one in servers)
    return IceSettings(servers=some, addresses=LOOPBACK.addresses, transport_policy=policy)


def relay(server: Coturn, transport: str = "udp") -> IceServer:
    """A TURN server with credentials."""
    username, credential = server.credentials()
    url = f"turn:{server.host}:{server.port}?transport={transport}"
    return IceServer(urls=(url,), username=username, credential=credential)


def types(description: Description) -> list[str]:
    """Of the candidates in it."""
    return re.findall(r"a=candidate:.* typ (\w+)", description.sdp)


def found(endpoint: Endpoint) -> list[Candidate]:
    """What was told beside the offer or answer."""
    return [one for fact in endpoint.told(CandidatesFound) for one in fact.candidates]


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers have more time than the test."""
    monkeypatch.setattr(rtc_path, "SERVER_PATIENCE", 600.0)


@pytest.mark.usefixtures("patience")
def test_call_with_servers_that_say_nothing_connects_as_if_there_were_none() -> None:
    async def play() -> None:
        async with AsyncExitStack() as stack:
            dead = [await stack.enter_async_context(stun_server(silence)) for _ in range(3)]
            ice = asking(dead[0], dead[1], dead[2].urls("turn"))
            a = await stack.enter_async_context(Endpoint("a", ice=ice))
            b = await stack.enter_async_context(Endpoint("b", ice=ice))
            await join(a, b)
            assert all(server.asked for server in dead)
            assert found(a) == found(b) == []

    run(play)


@pytest.mark.parametrize("kind", ["stun", "turn"])
@pytest.mark.parametrize("policy", ["all", "relay"])
@pytest.mark.usefixtures("patience")
def test_closing_while_a_server_says_nothing_takes_no_time(kind: str, policy: str) -> None:
    async def play() -> None:
        async with stun_server(silence) as dead, stun_server(silence) as turn:
            a, b = Endpoint("a", ice=asking(dead.urls(kind), turn.urls("turn"), policy=policy)), Endpoint("b")
            a.media.perform(CreateOffer(call=CALL, peer=b.user, epoch=Epoch(1), media=CallMedia.VIDEO))
            while not turn.asked:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            began = time.monotonic()
            await a.media.close()
            assert time.monotonic() - began < PROMPTLY
            assert len(a.told(OfferReady)) == (policy == "all")
            assert a.told(MediaBroke) == []

    run(play)


def test_address_that_a_server_saw_is_told_with_the_section_it_belongs_to() -> None:
    async def play() -> None:
        async with AsyncExitStack() as stack:
            dead = await stack.enter_async_context(stun_server(silence))
            alive = await stack.enter_async_context(stun_server(mapped("192.0.2.7")))
            async with Endpoint("a", ice=asking(dead, alive)) as a, Endpoint("b", ice=asking(alive)) as b:
                offer = await a.offer(b)
                await a.condition(lambda: len(found(a)) == 2)
                assert sorted((one.mid, one.line) for one in found(a)) == [("0", 0), ("1", 1)]
                assert all(
                    re.fullmatch(
                        r"candidate:\S+ 1 udp \d+ 192\.0\.2\.7 \d+ typ srflx raddr 127\.0\.0\.1 rport \d+", told
                    )
                    for told in (one.candidate for one in found(a))
                )
                answer = await b.answer(a, offer)
                await b.condition(lambda: len(found(b)) == 1)
                assert [(one.mid, one.line) for one in found(b)] == [("0", 0)]
                assert types(offer) == ["host", "host"]
                a.add(b, found(b))
                b.add(a, found(a))
                a.apply(b, answer)
                await a.until(IceConnected)
                await b.until(IceConnected)

    run(play)


def test_address_is_told_once_however_many_servers_see_it() -> None:
    async def play() -> None:
        async with AsyncExitStack() as stack:
            seen = ("192.0.2.7", "192.0.2.7", "192.0.2.8", "127.0.0.1")
            servers = [await stack.enter_async_context(stun_server(mapped(one))) for one in seen]
            async with Endpoint("a", ice=asking(*servers)) as a, Endpoint("b") as b:
                await a.offer(b, CallMedia.AUDIO)
                await _gathered(a)
                assert sorted(one.candidate.split()[4] for one in found(a)) == ["192.0.2.7", "192.0.2.8"]

    run(play)


async def _gathered(endpoint: Endpoint) -> None:
    (lane,) = endpoint.media._lanes.values()
    assert lane._connection is not None
    search = lane._connection._search
    while search.gathering:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0)


def test_end_of_candidates_is_said_only_when_it_is_true() -> None:
    async def play() -> None:
        async with stun_server(silence) as dead, Endpoint("a", ice=asking(dead)) as a, Endpoint("b") as b:
            assert "end-of-candidates" not in (await a.offer(b)).sdp
            assert "end-of-candidates" in (await b.offer(a)).sdp

    run(play)


def nonsense(data: bytes, sender: tuple[str, int]) -> Iterator[bytes]:
    """What a server may answer that is broken, or worse."""
    right = response(data, sender)
    yield response(data, None)
    yield right[:24]
    yield right[:-4]
    yield right[:20] + b"\x00\x20\x00\x08\x00\x09" + right[26:]
    yield right[:2] + b"\x00\x06" + right[4:20] + b"\x00\x20\x00\x02\x00\x01"
    yield b"\x01\x11" + right[2:]
    yield b""
    yield bytes(random.Random(7).randbytes(200))


@pytest.mark.parametrize("number", range(8))
def test_server_that_answers_nonsense_harms_no_call(number: int) -> None:
    async def play() -> None:
        def reply(data: bytes, sender: tuple[str, int]) -> bytes:
            return list(nonsense(data, sender))[number]

        async with stun_server(reply) as server:
            ice = asking(server, server.urls("turn"))
            async with Endpoint("a", ice=ice) as a, Endpoint("b", ice=ice) as b:
                await join(a, b)
                assert found(a) == found(b) == []

    run(play)


@NEEDS_COTURN
def test_relay_that_is_told_late_carries_the_call_where_nothing_else_does() -> None:
    async def play() -> None:
        async with coturn() as server:
            ice = asking(relay(server))
            async with Endpoint("a", ice=ice) as a, Endpoint("b", ice=ice) as b:
                offer = _without_candidates(await a.offer(b))
                answer = _without_candidates(await b.answer(a, offer))
                a.apply(b, answer)
                await a.until(IceChecking)
                await a.condition(lambda: bool(_relays(a)))
                await b.condition(lambda: bool(_relays(b)))
                a.add(b, _relays(b))
                b.add(a, _relays(a))
                await a.until(IceConnected)
                await b.until(IceConnected)

    run(play)


def _without_candidates(description: Description) -> Description:
    return Description(re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", description.sdp))


def _relays(endpoint: Endpoint) -> list[Candidate]:
    return [one for one in found(endpoint) if "typ relay" in one.candidate]


@NEEDS_COTURN
@pytest.mark.usefixtures("patience")
def test_relay_only_shows_relays_and_waits_for_the_first_one_only() -> None:
    async def play() -> None:
        async with coturn() as server, stun_server(silence) as dead, stun_server(mapped("192.0.2.7")) as nat:
            ice = asking(dead.urls("turn"), nat, relay(server), policy="relay")
            async with Endpoint("a", ice=ice) as a, Endpoint("b", ice=ice) as b:
                offer = await a.offer(b)
                assert set(types(offer)) == {"relay"}
                assert "raddr 0.0.0.0 rport 9" in offer.sdp
                answer = await b.answer(a, offer)
                assert set(types(answer)) == {"relay"}
                a.apply(b, answer)
                await a.until(IceConnected)
                await b.until(IceConnected)
                assert nat.asked == []
                assert all("typ relay" in one.candidate for one in found(a) + found(b))

    run(play)


@NEEDS_COTURN
def test_relays_over_every_transport_are_told_and_udp_is_tried_first() -> None:
    async def play() -> None:
        async with coturn() as server:
            ice = asking(relay(server), relay(server, "tcp"))
            async with Endpoint("a", ice=ice) as a, Endpoint("b") as b:
                await a.offer(b, CallMedia.AUDIO)
                await a.condition(lambda: len(_relays(a)) == 2)
                first, second = sorted(int(one.candidate.split()[3]) for one in _relays(a))
                assert second - first == 1 << 8

    run(play)


def test_every_way_to_a_turn_server_that_is_known_is_used() -> None:
    urls = ("turn:a", "turn:a?transport=tcp", "turns:a", "turns:a?transport=udp", "turn:a?transport=sctp", "stun:a")
    ways = [(one.scheme, one.transport, one.port) for one in turn_servers([IceServer(urls=urls)] * 2)]
    assert ways == [("turn", "udp", 3478), ("turn", "tcp", 3478), ("turns", "tcp", 5349)]


def test_server_is_asked_from_addresses_of_its_own_family(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with stun_server(mapped("2001:db8::7"), "::1") as six, stun_server(mapped("192.0.2.7")) as four:
            servers = [rtc_servers.StunServer(*one.transport.get_extra_info("sockname")[:2]) for one in (six, four)]
            servers.append(rtc_servers.StunServer("localhost", servers[1].port))
            monkeypatch.setattr(rtc_path, "stun_servers", lambda _: servers)
            ice = IceSettings(servers=(four.urls(),), addresses=("127.0.0.1", "::1"))
            async with Endpoint("a", ice=ice) as a, Endpoint("b") as b:
                await a.offer(b, CallMedia.AUDIO)
                await a.condition(lambda: len(found(a)) == 2)
                assert {one.candidate.split()[4] for one in found(a)} == {"2001:db8::7", "192.0.2.7"}
                await _gathered(a)
                assert {host for host, _ in six.asked} == {"::1"}
                assert [host for host, _ in four.asked] == ["127.0.0.1"] * 2

    run(play)


def test_whatever_is_sent_to_a_path_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        some = random.Random(11)
        async with Endpoint("a") as a, Endpoint("b") as b, stun_server(silence) as stranger:
            offer = await a.offer(b)
            ports = [int(port) for port in re.findall(r"a=candidate:.* 127\.0\.0\.1 (\d+) typ", offer.sdp)]

            def attack() -> None:
                for port in ports:
                    for _ in range(100):
                        stranger.transport.sendto(hostile(some), ("127.0.0.1", port))

            attack()
            answer = await b.answer(a, offer)
            attack()
            a.apply(b, answer)
            await a.until(IceConnected)
            await b.until(IceConnected)
            attack()
            (lane,) = a.media._lanes.values()
            assert lane.measure(keep=False) is not None

    run(play)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def hostile(some: random.Random) -> bytes:
    """Rubbish, and messages of STUN with attributes that break the rules."""
    kind = some.choice([b"\x00\x01", b"\x01\x01", b"\x01\x11", b"\x00\x11", some.randbytes(2)])
    body = b"".join(
        some.choice([b"\x00\x06", b"\x00\x08", b"\x00\x09", b"\x00\x20", b"\x00\x24", b"\x80\x28", b"\x80\x2a"])
        + len(value).to_bytes(2, "big")
        + value
        for value in (some.randbytes(some.choice([0, 1, 2, 4, 8, 20])) for _ in range(some.randrange(4)))
    )
    whole = kind + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + some.randbytes(12) + body
    return some.choice([whole, whole[: some.randrange(len(whole) + 1)], some.randbytes(some.randrange(60))])


def test_others_in_the_process_get_the_transport_of_the_library() -> None:
    """Fails when a release of aiortc makes its transports elsewhere."""

    async def play() -> None:
        plain = aiortc.rtcicetransport.RTCIceGatherer(iceServers=[])
        assert type(plain._connection) is aioice.Connection
        search = Search(LOOPBACK, Path, lambda path, candidate: None, lambda: None)
        with search.here():
            ours = aiortc.rtcicetransport.RTCIceGatherer(iceServers=[])
        assert search.paths == [ours._connection]
        assert isinstance(ours._connection, Path)

    asyncio.run(play())
