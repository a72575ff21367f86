"""Connecting while it rings, as an application sees it: real media on loopback, an in-process chat link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from aiortc.rtp import is_rtcp

from qbcall import Call, Client, IncomingCall, MemoryHub, PeerConnected
from qbcall.adapters.rtc_arrival import is_media
from qbcall.adapters.rtc_lasting import LastingPath
from qbcall.adapters.rtc_path import Path
from qbcall.core.inputs import IceFailed, Input
from qbcall.core.model import MediaKind, User
from qbcall.core.preconnection import Progress
from qbcall.core.signals import Accept, EarlyOffer, Signal
from qbcall.driver import Driver
from tests.test_client import PATIENCE, config, picture, run

ANN, BOB = "ann", "bob"
TRUSTING = {"preconnect": "trusted", "allow": ("any", "ann@example.org")}


class News:
    """Wakes who waits for a condition, whenever a client was told something; counts what is sent."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sent = 0
        """Packets of sound or picture, by anybody."""
        self._event = asyncio.Event()
        step, send = Driver._step, LastingPath.send_now

        def noting_step(driver: Driver, what: Input) -> None:
            step(driver, what)
            self._event.set()

        def counting_send(path: LastingPath, data: bytes) -> None:
            self.sent += is_media(data) and not is_rtcp(data)
            send(path, data)

        patch.setattr(Driver, "_step", noting_step)
        patch.setattr(LastingPath, "send_now", counting_send)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._event.clear()
                await self._event.wait()


def progress(client: Client, other: str) -> Progress:
    """How far the early connection to a user is."""
    assert client._driver is not None
    (session,) = client._driver.engine.sessions.values()
    state = session.peers[User(f"{other}@example.org")].preconnection.state
    assert isinstance(state, Progress)
    return state


async def client(stack: AsyncExitStack, hub: MemoryHub, user: str, **call: object) -> Client:
    return await stack.enter_async_context(Client(config(user, **call), link=hub.link))


async def rung(stack: AsyncExitStack, caller: Client, *callees: Client) -> tuple[Call, list[Call]]:
    """A call that rings at all devices of a user."""
    waiting = [asyncio.ensure_future(one.wait_for(IncomingCall, timeout=PATIENCE)) for one in callees]
    call = await caller.call("bob@example.org", source="test:size=160x120,fps=15")
    events = await asyncio.gather(*waiting)
    return call, [one.calls[event.call] for one, event in zip(callees, events, strict=True)]


def open_sockets(patch: pytest.MonkeyPatch) -> set[Path]:
    """The transports that are open from now on."""
    paths: set[Path] = set()
    begin, end = Path.gather_candidates, Path.close

    async def noting_begin(path: Path) -> None:
        paths.add(path)
        await begin(path)

    async def noting_end(path: Path) -> None:
        await end(path)
        paths.discard(path)

    patch.setattr(Path, "gather_candidates", noting_begin)
    patch.setattr(Path, "close", noting_end)
    return paths


def test_trusted_caller_is_connected_while_it_rings_and_nothing_is_sent_before_the_accept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        news = News(monkeypatch)
        ann, bob = await client(stack, hub, ANN), await client(stack, hub, BOB, **TRUSTING)
        call, (ringing,) = await rung(stack, ann, bob)
        await news.until(lambda: progress(ann, BOB) is progress(bob, ANN) is Progress.UP)
        for one in (ann, bob):  # the second look at what comes in is after it was connected for a while
            driver = one._driver
            assert driver is not None
            (session,) = driver.engine.sessions.values()
            (peer,) = session.peers.values()
            assert peer.epochs.early is not None
            first = peer.epochs.early.heard_at
            await news.until(lambda peer=peer, first=first: peer.epochs.early.heard_at > first)  # type: ignore[misc]
        assert news.sent == 0
        connected = asyncio.ensure_future(ann.wait_for(PeerConnected, timeout=PATIENCE))
        await ringing.accept()
        await connected
        for side, other in ((call, "bob@example.org"), (ringing, "ann@example.org")):
            await side.connected(PATIENCE)
            await picture(side.peer(other).video, lambda frame: True)
        assert news.sent > 0
        report = bob.measure(ringing.id, User("ann@example.org"))
        assert report is not None
        assert set(report.sent) == set(report.received) == {MediaKind.AUDIO, MediaKind.VIDEO}
        await call.hang_up()
        await ringing.ended()

    run(scenario)


