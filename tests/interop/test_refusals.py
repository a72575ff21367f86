"""Calls between qbcall and the unmodified QuickBlox SDK that nobody takes: rejected, busy, cancelled, unanswered."""

from __future__ import annotations

from itertools import pairwise

import pytest

from qbcall import (
    Busy,
    CallClosed,
    CallRefused,
    CallState,
    DeclineReason,
    EndReason,
    IncomingCall,
    PeerConnected,
    PeerHungUp,
    PeerNoAnswer,
    PeerRejected,
    Rejected,
)
from qbcall.core.signals import Invite
from tests.interop.conftest import Run
from tests.interop.js_user import PATIENCE
from tests.interop.room import Room
from tests.interop.words import ANSWER, BANDWIDTH, FAREWELL, WORDS

pytestmark = pytest.mark.interop

SHORTEST = {"answer_timeout": 10, "dialing_interval": 3}
"""What qbcall allows."""
LATE = 0.7
"""Seconds by which a repetition may be late on a busy machine."""


def check_rhythm(times: list[float], interval: float) -> None:
    """Repetitions come an interval apart."""
    for before, after in pairwise(times):
        assert interval - LATE < after - before < interval + LATE, times


# -- rejected by hand ------------------------------------------------------------------------------------------------


def test_js_rejects_a_call_of_qbcall_and_its_words_arrive(run: Run) -> None:
    """QB-064."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        call = await py.call([1002], info=WORDS)
        await js.expect("call", session=call.id)
        await js.reject(FAREWELL)
        rejected = await py.expect(PeerRejected, user=1002, call=call)
        assert (rejected.info, rejected.reason) == (FAREWELL, DeclineReason.DECLINED)
        with pytest.raises(Rejected):
            await call.connected(PATIENCE)
        assert await call.ended() is EndReason.REJECTED
        await js.expect("close", session=call.id)

    run(scenario)


def test_qbcall_rejects_a_call_of_js_and_its_words_arrive(run: Run) -> None:
    """QB-064, QB-065."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        session = await js.call([1001], info=WORDS)
        call = await py.ringing(1002)
        await call.reject(FAREWELL)
        assert (await js.expect("reject", user=1001, session=session)).info == FAREWELL
        await js.expect("close", session=session)
        assert await call.ended() is EndReason.DECLINED
        assert py.told(PeerRejected) == []

    run(scenario)


# -- busy ------------------------------------------------------------------------------------------------------------


def test_js_that_is_in_a_call_is_busy_for_qbcall_and_its_call_goes_on(run: Run) -> None:
    """The SDK sends the caller's own words back, and the offer."""

    async def scenario(room: Room) -> None:
        js, py, third = await room.js(1002), await room.py(1001), await room.py(1003)
        call = await py.call([1002])
        await js.expect("call", session=call.id)
        await js.accept()
        await room.both_receive(py, js, call)
        second = await third.call([1002], info=WORDS)
        assert (await third.expect(PeerRejected, user=1002)).reason is DeclineReason.BUSY
        with pytest.raises(Busy):
            await second.connected(PATIENCE)
        assert await second.ended() is EndReason.BUSY
        refused = await js.expect("invalid", user=1003, session=second.id)
        assert refused.detail == "onCall"
        assert js.kinds().count("call") == 1
        before = (await js.seen(1001, call.id))["frames"]
        await py.receives(1002, more=py.found(1002))
        await js.receives(1001, session=call.id, more=before)
        assert call.state is CallState.CONNECTED

    run(scenario)


def test_qbcall_that_is_in_a_call_is_busy_for_js_and_its_call_goes_on(run: Run) -> None:
    """QB-044."""

    async def scenario(room: Room) -> None:
        js, other = await room.js(1002), await room.js(1003)
        py = await room.py(1001, call={"reject_when_busy": True})
        call = await py.call([1002])
        await js.expect("call", session=call.id)
        await js.accept()
        await room.both_receive(py, js, call)
        session = await other.call([1001], info=WORDS)
        await other.expect("reject", user=1001, session=session)
        await other.expect("close", session=session)
        refused = await py.expect(CallRefused)
        assert (refused.caller, refused.reason) == (py.jid(1003), DeclineReason.BUSY)
        assert py.told(IncomingCall) == []
        before = (await js.seen(1001, call.id))["frames"]
        await py.receives(1002, more=py.found(1002))
        await js.receives(1001, session=call.id, more=before)
        assert call.state is CallState.CONNECTED

    run(scenario)


# -- cancelled -------------------------------------------------------------------------------------------------------


