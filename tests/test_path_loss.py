"""The path of media breaks in a running call: real peer connections whose datagrams get lost at the socket."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace

import av
import pytest

from qbcall import (
    Call,
    Client,
    EndReason,
    Event,
    MemoryHub,
    PeerConnected,
    PeerDisconnected,
    PeerReconnected,
    PeerReconnectFailed,
    PeerReconnecting,
    ReconnectionChanged,
    TrackAdded,
)
from qbcall.adapters.rtc_path import PathProtocol
from tests.test_client import PATIENCE, answering, clients, name_on, picture, run

QUICK = {"stall_timeout": 0.5, "restart_interval": 1.0, "disconnect_timeout": 10.0, "stats_interval": 0.5}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """While `cut` holds, no datagram of these connections arrives: all, or those made before it was cut."""
    state = SimpleNamespace(cut=False, dead=set(), known=set(), news=asyncio.Event())
    arrive = PathProtocol.received

    def received(protocol: PathProtocol, data: bytes, addr: tuple[str, int], came: float) -> None:
        state.known.add(protocol)
        state.news.set()
        if not state.cut and protocol not in state.dead:
            arrive(protocol, data, addr, came)

    monkeypatch.setattr(PathProtocol, "received", received)
    return state


async def connected(stack: AsyncExitStack, hub: MemoryHub, **policy: object) -> tuple[Client, Client, Call, Call]:
    """Ann called Bob, and both see each other."""
    ann, bob = await clients(stack, hub, "ann", "bob", **{**QUICK, **policy})
    served = answering(bob, lambda call: call.accept())
    call = await ann.call(bob.user)
    await call.connected(PATIENCE)
    theirs = await served
    await theirs.connected(PATIENCE)
    for one, user in ((call, bob.user), (theirs, ann.user)):
        for kind in ("audio", "video"):
            await one.wait_for(TrackAdded, where=lambda event, kind=kind: event.kind.value == kind)  # type: ignore[misc]
        await picture(one.peer(user).video, lambda frame: name_on(frame) is not None)
    return ann, bob, call, theirs


def noted(client: Client, *kinds: type[Event]) -> list[Event]:
    """Events of these classes, from now on."""
    events: list[Event] = []
    for kind in kinds:
        client.on(kind)(events.append)
    return events


def test_path_that_is_gone_for_good_is_replaced_and_everything_goes_on(network: SimpleNamespace) -> None:
    """QB-112, QB-121, QB-126, VR-014, VR-019: same track objects, mute states, statistics."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob, call, theirs = await connected(stack, hub)
        seen, heard = call.peer(bob.user).video, call.peer(bob.user).audio
        theirs.mute("audio")
        told = noted(ann, ReconnectionChanged, PeerConnected, PeerDisconnected, TrackAdded)
        frames = seen.frames if seen else 0
        back = asyncio.ensure_future(theirs.wait_for(PeerReconnected, timeout=PATIENCE))
        network.dead |= network.known
        event = await call.wait_for(PeerReconnected, timeout=PATIENCE)
        assert event.attempts >= 1
        assert event.gap > 0
        assert (await back).attempts >= 1
        assert [type(one) for one in told] == [PeerDisconnected, PeerReconnecting, PeerConnected, PeerReconnected]
        assert call.peer(bob.user).video is seen
        assert call.peer(bob.user).audio is heard
        await picture(seen, lambda frame: name_on(frame) == "bob")
        await picture(theirs.peer(ann.user).video, lambda frame: name_on(frame) == "ann")
        await silence(call, bob.user)
        report = call.peer(bob.user).stats
        assert report is not None
        received = report.received[next(kind for kind in report.received if kind.value == "video")]
        assert (received.frames or 0) >= frames
        await call.hang_up()

    run(scenario)


async def tried(network: SimpleNamespace, sockets: int) -> None:
    """So many sockets that were not cut off for good were sent something."""
    async with asyncio.timeout(PATIENCE):
        while len(network.known - network.dead) < sockets:
            network.news.clear()
            await network.news.wait()


async def silence(call: Call, user: str) -> None:
    """What comes from a user is silent."""
    audio = call.peer(user).audio
    assert audio is not None
    async with asyncio.timeout(PATIENCE):
        async for frame in audio:
            assert isinstance(frame, av.AudioFrame)
            if audio.level == 0:
                return


def test_path_that_never_comes_back_ends_the_call_on_both_sides(network: SimpleNamespace) -> None:
    """QB-114, QB-115: who gives up first tells the other one."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob, call, theirs = await connected(stack, hub)
        told = {call: noted(ann, ReconnectionChanged), theirs: noted(bob, ReconnectionChanged)}
        network.cut = True
        reasons = {one: await asyncio.wait_for(one.ended(), PATIENCE) for one in told}
        assert EndReason.DISCONNECT_TIMEOUT in reasons.values()
        assert set(reasons.values()) <= {EndReason.DISCONNECT_TIMEOUT, EndReason.REMOTE_HUNG_UP}
        for one, events in told.items():
            failed = [PeerReconnectFailed] * (reasons[one] is EndReason.DISCONNECT_TIMEOUT)
            assert [type(event) for event in events] == [PeerReconnecting, *failed]

    run(scenario)


def test_path_that_comes_back_within_the_grace_needs_no_fresh_one(network: SimpleNamespace) -> None:
    """QB-111."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        _, bob, call, _ = await connected(stack, hub, restart_interval=10.0)
        network.cut = True
        await call.wait_for(PeerReconnecting, timeout=PATIENCE)
        network.cut = False
        event = await call.wait_for(PeerReconnected, timeout=PATIENCE)
        assert event.attempts == 0
        await picture(call.peer(bob.user).video, lambda frame: name_on(frame) == "bob")

    run(scenario)


def test_path_that_comes_back_between_attempts_is_used_by_the_next(network: SimpleNamespace) -> None:
    """QB-112."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        _, bob, call, _ = await connected(stack, hub)
        network.dead |= network.known
        network.cut = True
        await call.wait_for(PeerReconnecting, timeout=PATIENCE)
        await tried(network, 3)  # two sides of the first attempt, and one of the second
        network.cut = False
        event = await call.wait_for(PeerReconnected, timeout=PATIENCE)
        assert event.attempts >= 2
        await picture(call.peer(bob.user).video, lambda frame: name_on(frame) == "bob")

    run(scenario)
