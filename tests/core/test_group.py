"""Calls of three and four: acceptance section 10."""

from __future__ import annotations

import itertools
from functools import partial

import pytest

from qbcall.core import events as ev
from qbcall.core.model import CallState, User
from qbcall.core.policy import Policy
from qbcall.core.signals import Accept, Decline, End, Invite
from qbcall.errors import InvalidArgument
from tests.core.told import lines
from tests.core.world import World


def mesh(users: str = "ABCD", *, after: float = 1.0) -> World:
    """A called all others, and everybody accepted."""
    world = World(users)
    world["A"].call(users[1:])
    for name in users[1:]:
        world.at(after, partial(world[name].accept, info={"I am": name}))
    world.run_until(after + 1.0)
    return world


def test_four_users_make_six_links() -> None:
    """QB-150, QB-162."""
    world = mesh()
    for name in "ABCD":
        assert set(world.states(name).values()) == {"CONNECTED"}
        assert len(world.events(name, ev.PeerConnected)) == 3
        assert len(world.events(name, ev.IncomingCall)) == (name != "A")
        assert world.told(name, ev.ReconnectionChanged, ev.PeerFailed) == []
        assert world[name].drops == []
    assert world.told("A", ev.PeerAccepted) == [f"PeerAccepted {name} I am={name}" for name in "BCD"]


@pytest.mark.parametrize("order", [*itertools.permutations("BCD")], ids="".join)
def test_links_are_made_in_whatever_order_users_accept(order: tuple[str, ...]) -> None:
    """QB-150, QB-151, QB-152."""
    world = World("ABCD")
    world["A"].call("BCD")
    for number, name in enumerate(order):
        world.at(1.0 + 3 * number, world[name].accept)
    world.run_until(15.0)
    for name in "ABCD":
        assert set(world.states(name).values()) == {"CONNECTED"}
        assert len(world.events(name, ev.IncomingCall)) == (name != "A")


def test_of_two_callees_the_higher_offers_and_the_other_accepts_silently() -> None:
    """QB-151."""
    world = mesh("ABC")
    assert world.sent("C", Invite, "B") == [1.0]
    assert world.sent("B", Invite) == []
    assert world.sent("B", Accept, "C") == [1.01]
    assert len(world.events("B", ev.IncomingCall)) == 1
    invite = next(signal for _, _, signal in world["C"].sent if isinstance(signal, Invite))
    assert (invite.head.caller, invite.info) == ("A", {})


def test_offer_that_waits_is_answered_with_the_accept() -> None:
    """QB-152."""
    world = World("ABC")
    world["A"].call("BC")
    world.at(1.0, world["C"].accept)
    world.at(9.0, world["B"].accept)
    world.run_until(9.2)
    assert world.states("B") == {"A": "CONNECTED", "C": "CONNECTED"}
    assert len(world.events("B", ev.IncomingCall)) == 1


def test_reject_of_one_is_told_to_all_and_the_rest_goes_on() -> None:
    """QB-153."""
    world = World("ABC")
    world["A"].call("BC")
    world.at(1.0, world["B"].accept)
    world.at(2.0, lambda: world["C"].reject(info={"k": "v"}))
    world.run_until(60.0)
    for name in "AB":
        assert world.told(name, ev.PeerRejected) == ["PeerRejected C k=v DECLINED"]
    assert world.states("A") == {"B": "CONNECTED", "C": "CLOSED"}
    assert world.states("B") == {"A": "CONNECTED", "C": "CLOSED"}


def test_silent_callee_is_given_up_by_all_at_about_the_same_time() -> None:
    """QB-154."""
    world = World("ABC")
    world["A"].call("BC")
    world.at(10.0, world["B"].accept)
    world.at(1.0, lambda: world.kill("C"))
    world.run_until(60.0)
    assert [(at, event.peer) for at, event in world["A"].told if isinstance(event, ev.PeerNoAnswer)] == [(45.0, "C")]
    assert [(at, event.peer) for at, event in world["B"].told if isinstance(event, ev.PeerNoAnswer)] == [(50.01, "C")]
    assert world.states("A") == {"B": "CONNECTED", "C": "CLOSED"}


def test_silent_callee_is_given_up_by_who_offers_to_them() -> None:
    """QB-154."""
    world = World("ABC")
    world["A"].call("BC")
    world.at(10.0, world["C"].accept)
    world.at(1.0, lambda: world.kill("B"))
    world.run_until(60.0)
    assert [(at, event.peer) for at, event in world["C"].told if isinstance(event, ev.PeerNoAnswer)] == [(45.01, "B")]
    assert world.sent("C", Invite, "B") == [10, 15, 20, 25, 30, 35, 40, 45]
    assert world.sent("C", End, "B") == [45.01]


def test_accept_in_the_last_moment_leaves_time_to_join_the_others() -> None:
    """QB-152: the offer to the other callee is lost once."""
    world = World("ABC", policy=Policy(answer_timeout=20.0))
    world["A"].call("BC")
    world.at(1.0, world["B"].accept)
    world.at(19.5, world["C"].accept)
    world.swallow = lambda sender, to, signal: isinstance(signal, Invite) and to == User("B") and 19 < world.now < 20
    world.run_until(24.0)
    assert world.states("C") == {"A": "CONNECTED", "B": "PENDING"}
    world.run_until(26.0)
    assert world.states("C") == {"A": "CONNECTED", "B": "CONNECTED"}


def test_callees_talk_on_when_the_caller_leaves() -> None:
    """QB-155."""
    world = mesh("ABC")
    world["A"].hang_up()
    world.run(30.0)
    for name, other in ("BC", "CB"):
        assert world.told(name, ev.PeerHungUp) == ["PeerHungUp A"]
        assert world.states(name) == {"A": "CLOSED", other: "CONNECTED"}
        assert world[name].engine.sessions[world[name].latest].state is CallState.CONNECTED


