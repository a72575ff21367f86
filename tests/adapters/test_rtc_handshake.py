"""The DTLS handshake goes with the checks of ICE between two that can, and comes after them with all others.

On a virtual clock: a round trip of the network takes 0.1 s there, and nothing else takes any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from aioice.ice import CandidatePair, StunProtocol
from OpenSSL import SSL

from qbcall.adapters.rtc_handshake import LONGEST_CHECK, MOST_CHECKS, TYPE
from qbcall.adapters.rtc_impaired import ImpairedNetwork, ImpairedProtocol
from qbcall.adapters.rtc_option import OPTION, says
from qbcall.adapters.rtc_path import Path
from qbcall.core.inputs import IceChecking, IceConnected, IceFailed, Input
from qbcall.core.model import Description
from tests.adapters.rtc_room import LOOPBACK, Endpoint, gone
from tests.adapters.test_rtc_impaired import bad
from tests.media import virtual_clock
from tests.media.virtual_clock import VirtualClockLoop

ONE_WAY = 0.05
SLOW = f"delay={ONE_WAY * 1e3:g}ms"
MEDIA = range(128, 192)
DTLS = range(20, 64)
"""First byte of a datagram (RFC 7983, section 7)."""


@dataclass
class Wire:
    """What both sides send, and what becomes of it."""

    sent: list[tuple[str, bytes]] = field(default_factory=list)
    """`up` is the caller's."""
    loses: Callable[[str, bytes], bool] = lambda direction, data: False
    """Whether this is lost on its way; asked of each datagram once."""
    media: dict[str, float] = field(default_factory=dict)
    """When the first media came to the caller (`down`), and to the callee."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def carrying(self) -> list[bytes]:
        """Checks with a part of a handshake."""
        return [data for _, data in self.sent if carries(data)]

    def direct(self, direction: str) -> list[bytes]:
        """DTLS that was sent without a check."""
        return [data for where, data in self.sent if where == direction and data[0] in DTLS]

    async def both_receive(self) -> None:
        """Until media came to both."""
        while len(self.media) < 2:
            self.news.clear()
            await self.news.wait()


def carries(data: bytes) -> bool:
    """Whether it is a check with a part of a handshake."""
    return data[:2] == b"\x00\x01" and TYPE.to_bytes(2, "big") in data


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Between a caller whose network is slow, and a callee."""
    found = Wire()
    carry, take = ImpairedNetwork.carry, Path.take

    def carried(network: ImpairedNetwork, direction: str, data: bytes, arrive: Callable[[], None]) -> None:
        found.sent.append((direction, data))
        if not found.loses(direction, data):
            carry(network, direction, data, arrive)

    def taken(path: Path, sender: tuple[str, int], data: bytes, component: int, came: float) -> None:
        if data[0] in MEDIA:
            found.media.setdefault("down" if path.ice_controlling else "up", asyncio.get_running_loop().time())
            found.news.set()
        take(path, sender, data, component, came)

    monkeypatch.setattr(ImpairedNetwork, "carry", carried)
    monkeypatch.setattr(Path, "take", taken)
    for kind in (ImpairedProtocol, StunProtocol):
        monkeypatch.setattr(kind, "send_data", to_who_consented(kind))
    return found


def to_who_consented(kind: type[StunProtocol]) -> Callable[..., object]:
    """Sends; see RFC 7675."""
    send = kind.send_data

    async def send_data(protocol: StunProtocol, data: bytes, addr: tuple[str, int]) -> None:
        assert any(
            pair.protocol is protocol and pair.remote_addr == addr and pair.state is CandidatePair.State.SUCCEEDED
            for pair in protocol.receiver._check_list
        )
        await send(protocol, data, addr)

    return send_data


class Timed(Endpoint):
    """Notes when it was told what."""

    def __init__(self, name: str, impairment: str = "") -> None:
        super().__init__(name, ice=bad(impairment) if impairment else LOOPBACK)
        self.at: dict[type[Input], float] = {}

    def _post(self, fact: Input) -> None:
        self.at.setdefault(type(fact), asyncio.get_running_loop().time())
        super()._post(fact)


def silent(description: Description) -> Description:
    """The description of a side that cannot do it."""
    assert says(description.sdp)
    return Description(description.sdp.replace(f"a=ice-options:{OPTION}\r\n", ""))


async def call(a: Timed, b: Timed, *, can: bool = True) -> float:
    """Its answer is as long on its way as a datagram. Tells when it was accepted."""
    offer = await a.offer(b)
    accepted = asyncio.get_running_loop().time()
    answer = await b.answer(a, offer if can else silent(offer))
    assert says(answer.sdp) is can
    await asyncio.sleep(ONE_WAY)  # on a virtual clock
    a.apply(b, answer)
    return accepted


def play(scene: Callable[[Timed, Timed], Coroutine[Any, Any, None]], impairment: str = SLOW) -> None:
    """Leaves nothing behind."""

    async def whole(loop: VirtualClockLoop) -> None:
        troubles: list[object] = []
        loop.set_exception_handler(lambda _, context: troubles.append(context))
        a, b = Timed("a", impairment), Timed("b")
        async with a, b, asyncio.timeout(600):
            await scene(a, b)
        await gone()
        assert troubles == []

    virtual_clock.run(whole)


