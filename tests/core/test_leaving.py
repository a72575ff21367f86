"""Rejecting and hanging up: acceptance section 4."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qbcall.core import events as ev
from qbcall.core.model import Candidate, Description, EndReason, User
from qbcall.core.signals import Accept, Candidates, Decline, End, Signal
from qbcall.errors import InvalidState
from tests.core.test_answering import connected, ringing
from tests.core.told import lines
from tests.core.world import Node, World


def test_reject_is_told_to_the_caller() -> None:
    """QB-064, QB-100."""
    world = ringing()
    world["B"].reject(info={"why": "busy"})
    world.run(1.0)
    assert world.story("A", since=1.0) == lines("""
        1.010 PeerRejected B why=busy DECLINED
        1.010 PeerStateChanged B PENDING>REJECTED
        1.010 PeerClosed B REJECTED>CLOSED REJECTED
        1.010 CallStateChanged PENDING>CLOSED
        1.010 CallClosed REJECTED
    """)
    world.assert_silence()


def test_reject_closes_the_call_of_who_rejects() -> None:
    """QB-065."""
    world = ringing()
    world["B"].reject()
    world.run(1.0)
    assert world.story("B", since=1.0) == lines("""
        1.000 PeerClosed A PENDING>CLOSED DECLINED
        1.000 CallStateChanged PENDING>CLOSED
        1.000 CallClosed DECLINED
    """)


def test_reject_says_that_the_user_is_busy() -> None:
    world = ringing()
    world["B"].reject(busy=True)
    world.run(1.0)
    assert world.told("A", ev.PeerRejected, ev.CallClosed) == ["PeerRejected B BUSY", "CallClosed BUSY"]


def test_cancel_tells_everybody_and_closes() -> None:
    """QB-066."""
    world = World("ABC")
    world["A"].call("BC")
    world.run_until(1.0)
    world["A"].hang_up(info={"k": "v"})
    world.run(1.0)
    assert world.story("A", since=1.0) == lines("""
        1.000 PeerClosed B PENDING>CLOSED HUNG_UP
        1.000 PeerClosed C PENDING>CLOSED HUNG_UP
        1.000 CallStateChanged PENDING>CLOSED
        1.000 CallClosed HUNG_UP
    """)
    for name in "BC":
        assert world.told(name, ev.PeerHungUp)[0] == "PeerHungUp A k=v"
        assert world.told(name, ev.CallClosed) == ["CallClosed CANCELLED"]
    world.assert_silence()


@pytest.mark.parametrize(("leaver", "other"), ["AB", "BA"])
def test_hang_up_is_told_to_the_other(leaver: str, other: str) -> None:
    """QB-067, QB-068, QB-101, QB-104."""
    world = connected()
    peer = world[other].engine.sessions[world[other].latest].peers[User(leaver)]
    world[leaver].hang_up(info={"k": "v"})
    world.run(1.0)
    assert world.story(leaver, since=2.0) == lines(f"""
        2.000 PeerClosed {other} CONNECTED>CLOSED HUNG_UP
        2.000 CallStateChanged CONNECTED>CLOSED
        2.000 CallClosed HUNG_UP
    """)
    assert world.story(other, since=2.0) == lines(f"""
        2.010 PeerHungUp {leaver} k=v
        2.010 PeerStateChanged {leaver} CONNECTED>HANG_UP
        2.010 PeerClosed {leaver} HANG_UP>CLOSED REMOTE_HUNG_UP
        2.010 CallStateChanged CONNECTED>CLOSED
        2.010 CallClosed REMOTE_HUNG_UP
    """)
    assert (peer.state.name, peer.end_reason) == ("CLOSED", EndReason.REMOTE_HUNG_UP)
    world.assert_silence()


@pytest.mark.parametrize("command", [Node.hang_up, Node.reject])
def test_leaving_a_closed_call_again_does_nothing(command: Callable[[Node], None]) -> None:
    """QB-069."""
    world = connected()
    world["A"].hang_up()
    world.run(1.0)
    for name in "AB":
        sent, told = len(world[name].sent), len(world[name].told)
        command(world[name])
        assert (len(world[name].sent), len(world[name].told)) == (sent, told)


def test_hanging_up_a_ringing_call_rejects_it() -> None:
    """QB-070."""
    world = ringing()
    world["B"].hang_up(info={"k": "v"})
    world.run(10.0)
    assert world.told("A", ev.PeerRejected, ev.PeerHungUp) == ["PeerRejected B k=v DECLINED"]
    assert world.told("B", ev.CallClosed) == ["CallClosed DECLINED"]
    assert world.sent("B", End) == []


@pytest.mark.parametrize("command", [Node.accept, Node.reject])
def test_own_call_can_be_neither_accepted_nor_rejected(command: Callable[[Node], None]) -> None:
    """QB-071."""
    world = ringing()
    with pytest.raises(InvalidState, match="not possible for an outgoing call"):
        command(world["A"])
    assert world.states("A") == {"B": "PENDING"}


def test_call_that_is_accepted_cannot_be_rejected() -> None:
    world = connected()
    with pytest.raises(InvalidState, match="reject: not possible for an incoming call that is connected"):
        world["B"].reject()


def test_hang_up_without_chat_link_closes_here_and_is_said_on_return() -> None:
    """QB-073, QB-125."""
    world = connected()
    world.unlink("A")
    world["A"].hang_up()
    assert world.told("A", ev.CallClosed) == ["CallClosed HUNG_UP"]
    assert world.sent("A", End) == []
    world.relink("A")
    world.run(60.0)
    assert len(world.sent("A", End)) == 1
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
    world.assert_silence()


def test_late_signals_of_the_old_call_do_not_touch_the_new_one() -> None:
    """QB-074."""
    world = connected()
    old = world["A"].latest
    world["A"].hang_up()
    world.run(1.0)
    new = world["A"].call("B")
    world["B"].on(ev.IncomingCall, world["B"].accept)
    world.run(1.0)
    assert new != old
    late: tuple[Signal, ...] = (
        End(call=old),
        Decline(call=old),
        Accept(call=old, answer=Description("late")),
        Candidates(call=old, candidates=(Candidate("late"),)),
    )
    for signal in late:
        world.signal("B", "A", signal)
    world.run(5.0)
    assert world.states("A") == {"B": "CONNECTED"}


def test_created_call_that_is_hung_up_was_never_heard_of() -> None:
    world = World("AB")
    call = world["A"].create("B")
    world["A"].hang_up(call)
    world.run(1.0)
    assert world.told("A") == ["PeerClosed B NEW>CLOSED HUNG_UP", "CallStateChanged NEW>CLOSED", "CallClosed HUNG_UP"]
    assert world["A"].sent == []
    world.assert_silence()


def test_logging_out_leaves_every_call_before_the_link_is_dropped() -> None:
    world = World("ABC")
    world["A"].call("B")
    world["B"].on(ev.IncomingCall, world["B"].accept)
    world["C"].call("A")
    world.run(1.0)
    world.go_offline("A")
    world.run(1.0)
    assert world.told("B", ev.PeerHungUp) == ["PeerHungUp A"]
    assert world.told("C", ev.PeerRejected) == ["PeerRejected A DECLINED"]
    world.assert_silence()
