"""Two users who call each other at the same moment: QB-051, in all interleavings."""

from __future__ import annotations

import itertools

import pytest

from qbcall.core import events as ev
from qbcall.core.model import CallId, CallMedia
from qbcall.core.policy import Policy
from qbcall.core.signals import Accept, Decline, End, Invite
from tests.core.told import lines
from tests.core.world import Wire, World


def glare(first: str = "A", gap: float = 0.0, *, ready: float = 0.0, delay: float = 0.01) -> World:
    """Both call each other."""
    world = World("AB", wire=Wire(delay=delay))
    world.media.ready = ready
    second = "B" if first == "A" else "A"
    world[first].call(second)
    world.at(gap, lambda: world[second].call(first))
    return world


@pytest.mark.parametrize(
    ("first", "gap", "ready"),
    [
        (first, gap, ready)
        for first, gap, ready in itertools.product("AB", (0.0, 0.004, 0.009, 0.01, 0.2), (0.0, 0.005, 0.02, 0.3))
        if gap < 0.01 + ready  # later the second user is rung in time, and may not call any more
    ],
)
def test_crossing_calls_become_one(first: str, gap: float, ready: float) -> None:
    """QB-051."""
    world = glare(first, gap, ready=ready)
    world.run_until(60.0)
    for name, other in ("AB", "BA"):
        assert world.states(name) == {other: "CONNECTED"}
        assert world.told(name, ev.IncomingCall, ev.CallClosed) == []
        assert len(world.events(name, ev.PeerAccepted)) == 1
        assert len(world[name].watch.media) == 1
    assert world["A"].engine.sessions.keys() == world["B"].engine.sessions.keys()
    assert [type(event) for _, event in world.events("A", ev.CallMerged)] == [ev.CallMerged]
    assert world.events("B", ev.CallMerged) == []
    world["A"].hang_up()
    world.run(1.0)
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
    world.assert_silence()


def test_smaller_id_yields_step_by_step() -> None:
    """QB-051."""
    world = glare()
    world.run_until(1.0)
    assert world.story("A") == lines("""
        0.000 PeerStateChanged B NEW>PENDING
        0.000 CallStateChanged NEW>PENDING
        0.010 CallMerged call-1
        0.010 PeerAccepted B
        0.010 PeerConnecting B PENDING>CONNECTING
        0.010 CallStateChanged PENDING>CONNECTING
        0.010 PeerStateChanged B CONNECTING>CHECKING
        0.110 PeerConnected B CHECKING>CONNECTED
        0.110 CallStateChanged CONNECTING>CONNECTED
        0.110 AudioTrackAdded B AUDIO
        0.110 VideoTrackAdded B VIDEO
    """)
    assert [(type(signal).__name__, signal.call) for _, _, signal in world["A"].sent] == [
        ("Invite", "call-1"),
        ("End", "call-1"),
        ("Accept", "call-2"),
    ]


@pytest.mark.parametrize("lost", [Invite, Accept, End])
@pytest.mark.parametrize("sender", "AB")
def test_glare_survives_a_lost_signal(lost: type[Invite], sender: str) -> None:
    """QB-051."""
    world = glare()
    world.swallow = lambda by, to, signal: by == sender and type(signal) is lost and world.now < 2.0
    world.run_until(8.0)
    for name, other in ("AB", "BA"):
        assert world.states(name) == {other: "CONNECTED"}


def test_last_words_of_a_merged_call_name_the_call_that_went_on() -> None:
    """QB-050, QB-051."""
    world = glare()
    world.run_until(5.0)
    call = world["B"].latest
    head = world["B"].engine.sessions[call].head
    world["A"].hang_up()
    world.run(1.0)
    world.invite("B", "A", call, callees="A")
    assert world["A"].sent[-1][2] == End(call=call)
    assert head.call == call
    world.invite("B", "A", CallId("call-1"), callees="A")
    assert world["A"].sent[-1][2] == End(call=CallId("call-1"))


def test_glare_that_shall_ring_rings_on_both_sides() -> None:
    """QB-051."""
    world = World("AB", policy=Policy(answer_glare=False))
    world["A"].call("B")
    world["B"].call("A")
    world.run_until(1.0)
    for name in "AB":
        assert len(world.events(name, ev.IncomingCall)) == 1
        assert len(world[name].engine.sessions) == 2
    world.run_until(100.0)
    world.assert_silence()


def test_crossing_calls_with_other_users_both_ring() -> None:
    """QB-051."""
    world = World("ABC")
    world["A"].call("BC")
    world["B"].call("A")
    world.run_until(1.0)
    assert world.told("A", ev.IncomingCall) == ["IncomingCall B A VIDEO"]
    assert world.told("B", ev.IncomingCall) == ["IncomingCall A B,C VIDEO"]


def test_crossing_calls_about_different_media_both_ring() -> None:
    """QB-051: nobody is seen who asked for sound only."""
    world = World("AB")
    world["A"].call("B", media=CallMedia.AUDIO)
    world["B"].call("A", media=CallMedia.VIDEO)
    world.run_until(1.0)
    assert world.told("A", ev.IncomingCall) == ["IncomingCall B A VIDEO"]
    assert world.told("B", ev.IncomingCall) == ["IncomingCall A B AUDIO"]


@pytest.mark.parametrize("policy", [Policy(accept_calls=False), Policy(allow=())])
def test_who_is_called_is_welcome(policy: Policy) -> None:
    """QB-003, QB-051: the users asked for this call themselves."""
    world = World("AB", policy=policy)
    world["A"].call("B")
    world["B"].call("A")
    world.run_until(1.0)
    assert world.states("A") == {"B": "CONNECTED"}


def test_call_that_was_only_created_does_not_answer() -> None:
    """QB-020, QB-051."""
    world = World("AB")
    world["A"].create("B")
    world["B"].call("A")
    world.run_until(1.0)
    assert world.told("A", ev.IncomingCall) == ["IncomingCall B A VIDEO"]


def test_second_call_rings_when_the_first_was_cancelled_in_time() -> None:
    """QB-051: B ignored A's call for its own, which it then gives up, unheard."""
    world = World("AB")
    world.swallow = lambda sender, to, signal: sender == "B" and world.now < 1.0
    world["A"].call("B")
    world["B"].call("A")
    world.run_until(0.5)
    world["B"].hang_up(CallId("call-2"))
    world.run_until(6.0)
    assert world.told("B", ev.IncomingCall) == ["IncomingCall A B VIDEO"]
    world["B"].reject(CallId("call-1"))
    world.run(1.0)
    assert world.sent("B", Decline) == [6.0]
    world.assert_silence()