@pytest.mark.parametrize(
    ("can", "trips"),
    [(True, {"a": 3, "b": 2, "to a": 3, "to b": 4}), (False, {"a": 5, "b": 6, "to a": 7, "to b": 6})],
)
def test_handshake_in_checks_brings_media_sooner(wire: Wire, *, can: bool, trips: dict[str, float]) -> None:
    """In the usual order: half a round trip of the answer, one of checks, two of DTLS, half a one of media.

    Else one less; and the callee, who is DTLS's client, sends right behind its last flight.
    """
    times: dict[str, float] = {}

    async def scene(a: Timed, b: Timed) -> None:
        accepted = await call(a, b, can=can)
        await wire.both_receive()
        assert a.at[IceChecking] <= a.at[IceConnected]
        times.update(
            {"a": a.at[IceConnected], "b": b.at[IceConnected], "to a": wire.media["down"], "to b": wire.media["up"]}
        )
        times.update({name: (at - accepted) / ONE_WAY for name, at in times.items()})

    play(scene)
    assert times == pytest.approx(trips, abs=0.1)
    assert bool(wire.carrying) is can


def test_answer_of_who_cannot_is_taken_in_the_usual_order(wire: Wire) -> None:
    async def scene(a: Timed, b: Timed) -> None:
        answer = await b.answer(a, await a.offer(b))
        a.apply(b, silent(answer))
        await a.until(IceConnected)
        await b.until(IceConnected)
        assert [data for direction, data in wire.sent if direction == "up" and carries(data)] == []

    play(scene)


def test_nothing_is_said_twice_where_nothing_is_lost(wire: Wire) -> None:
    """A hello and a flight in checks, the last two flights directly."""

    async def scene(a: Timed, b: Timed) -> None:
        await call(a, b)
        await wire.both_receive()
        assert len(set(wire.carrying)) == len(wire.carrying) == 2
        assert all(len(data) <= LONGEST_CHECK for data in wire.carrying)
        assert [len(wire.direct(direction)) for direction in ("up", "down")] == [1, 1]

    play(scene)


@pytest.mark.parametrize(
    ("direction", "number", "later"), [("down", 0, 4), ("up", 0, 4), ("down", 1, 5), ("up", 1, 5)]
)
def test_loss_of_a_flight_costs_less_than_the_patience_of_dtls(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, direction: str, number: int, later: int
) -> None:
    """Of the hello (0, down), and of each flight that follows. DTLS itself, which waits a second, repeats nothing."""
    monkeypatch.setattr(SSL.Connection, "DTLSv1_get_timeout", lambda _: None)
    flights: list[bytes] = []

    def loses(where: str, data: bytes) -> bool:
        part = where == direction and (carries(data) or data[0] in DTLS)
        if part:
            flights.append(data)
        return part and len(flights) == number + 1

    async def scene(a: Timed, b: Timed) -> None:
        wire.loses = loses
        accepted = await call(a, b)
        await wire.both_receive()
        last = max(wire.media.values())
        assert (last - accepted) / ONE_WAY <= 5 + later

    play(scene)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_lost_the_call_connects(wire: Wire, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    async def scene(a: Timed, b: Timed) -> None:
        await call(a, b)
        await a.until(IceConnected)
        await b.until(IceConnected)

    play(scene, f"loss=25%,delay=40ms,jitter=40ms,seed={seed}")


def test_path_that_is_not_found_ends_the_handshake(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both sides it is told as ever, and no task is left."""
    wire.loses = lambda direction, data: True

    async def scene(a: Timed, b: Timed) -> None:
        await call(a, b)
        await a.until(IceFailed)
        await b.until(IceFailed)
        assert len(wire.carrying) <= MOST_CHECKS * 7, "of each check there are seven at most"
        assert a.told(IceConnected) == b.told(IceConnected) == []

    play(scene)


@pytest.mark.parametrize("after", range(8))
def test_connection_that_is_closed_in_the_middle_leaves_nothing(wire: Wire, after: int) -> None:
    async def scene(a: Timed, b: Timed) -> None:
        await call(a, b)
        await asyncio.sleep(after * ONE_WAY / 2)  # on a virtual clock

    play(scene)


def test_end_that_is_wrong_ends_the_connection(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aiortc itself would not notice."""
    clients: set[SSL.Connection] = set()
    connect, shake = SSL.Connection.set_connect_state, SSL.Connection.do_handshake

    def set_connect_state(self: SSL.Connection) -> None:
        clients.add(self)
        connect(self)

    def do_handshake(self: SSL.Connection) -> None:
        shake(self)
        if self in clients:
            raise SSL.Error([("SSL routines", "", "digest check failed")])

    monkeypatch.setattr(SSL.Connection, "set_connect_state", set_connect_state)
    monkeypatch.setattr(SSL.Connection, "do_handshake", do_handshake)

    async def scene(a: Timed, b: Timed) -> None:
        await call(a, b)
        await b.until(IceFailed)
        assert b.told(IceConnected)

    play(scene)
