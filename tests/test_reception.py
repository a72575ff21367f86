"""Who receives what of whom: real peer connections, in which packets of one direction get lost at the socket."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from qbcall import (
    AudioTrackAdded,
    Call,
    CallEvent,
    CallMedia,
    Client,
    DirectionChanged,
    Health,
    HealthChanged,
    MatrixChanged,
    MediaKind,
    MemoryHub,
    ParticipantLeft,
    PeerUpdated,
    Reception,
    User,
)
from qbcall.adapters.rtc_path import PathProtocol
from tests.test_client import PATIENCE, answering, clients, run

AUDIO = MediaKind.AUDIO
RTCP = range(64, 96)
"""Payload types of RTCP where it shares a port with RTP (RFC 5761, section 4)."""


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> set[PathProtocol]:
    """Sockets at which no RTP arrives; ICE, DTLS and RTCP do."""
    sockets: set[PathProtocol] = set()
    arrive = PathProtocol.received

    def received(protocol: PathProtocol, data: bytes, addr: tuple[str, int], came: float) -> None:
        media = data[0] >> 6 == 2 and data[1] & 0x7F not in RTCP
        if not (media and protocol in sockets):
            arrive(protocol, data, addr, came)

    monkeypatch.setattr(PathProtocol, "received", received)
    return sockets


def sockets(client: Client, peer: User) -> set[PathProtocol]:
    """Those of the connection to a user."""
    media = client._media
    assert media is not None
    (connection,) = [lane._connection for key, lane in media._lanes.items() if key[1] == peer]
    assert connection is not None
    paths = [receiver.transport.transport._connection for receiver in connection._pc.getReceivers()]
    return {protocol for path in paths for protocol in path._protocols if isinstance(protocol, PathProtocol)}


async def meeting(stack: AsyncExitStack, hub: MemoryHub) -> tuple[list[Client], list[Call]]:
    """Three hear each other, and everybody knows."""
    ann, bob, carol = people = await clients(stack, hub, "ann", "bob", "carol")
    served = [answering(one, lambda call: call.accept()) for one in (bob, carol)]
    calls = [await ann.call([bob.user, carol.user], media=CallMedia.AUDIO), *(await asyncio.gather(*served))]
    for one, call in zip(people, calls, strict=True):
        for receiver in people:
            for sender in people:
                if receiver is not sender:
                    await becomes(call, one, receiver, sender, Reception.FLOWING)
    return people, calls


async def becomes(call: Call, me: Client, receiver: Client, sender: Client, state: Reception) -> None:
    """Wait until this user knows it."""

    def holds(event: CallEvent) -> bool:
        match event:
            case DirectionChanged():
                told = (me.user, event.peer)
            case MatrixChanged():
                told = (event.receiver, event.sender)
            case _:
                return False
        return told == (receiver.user, sender.user) and event.new is state

    await call.wait_for(CallEvent, timeout=PATIENCE, where=holds)


async def healthy(call: Call, state: Health) -> None:
    """Wait until the call is so."""
    if call.health is not state:
        await call.wait_for(HealthChanged, timeout=PATIENCE, where=lambda event: event.new is state)


def test_one_direction_of_three_that_stalls_is_known_to_all_until_it_flows_again(deaf: set[PathProtocol]) -> None:
    """VR-017: who receives nothing counts it, who sends it and the third are told."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        people, calls = await meeting(stack, hub)
        _, bob, carol = people
        pair = (carol.user, bob.user)
        updates: list[PeerUpdated] = []
        for one in people:
            one.on(PeerUpdated)(updates.append)
        deaf.update(sockets(carol, bob.user))
        for one, call in zip(people, calls, strict=True):
            await becomes(call, one, carol, bob, Reception.STALLED)
            bad = {cell for cell, states in call.matrix().items() if any(state.bad for state in states.values())}
            assert bad == {pair}
            assert len(call.matrix()) == 6
        for call in calls[1:]:
            await healthy(call, Health.DEGRADED)
        assert calls[0].health is Health.OK
        deaf.clear()
        for one, call in zip(people, calls, strict=True):
            await becomes(call, one, carol, bob, Reception.FLOWING)
            assert call.matrix()[pair] == {AUDIO: Reception.FLOWING}
        for call in calls[1:]:
            await healthy(call, Health.OK)
        assert updates == []
        carol_knows = asyncio.ensure_future(calls[2].wait_for(ParticipantLeft, timeout=PATIENCE))
        await calls[0].hang_up()
        await carol_knows
        assert set(calls[2].matrix()) == {pair, pair[::-1]}

    run(scenario)


def test_mutes_and_another_source_are_no_fault() -> None:
    """Whatever a healthy qbcall does, it sends."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        served = answering(bob, lambda call: call.accept(mute=[AUDIO, MediaKind.VIDEO]))
        call = await ann.call(bob.user)
        theirs = await served
        await call.wait_for(AudioTrackAdded, timeout=PATIENCE)
        told: list[CallEvent] = []
        for one in (ann, bob):
            one.on(DirectionChanged)(told.append)
            one.on(MatrixChanged)(told.append)
            one.on(HealthChanged)(told.append)
        for mute in (False, True):
            for kind in MediaKind:
                theirs.mute(kind, mute)
            await blocks(call, bob, 100)
        await theirs.replace_source("test:size=160x120,fps=10")
        await blocks(call, bob, 100)
        assert [event for event in told if event.new not in (Reception.FLOWING, Health.OK)] == []  # type: ignore[attr-defined]
        assert (call.health, theirs.health) == (Health.OK, Health.OK)
        await call.hang_up()

    run(scenario)


async def blocks(call: Call, peer: Client, count: int) -> None:
    """So many blocks of sound arrive, of 20 ms each."""
    audio = call.peer(peer.user).audio
    assert audio is not None
    async with asyncio.timeout(PATIENCE):
        async for _ in audio:
            count -= 1
            if not count:
                return
