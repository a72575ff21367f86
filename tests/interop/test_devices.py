"""Two devices of one user, of the QuickBlox SDK and of qbcall: both ring, one takes the call, and keeps it."""

from __future__ import annotations

import asyncio

import pytest

from qbcall import (
    Call,
    CallEvent,
    CallState,
    EndReason,
    IncomingCall,
    MediaKind,
    PeerAccepted,
    PeerHungUp,
    PeerRejected,
)
from qbcall.core.signals import Accept, Decline, End, Signal
from tests.interop.conftest import Run
from tests.interop.js_user import ENOUGH_FRAMES, ENOUGH_PACKETS, PATIENCE, JsUser
from tests.interop.py_user import PyUser
from tests.interop.room import Room
from tests.interop.words import ANSWER, FAREWELL, WORDS

pytestmark = pytest.mark.interop

CALLER, CALLEE = 1001, 1002
SOON = 3.0
"""Seconds, far less than the answer interval."""
MORE = """async (user, session, frames, packets) => {
    const found = await agent.seen(user, session);
    return found.frames >= frames && found.packets >= packets;
}"""
"""Whether so much was decoded."""


async def full_jid(js: JsUser) -> str:
    """Which device it is."""
    return str(await js.page.evaluate("QB.chat.connection.jid"))


async def arrived(py: PyUser, user: int, kind: type[Signal]) -> None:
    """Wait until a signal of a user came to qbcall."""
    await py.got.expect(
        lambda got: isinstance(got.signal, kind) and got.sender == py.jid(user), kind.__name__, PATIENCE
    )


async def goes_on(py: PyUser, js: JsUser, call: Call) -> None:
    """Wait for more of picture and sound on both sides, in the call that was connected once."""
    before = await js.seen(py.user, call.id)
    await asyncio.gather(
        py.receives(js.user, more=py.found(js.user)),
        js.until(MORE, py.user, call.id, before["frames"] + ENOUGH_FRAMES, before["packets"] + ENOUGH_PACKETS),
    )
    await js.sees_card(py.user)
    assert call.state is CallState.CONNECTED


async def ring_two_browsers(room: Room) -> tuple[PyUser, JsUser, JsUser, Call]:
    """A user with two browsers is called by qbcall; both ring."""
    py, first, second = await room.py(CALLER), await room.js(CALLEE), await room.js(CALLEE)
    call = await py.call([CALLEE], info=WORDS)
    for one in (first, second):
        assert (await one.expect("call", user=CALLER, session=call.id)).info == WORDS
    return py, first, second, call


# -- two browsers ----------------------------------------------------------------------------------------------------


def test_late_reject_of_a_second_browser_does_not_end_the_call_of_the_first(run: Run) -> None:
    """The second rings on: QuickBlox gives it no notice, and the caller's farewell would end the first as well."""

    async def scenario(room: Room) -> None:
        py, first, second, call = await ring_two_browsers(room)
        await first.accept(ANSWER)
        await room.both_receive(py, first, call)
        assert second.kinds() == ["call"]
        await second.reject(FAREWELL)
        await arrived(py, CALLEE, Decline)
        await goes_on(py, first, call)
        assert py.told(PeerRejected) == []
        await call.hang_up()
        await first.expect("stop", session=call.id)
        assert await call.ended() is EndReason.HUNG_UP

    run(scenario)


def test_late_accept_and_hang_up_of_a_second_browser_leave_the_first_in_the_call(run: Run) -> None:
    """The device that accepted first takes part."""

    async def scenario(room: Room) -> None:
        py, first, second, call = await ring_two_browsers(room)
        await first.accept(ANSWER)
        await room.both_receive(py, first, call)
        await second.add_camera("the second")
        await second.accept(FAREWELL)
        await arrived(py, CALLEE, Accept)
        await arrived(py, CALLEE, Accept)
        await goes_on(py, first, call)
        assert (await second.seen(CALLER))["sent_packets"] == 0
        await second.stop(FAREWELL)
        await arrived(py, CALLEE, End)
        await goes_on(py, first, call)
        assert [accepted.info for accepted in py.told(PeerAccepted)] == [ANSWER]
        assert py.told(PeerHungUp) == []
        assert "stream" not in second.kinds()
        await first.stop(WORDS)
        assert (await py.expect(PeerHungUp, user=CALLEE)).info == WORDS
        assert await call.ended() is EndReason.REMOTE_HUNG_UP

    run(scenario)


def test_call_of_qbcall_ends_the_ringing_of_the_second_browser_when_it_ends(run: Run) -> None:
    """QuickBlox tells the second browser nothing before."""

    async def scenario(room: Room) -> None:
        py, first, second, call = await ring_two_browsers(room)
        await first.accept(ANSWER)
        await room.both_receive(py, first, call)
        assert second.kinds() == ["call"]
        await call.hang_up(FAREWELL)
        for one in (first, second):
            assert (await one.expect("stop", user=CALLER, session=call.id)).info == FAREWELL
            await one.expect("close", session=call.id)

    run(scenario)