def test_qbcall_cancels_before_js_answers_and_js_stops_ringing(run: Run) -> None:
    """QB-066."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        call = await py.call([1002])
        await js.expect("call", session=call.id)
        await call.hang_up(FAREWELL)
        assert (await js.expect("stop", user=1001, session=call.id)).info == FAREWELL
        await js.expect("close", session=call.id)
        assert await call.ended() is EndReason.HUNG_UP
        assert js.kinds() == ["call", "stop", "close"]

    run(scenario)


def test_js_cancels_before_qbcall_answers_and_qbcall_stops_ringing(run: Run) -> None:
    """QB-047."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        session = await js.call([1001])
        call = await py.ringing(1002)
        await js.stop(FAREWELL)
        assert (await py.expect(PeerHungUp, user=1002, call=call)).info == FAREWELL
        assert await call.ended() is EndReason.CANCELLED
        await js.expect("close", session=session)
        assert py.told(PeerConnected) == []

    run(scenario)


# -- no answer -------------------------------------------------------------------------------------------------------


def test_js_does_not_answer_and_qbcall_gives_up_in_time(run: Run) -> None:
    """QB-027, QB-028: invitations at 0, 3, 6, 9 s; no answer at 10 s."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001, call=SHORTEST)
        call = await py.call([1002], info=WORDS)
        await py.expect(PeerNoAnswer, user=1002, call=call)
        assert await call.ended() is EndReason.NO_ANSWER
        assert call.closed_at is not None
        await js.expect("close", session=call.id)
        invited = [signal for signal in js.signals.all if signal.kind == "call"]
        assert [signal.session for signal in invited] == [call.id] * 4
        check_rhythm([signal.at for signal in invited], 3)
        assert 10 - LATE < call.closed_at - invited[0].at < 10 + LATE
        assert js.kinds() == ["call", "stop", "close"], "it rings once, and not in vain"

    run(scenario)


def test_qbcall_does_not_answer_and_both_sides_give_up(run: Run) -> None:
    """QB-041, QB-045: the SDK tells nobody that it gave up; qbcall's own time runs from the first invitation."""

    async def scenario(room: Room) -> None:
        js = await room.js(1002, dialingTimeInterval=1, answerTimeInterval=3)
        py = await room.py(1001, call=SHORTEST)
        session = await js.call([1001], info=WORDS)
        call = await py.ringing(1002)
        await js.expect("no_answer", user=1001, session=session)
        await js.expect("close", session=session)
        invited = [signal for signal in js.signals.all if signal.kind == "call"]
        assert len(invited) == 3
        check_rhythm([signal.at for signal in invited], 1)
        await py.expect(CallClosed, call=call)
        assert await call.ended() is EndReason.MISSED
        assert call.closed_at is not None
        assert 10 - LATE < call.closed_at - invited[0].at < 10 + LATE
        assert len(py.told(IncomingCall)) == 1
        assert [signal.kind for signal in js.signals.all if not signal.sent] == []
        assert py.told(PeerHungUp) == []

    run(scenario)


# -- late ------------------------------------------------------------------------------------------------------------


def test_js_that_comes_online_while_qbcall_dials_rings_at_the_next_repetition(run: Run) -> None:
    """QB-042."""

    async def scenario(room: Room) -> None:
        py = await room.py(1001, call={"dialing_interval": 3})
        call = await py.call([1002], info=WORDS)
        for _ in range(2):
            await py.sent.expect(lambda sent: isinstance(sent.signal, Invite), "Invite", PATIENCE)
        js = await room.js(1002)
        assert (await js.expect("call", user=1001, session=call.id)).info == WORDS
        await js.signals.expect(lambda signal: signal.kind == "call", "call", PATIENCE)
        assert [signal.kind for signal in js.signals.all] == ["call"]
        assert len([sent for sent in py.sent.all if isinstance(sent.signal, Invite)]) == 3
        await js.accept(ANSWER)
        await room.both_receive(py, js, call)

    run(scenario)


def test_qbcall_that_comes_online_while_js_dials_rings_at_the_next_repetition(run: Run) -> None:
    """QB-042."""

    async def scenario(room: Room) -> None:
        js = await room.js(1002, dialingTimeInterval=3)
        session = await js.call([1001], info=WORDS)
        for _ in range(2):
            await js.signals.expect(lambda signal: signal.sent and signal.kind == "call", "call", PATIENCE)
        py = await room.py(1001)
        call = await py.ringing(1002)
        assert (call.id, call.info) == (session, WORDS | BANDWIDTH)
        await js.signals.expect(lambda signal: signal.sent and signal.kind == "call", "third call", PATIENCE)
        assert len([signal for signal in js.signals.all if signal.sent]) == 3
        await py.accept(call, ANSWER)
        await js.expect("accept", user=1001, session=session)
        await room.both_receive(py, js, call)

    run(scenario)