@pytest.mark.parametrize(
    "policy",
    [{"preconnect": "trusted"}, {"preconnect": "trusted", "allow": ("*@example.org",)}, {"allow": ("roster",)}],
)
def test_stranger_and_whoever_was_not_named_is_shown_nothing(policy: dict[str, object]) -> None:
    said: list[Signal] = []

    def listen(sender: User, to: User, signal: Signal) -> int:
        said.append(signal)
        return 1

    async def scenario(stack: AsyncExitStack, _: MemoryHub) -> None:
        hub = MemoryHub(listen)
        ann, bob = await client(stack, hub, ANN), await client(stack, hub, BOB, **policy)
        if policy.get("allow") == ("roster",):
            assert bob._driver is not None
            bob._driver.engine.contacts = frozenset({ann.user})
        call, (ringing,) = await rung(stack, ann, bob)
        assert progress(bob, ANN) is Progress.NONE
        await ringing.accept()
        await call.connected(PATIENCE)
        await ringing.connected(PATIENCE)

    run(scenario)
    assert not any(isinstance(signal, EarlyOffer) or (isinstance(signal, Accept) and signal.early) for signal in said)


def test_other_device_of_the_callee_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has no early connection: the usual order."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        news = News(monkeypatch)
        ann = await client(stack, hub, ANN)
        first, second = await client(stack, hub, BOB, **TRUSTING), await client(stack, hub, BOB)
        call, (_, ringing) = await rung(stack, ann, first, second)
        await news.until(lambda: progress(ann, BOB) is progress(first, ANN) is Progress.UP)
        await ringing.accept()
        await call.connected(PATIENCE)
        await picture(call.peer("bob@example.org").video, lambda frame: True)
        await picture(ringing.peer("ann@example.org").video, lambda frame: True)

    run(scenario)


@pytest.mark.parametrize("how", ["hang_up", "reject"])
def test_end_of_the_ringing_leaves_nothing_open(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = open_sockets(monkeypatch)

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        news = News(monkeypatch)
        ann, bob = await client(stack, hub, ANN), await client(stack, hub, BOB, **TRUSTING)
        call, (ringing,) = await rung(stack, ann, bob)
        await news.until(lambda: progress(ann, BOB) is progress(bob, ANN) is Progress.UP)
        assert len(paths) > 0
        await (call.hang_up() if how == "hang_up" else ringing.reject())
        await call.ended()
        await ringing.ended()
        for one in (ann, bob):
            assert one._media is not None
            assert one._media._lanes == {}
        assert news.sent == 0

    run(scenario)
    assert paths == set()


def test_callee_who_sends_less_accepts_in_the_usual_order(monkeypatch: pytest.MonkeyPatch) -> None:
    accepts: list[Accept] = []

    def listen(sender: User, to: User, signal: Signal) -> int:
        accepts.extend([signal] if isinstance(signal, Accept) else [])
        return 1

    async def scenario(stack: AsyncExitStack, _: MemoryHub) -> None:
        hub, news = MemoryHub(listen), News(monkeypatch)
        ann, bob = await client(stack, hub, ANN), await client(stack, hub, BOB, **TRUSTING)
        call, (ringing,) = await rung(stack, ann, bob)
        await news.until(lambda: progress(ann, BOB) is progress(bob, ANN) is Progress.UP)
        await ringing.accept(source="none")
        await call.connected(PATIENCE)
        await ringing.connected(PATIENCE)
        await picture(ringing.peer("ann@example.org").video, lambda frame: True)

    run(scenario)
    assert accepts
    assert not any(accept.early for accept in accepts)


def test_accept_over_an_early_connection_that_just_failed_leads_to_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The callee was connected already, and is again; its times are those of the first accept."""
    clients: list[Client] = []
    early: list[bool] = []

    def break_before_the_accept(sender: User, to: User, signal: Signal) -> int:
        if isinstance(signal, Accept) and to == clients[0].user:
            if signal.early:
                driver = clients[0]._driver
                assert driver is not None
                peer = driver.engine.sessions[signal.call].peers[sender]
                assert peer.epochs.fresh is not None
                driver.post(IceFailed(call=signal.call, peer=sender, epoch=peer.epochs.fresh))
            early.append(bool(signal.early))
        return 1

    async def scenario(stack: AsyncExitStack, _: MemoryHub) -> None:
        hub, news = MemoryHub(break_before_the_accept), News(monkeypatch)
        ann, bob = await client(stack, hub, ANN), await client(stack, hub, BOB, **TRUSTING)
        clients.append(ann)
        call, (ringing,) = await rung(stack, ann, bob)
        await news.until(lambda: progress(ann, BOB) is progress(bob, ANN) is Progress.UP)
        await ringing.accept()
        await call.connected(PATIENCE)
        peer = ringing.peer("ann@example.org")
        await picture(call.peer("bob@example.org").video, lambda frame: True)
        await picture(peer.video, lambda frame: True)
        assert peer.accepted_at is not None
        assert peer.connected_at is not None
        assert peer.accepted_at <= peer.connected_at

    run(scenario)
    assert early == [True, False]