def test_ringing_callee_stops_when_the_caller_leaves() -> None:
    """QB-156, QB-158."""
    world = World("ABC")
    world["A"].call("BC")
    world.at(1.0, world["B"].accept)
    world.at(5.5, world["A"].hang_up)
    world.run_until(60.0)
    assert world.story("C", since=5.1) == lines("""
        5.510 PeerHungUp A
        5.510 PeerStateChanged A PENDING>HANG_UP
        5.510 PeerClosed A HANG_UP>CLOSED REMOTE_HUNG_UP
        5.510 PeerClosed B PENDING>CLOSED HUNG_UP
        5.510 CallStateChanged PENDING>CLOSED
        5.510 CallClosed CANCELLED
    """)
    assert world.story("B", since=5.1) == lines("""
        5.510 PeerHungUp A
        5.510 PeerStateChanged A CONNECTED>HANG_UP
        5.510 PeerClosed A HANG_UP>CLOSED REMOTE_HUNG_UP
        5.520 PeerHungUp C
        5.520 PeerStateChanged C PENDING>HANG_UP
        5.520 PeerClosed C HANG_UP>CLOSED REMOTE_HUNG_UP
        5.520 CallStateChanged CONNECTED>CLOSED
        5.520 CallClosed REMOTE_HUNG_UP
    """)
    world.assert_silence()


def test_caller_cancels_while_the_group_rings() -> None:
    """QB-066, QB-156."""
    world = World("ABCD")
    world["A"].call("BCD")
    world.at(3.0, world["A"].hang_up)
    world.run_until(60.0)
    for name in "BCD":
        assert world.told(name, ev.CallClosed) == ["CallClosed CANCELLED"]
    world.assert_silence()


def test_call_closes_when_the_last_one_left() -> None:
    """QB-157."""
    world = mesh("ABC")
    world["B"].hang_up()
    world.run(1.0)
    assert world.states("A") == {"B": "CLOSED", "C": "CONNECTED"}
    world["C"].hang_up()
    world.run(1.0)
    assert world.told("A", ev.PeerHungUp, ev.CallClosed) == [
        "PeerHungUp B",
        "PeerHungUp C",
        "CallClosed REMOTE_HUNG_UP",
    ]
    world.assert_silence()


@pytest.mark.parametrize("order", [*itertools.permutations("BCD")], ids="".join)
def test_call_closes_once_however_the_links_end(order: tuple[str, ...]) -> None:
    """QB-158: one rejects, one hangs up, one never answers."""
    world = World("ABCD")
    world["A"].call("BCD")
    rejects, hangs_up, silent = order
    world.silent.add(User(silent))
    world.at(3.0, world[rejects].reject)
    world.at(4.0, world[hangs_up].accept)
    world.at(50.0, world[hangs_up].hang_up)
    world.run_until(120.0)
    assert world.told("A", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
    world.assert_silence()


def test_user_cannot_be_added_to_a_running_call() -> None:
    """QB-159: there is no such wish; an invitation with a longer list adds nobody."""
    world = mesh("ABC")
    world.add("D")
    call = world["A"].latest
    world.invite("A", "B", call, callees="BCD")
    assert world.states("B") == {"A": "CONNECTED", "C": "CONNECTED"}
    with pytest.raises(InvalidArgument, match="D is not in the call"):
        world["A"].update({}, "D")


def test_all_reject() -> None:
    """QB-160."""
    world = World("ABCD")
    world["A"].call("BCD")
    for name in "BCD":
        world.at(1.0, world[name].reject)
    world.run_until(60.0)
    assert world.told("A", ev.PeerRejected) == [f"PeerRejected {name} DECLINED" for name in "BCD"]
    assert world.told("A", ev.CallClosed) == ["CallClosed REJECTED"]
    world.assert_silence()


def test_strangers_signals_change_nothing() -> None:
    """QB-161."""
    world = mesh("ABC")
    call = world["A"].latest
    told = len(world["A"].told)
    world.signal("X", "A", Decline(call=call))
    world.invite("X", "A", call, caller="A", callees="BC")
    assert len(world["A"].told) == told
    assert world["A"].drops == ["Decline of a user who is not in the call", "Invite of a user who is not in the call"]


def test_two_who_both_offer_leak_no_peer_connection() -> None:
    """Misbehaving: the lower callee offers as well, while the higher one's offer is being made."""
    world = World("ABC")
    world["A"].call("BC")
    world.run(1.0)
    world.media.ready = 1.0
    world["C"].accept()
    world.invite("B", "C", world["A"].latest, caller="A", callees="BC")
    world.run(5.0)
    assert world["C"].watch.media.keys() == {(world["A"].latest, "A"), (world["A"].latest, "B")}
    world["C"].hang_up()
    assert world["C"].watch.media == {}


def test_two_who_both_offer_go_on_with_the_offer_that_was_accepted() -> None:
    """Misbehaving: the lower callee offers as well, after the higher one did, and once more after its own accept."""
    world = World("ABC")
    call = world["A"].call("BC")
    world.run(1.0)
    world["C"].accept()
    world.run(0.001)
    told = len(world["C"].told)
    world.invite("B", "C", call, caller="A", callees="BC")
    assert len(world["C"].told) == told
    world["B"].accept()
    world.run(1.0)
    world.invite("B", "C", call, caller="A", callees="BC")
    world.run(30.0)
    assert world.states("C") == {"A": "CONNECTED", "B": "CONNECTED"}
    assert world.sent("C", Accept, "B") == []
    assert world["C"].drops == []