def test_two_browsers_that_accept_at_once_leave_one_in_the_call(run: Run) -> None:
    """The accept that comes first counts."""

    async def scenario(room: Room) -> None:
        py, first, second, call = await ring_two_browsers(room)
        await asyncio.gather(first.accept(ANSWER), second.accept(ANSWER))
        for _ in range(2):
            await arrived(py, CALLEE, Accept)
        winner = next(got.device for got in py.got.all if isinstance(got.signal, Accept))
        js, other = (first, second) if await full_jid(first) == winner else (second, first)
        await room.both_receive(py, js, call)
        await goes_on(py, js, call)
        assert len(py.told(PeerAccepted)) == 1
        assert (await other.seen(CALLER))["sent_packets"] == 0
        await call.hang_up()
        for one in (first, second):
            await one.expect("stop", session=call.id)

    run(scenario)


# -- two of qbcall ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepts", [True, False], ids=["accept", "reject"])
def test_second_device_of_qbcall_stops_ringing_when_the_first_answers_js(run: Run, accepts: bool) -> None:
    """Neither accepts nor rejects reach the SDK twice."""

    async def scenario(room: Room) -> None:
        js, first, second = await room.js(CALLER), await room.py(CALLEE), await room.py(CALLEE)
        session = await js.call([CALLEE], info=WORDS)
        call, other = await first.ringing(CALLER), await second.ringing(CALLER)
        assert call.id == other.id == session
        if accepts:
            await first.accept(call, ANSWER)
        else:
            await call.reject(ANSWER)
        async with asyncio.timeout(SOON):
            assert await other.ended() is EndReason.ELSEWHERE
        kind = "accept" if accepts else "reject"
        assert (await js.expect(kind, user=CALLEE, session=session)).info == ANSWER
        if accepts:
            await room.both_receive(first, js, call)
            await js.stop()
            assert await call.ended() is EndReason.REMOTE_HUNG_UP
        await js.expect("close", session=session)
        assert second.sent.all == []
        assert js.kinds().count(kind) == 1
        assert len(second.told(IncomingCall)) == 1

    run(scenario)


# -- one of each -----------------------------------------------------------------------------------------------------


async def ring_both(room: Room) -> tuple[PyUser, JsUser, PyUser, Call, Call]:
    """A user who has a browser and qbcall is called by qbcall; both ring."""
    caller, js, py = await room.py(CALLER), await room.js(CALLEE), await room.py(CALLEE)
    call = await caller.call([CALLEE])
    await js.expect("call", user=CALLER, session=call.id)
    return caller, js, py, call, await py.ringing(CALLER)


def test_late_reject_of_qbcall_does_not_end_the_call_of_the_browser_beside_it(run: Run) -> None:
    """The SDK does not tell other devices of its user that it accepted: qbcall rings on.

    The browser hears its user's own reject too, and it does not matter.
    """

    async def scenario(room: Room) -> None:
        caller, js, _, call, ringing = await ring_both(room)
        await js.accept(ANSWER)
        await room.both_receive(caller, js, call)
        assert ringing.state is CallState.PENDING
        await ringing.reject(FAREWELL)
        await arrived(caller, CALLEE, Decline)
        await js.expect("reject", user=CALLEE, session=call.id)
        await goes_on(caller, js, call)
        assert caller.told(PeerRejected) == []

    run(scenario)


def test_late_reject_of_a_browser_does_not_end_the_call_of_qbcall_beside_it(run: Run) -> None:
    """The browser is told that qbcall accepted; the SDK rings on."""

    async def scenario(room: Room) -> None:
        caller, js, py, call, accepted = await ring_both(room)
        await py.accept(accepted, ANSWER)
        told = await js.expect("invalid", user=CALLEE, session=call.id)
        assert (told.detail, told.info) == ("onAccept", ANSWER)
        await asyncio.gather(caller.receives(CALLEE), py.receives(CALLER))
        # What the two qbcalls tell each other about what they receive comes to all devices of a user.
        assert [kind for kind in js.kinds() if kind != "update"] == ["call", "invalid"]
        await js.reject(FAREWELL)
        await arrived(caller, CALLEE, Decline)
        await asyncio.gather(
            caller.receives(CALLEE, more=caller.found(CALLEE)), py.receives(CALLER, more=py.found(CALLER))
        )
        assert (call.state, accepted.state) == (CallState.CONNECTED, CallState.CONNECTED)
        assert caller.told(PeerRejected) == []
        assert list(call.peer(caller.jid(CALLEE)).tracks) == list(MediaKind)

    run(scenario)


def test_other_devices_of_a_caller_hear_nothing_of_the_call(run: Run) -> None:
    """Accept and candidates of the callee go to all devices of the caller."""

    async def scenario(room: Room) -> None:
        js, beside, other = await room.js(CALLER), await room.js(CALLER), await room.py(CALLER)
        py = await room.py(CALLEE)
        session = await js.call([CALLEE])
        call = await py.ringing(CALLER)
        await py.accept(call, ANSWER)
        await room.both_receive(py, js, call)
        await arrived(other, CALLEE, Accept)
        await call.hang_up()
        await arrived(other, CALLEE, End)
        await js.expect("stop", session=session)
        assert other.told(CallEvent) == []
        assert other.sent.all == []
        assert (await beside.expect("invalid", user=CALLEE)).detail == "onStop"
        assert beside.kinds() == ["invalid"]

    run(scenario)
