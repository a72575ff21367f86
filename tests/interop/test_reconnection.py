"""A connection between qbcall and the unmodified QuickBlox SDK is lost and made anew, or is not.

Of two users the one with the higher id offers: qbcall as 1001 yields to 1002, as 1003 it leads.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from qbcall import (
    Call,
    EndReason,
    PeerConnected,
    PeerReconnected,
    PeerReconnectFailed,
    PeerReconnecting,
    TrackAdded,
)
from qbcall.core.signals import RestartAnswer, RestartOffer
from tests.interop.conftest import Run
from tests.interop.island import V4_HERE, Island, unavailable
from tests.interop.js_user import JsUser
from tests.interop.py_user import PyUser
from tests.interop.room import Room

pytestmark = pytest.mark.interop

JS = 1002
ROLES = pytest.mark.parametrize("user", [1001, 1003], ids=["qbcall-yields", "qbcall-offers"])
NEEDS_ISLAND = pytest.mark.skipif(unavailable() != "", reason=unavailable() or "-")
QUICK = {"stall_timeout": 1, "restart_interval": 2, "disconnect_timeout": 30}
PATIENT = {"stall_timeout": 30}


async def in_a_call(
    room: Room, js: JsUser, user: int, policy: Mapping[str, object], address: str
) -> tuple[PyUser, Call]:
    """A user of qbcall called the browser, and both see and hear each other."""
    py = await room.py(user, call=policy, ice={"addresses": [address]})
    call = await py.call([JS])
    await js.expect("call", session=call.id)
    await js.accept()
    await room.both_receive(py, js, call)
    return py, call


async def both_receive_again(py: PyUser, js: JsUser, call: Call) -> None:
    """More than before the loss arrives, both ways."""
    await py.receives(JS, more=py.found(JS))
    await js.receives(py.user, session=call.id)


def offers(py: PyUser) -> list[RestartOffer]:
    """Fresh offers that qbcall sent."""
    return [sent.signal for sent in py.sent.all if isinstance(sent.signal, RestartOffer)]


def answers(py: PyUser) -> list[RestartAnswer]:
    """Answers of qbcall to fresh offers."""
    return [sent.signal for sent in py.sent.all if isinstance(sent.signal, RestartAnswer)]


async def until_offered(py: PyUser, times: int) -> None:
    """A user of qbcall made so many fresh offers."""
    for _ in range(times):
        await py.sent.expect(lambda sent: isinstance(sent.signal, RestartOffer), "fresh offer", 20.0)


@ROLES
def test_browser_that_was_frozen_comes_back(run: Run, user: int) -> None:
    """QB-110, QB-112, QB-118, QB-121: what it was sent meanwhile, it reads all at once."""

    async def scenario(room: Room) -> None:
        browser = await room.browser()
        js = await room.js(JS, browser=browser)
        py, call = await in_a_call(room, js, user, QUICK, "127.0.0.1")
        await browser.freeze()
        await py.expect(PeerReconnecting, call=call)
        await until_offered(py, 2)
        browser.thaw()
        back = await py.expect(PeerReconnected, call=call)
        assert back.attempts >= 2
        await both_receive_again(py, js, call)
        assert len(py.told(TrackAdded)) == 2
        assert (answers(py) != []) is (user < JS)
        await call.hang_up()
        await js.expect("stop", session=call.id)

    run(scenario)


def on_an_island(
    run: Run,
    user: int,
    policy: Mapping[str, object],
    then: Callable[..., Coroutine[Any, Any, None]],
    interval: float = 30,
) -> None:
    """A scenario with the browser on an island."""

    async def scenario(room: Room) -> None:
        async with AsyncExitStack() as stack:
            island = await stack.enter_async_context(Island())
            js = await room.js(JS, browser=await room.browser(island), disconnectTimeInterval=interval)
            py, call = await in_a_call(room, js, user, policy, V4_HERE)
            await island.cut()
            await then(island, js, py, call)
            await room.prove_hearing()
            room.browsers.clear()  # they end before the room

    run(scenario, patience=80.0)


@NEEDS_ISLAND
@ROLES
def test_path_that_qbcall_finds_cut_is_made_anew(run: Run, user: int) -> None:
    """QB-110, QB-112, VR-017: the browser did not notice yet, its chat goes on."""

    async def then(island: Island, js: JsUser, py: PyUser, call: Call) -> None:
        await until_offered(py, 3)
        await island.heal()
        back = await py.expect(PeerReconnected, call=call)
        assert back.attempts >= 3
        await both_receive_again(py, js, call)
        assert len({offer.offer_id for offer in offers(py)}) == len(offers(py))
        assert (answers(py) != []) is (user < JS)

    on_an_island(run, user, QUICK, then)


@NEEDS_ISLAND
@ROLES
def test_path_that_the_browser_finds_cut_is_made_anew(run: Run, user: int) -> None:
    """QB-112, QB-118: qbcall did not notice; the browser asks for an offer, or makes one."""

    async def then(island: Island, js: JsUser, py: PyUser, call: Call) -> None:
        await js.expect("reconnect", user=user, detail="reconnecting", timeout=30.0)
        await py.expect(PeerReconnecting, call=call)
        await island.heal()
        await js.expect("reconnect", user=user, detail="reconnected", timeout=30.0)
        await py.expect(PeerReconnected, call=call)
        await both_receive_again(py, js, call)
        assert (answers(py) != []) is (user < JS)
        assert (offers(py) != []) is (user > JS)
        assert len(py.told(PeerConnected)) == 1

    on_an_island(run, user, PATIENT, then)


@NEEDS_ISLAND
def test_path_that_never_comes_back_ends_the_call_on_both_sides(run: Run) -> None:
    """QB-114, QB-115."""

    async def then(island: Island, js: JsUser, py: PyUser, call: Call) -> None:
        await py.expect(PeerReconnectFailed, call=call)
        assert await call.ended() is EndReason.DISCONNECT_TIMEOUT
        await js.expect("close", session=call.id)

    on_an_island(run, 1001, {**QUICK, "disconnect_timeout": 10}, then)


@NEEDS_ISLAND
def test_browser_gives_up_by_itself_when_qbcall_does_not(run: Run) -> None:
    """QB-114: the SDK sends nothing when it gives up."""

    async def then(island: Island, js: JsUser, py: PyUser, call: Call) -> None:
        await js.expect("reconnect", user=1001, detail="failed", timeout=40.0)
        await js.expect("close", session=call.id)

    on_an_island(run, 1001, PATIENT, then, interval=8)
