"""A path between real peers outlives silence, and goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import aioice
import pytest
from aioice.ice import StunProtocol

from qbcall.adapters import rtc_freshness, rtc_lasting
from qbcall.adapters.rtc_freshness import Freshness
from qbcall.adapters.rtc_lasting import LastingPath
from qbcall.adapters.rtc_path import PathProtocol
from qbcall.adapters.rtc_search import Search
from qbcall.core.inputs import IceFailed, MediaFlowing
from qbcall.core.model import MediaKind
from tests.adapters.rtc_room import Endpoint, join, run


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """While `cut` holds nothing arrives; sockets in `dead` never hear or say anything again."""
    state = SimpleNamespace(cut=False, dead=set(), news=asyncio.Event())
    arrive, send, look = PathProtocol.received, PathProtocol.send_stun, Freshness.look

    def received(protocol: PathProtocol, data: bytes, addr: tuple[str, int], came: float) -> None:
        if not state.cut and protocol not in state.dead:
            arrive(protocol, data, addr, came)

    def send_stun(protocol: PathProtocol, message: aioice.stun.Message, addr: tuple[str, int]) -> None:
        if protocol not in state.dead:
            send(protocol, message, addr)

    def noted(freshness: Freshness, now: float) -> None:
        look(freshness, now)
        state.news.set()

    monkeypatch.setattr(PathProtocol, "received", received)
    monkeypatch.setattr(PathProtocol, "send_stun", send_stun)
    monkeypatch.setattr(Freshness, "look", noted)
    return state


async def until(network: SimpleNamespace, holds: Callable[[], bool]) -> None:
    """Wait until it holds, which may change with each look at a path."""
    while not holds():
        network.news.clear()
        await network.news.wait()


def path(endpoint: Endpoint) -> LastingPath:
    """The only one it has that is connected."""
    (lane,) = endpoint.media._lanes.values()
    assert lane._connection is not None
    assert isinstance(lane._connection._search, Search)
    (found,) = (one for one in lane._connection._search.paths if one.heard_at is not None)
    assert isinstance(found, LastingPath)
    return found


def freshness(endpoint: Endpoint) -> Freshness:
    """What it knows of its peer."""
    found = path(endpoint)._freshness
    assert found is not None
    return found


def consents(endpoint: Endpoint) -> bool:
    """Whether it may send."""
    return freshness(endpoint).may_send(asyncio.get_running_loop().time())


def socket(endpoint: Endpoint) -> StunProtocol:
    """The one of the selected pair."""
    return path(endpoint)._nominated[1].protocol


async def both_receive(a: Endpoint, b: Endpoint) -> None:
    """More pictures and more sound, both ways."""
    for one, other in ((a, b), (b, a)):
        for kind in MediaKind:
            await one.frame(other, kind, more=3)


def test_path_outlives_the_loss_of_consent_and_resumes_by_itself(
    network: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the same peer connections, though they had stopped to send."""
    monkeypatch.setattr(rtc_freshness, "CONSENT", 1.5)

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await a.frame(b, MediaKind.VIDEO)
            network.cut = True
            await until(network, lambda: freshness(a).lost and not (consents(a) or consents(b)))
            told = len(a.told(MediaFlowing))
            network.cut = False
            await both_receive(a, b)
            assert len(a.told(MediaFlowing)) > told
            assert a.told(IceFailed) == b.told(IceFailed) == []

    run(play)


def test_path_outlives_six_unanswered_questions(network: SimpleNamespace) -> None:
    """That is as many as aioice bears."""

    async def play() -> None:
        async with Endpoint("a", sends=()) as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            network.cut = True
            asked = len(path(a)._questions)
            await until(network, lambda: len(path(a)._questions) > asked + 2 * aioice.ice.CONSENT_FAILURES)
            network.cut = False
            told = len(a.told(MediaFlowing))
            await a.until(MediaFlowing, count=told + 1)

    run(play)


@pytest.mark.parametrize("moves", ["a", "b"])
def test_side_that_gets_another_address_goes_on_from_there(
    network: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, moves: str
) -> None:
    """No signal is sent for it: the peer learns the address from a check. Either side moves."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await both_receive(a, b)
            mover, other = (a, b) if moves == "a" else (b, a)
            old, facing = socket(mover), socket(other)
            mine = path(mover)._search
            monkeypatch.setattr(
                rtc_lasting, "local_addresses", lambda ice: ["127.0.0.2"] if ice is mine.ice else ["127.0.0.1"]
            )
            mine.ice = replace(mine.ice)
            network.dead.add(old)
            await until(network, lambda: socket(mover) is not old)
            await both_receive(a, b)
            assert socket(mover).local_candidate.host == "127.0.0.2"
            assert socket(other) is facing
            assert path(other)._nominated[1].remote_addr[0] == "127.0.0.2"
            assert a.told(IceFailed) == b.told(IceFailed) == []

    run(play)


def test_socket_that_is_lost_is_replaced(network: SimpleNamespace) -> None:
    """The path of aioice would end."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            old = socket(a)
            old.transport.abort()
            await until(network, lambda: socket(a) is not old)
            await both_receive(a, b)

    run(play)


def test_path_keeps_no_more_sockets_than_it_may(network: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of addresses that are gone make room for new ones; the selected one stays."""
    monkeypatch.setattr(rtc_lasting, "MOST_SOCKETS", 3)
    monkeypatch.setattr(rtc_lasting, "ADDRESS_INTERVAL", 0.0)
    addresses = ["127.0.0.1"]
    monkeypatch.setattr(rtc_lasting, "local_addresses", lambda ice: addresses[-1:])

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            for number in range(2, 9):
                addresses.append(f"127.0.0.{number}")
                await until(
                    network, lambda: addresses[-1] in {one.local_candidate.host for one in path(a)._protocols}
                )
                assert len(path(a)._protocols) <= 3
            await both_receive(a, b)

    run(play)
