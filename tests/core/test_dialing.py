"""Starting a call, dialing, answer interval: acceptance section 2, and what of section 1 the core decides."""

from __future__ import annotations

import pytest

from qbcall.core import events as ev
from qbcall.core.inputs import CreateCall, StartCall
from qbcall.core.model import CallId, CallMedia, CallState, Description, EndReason, PeerState, User
from qbcall.core.policy import Policy
from qbcall.core.signals import Accept, Decline, End, Invite
from qbcall.errors import InvalidArgument, InvalidState, LinkDown
from tests.core.told import lines
from tests.core.world import World


def test_calling_without_chat_link_is_refused_and_nothing_is_sent() -> None:
    """QB-001."""
    world = World("AB")
    world.unlink("A")
    with pytest.raises(LinkDown, match="the chat is not connected"):
        world["A"].call("B")
    assert world["A"].engine.sessions == {}
    assert world["A"].sent == []


def test_starting_without_chat_link_is_refused_and_can_be_tried_again() -> None:
    """QB-001."""
    world = World("AB")
    call = world["A"].create("B")
    world.unlink("A")
    with pytest.raises(LinkDown):
        world["A"].call("B")
    assert world["A"].engine.sessions[call].state is CallState.NEW
    assert world["A"].sent == []


def test_running_call_keeps_the_policy_it_was_created_with() -> None:
    """QB-016."""
    world = World("AB", policy=Policy(answer_timeout=10.0))
    world["A"].call("B")
    world["A"].engine.policy = Policy(answer_timeout=20.0)
    world.silent.add(User("B"))
    world.run_until(10.0)
    assert world.told("A", ev.CallClosed) == ["CallClosed NO_ANSWER"]
    world["A"].call("B")
    world.run_until(29.9)
    assert len(world.events("A", ev.CallClosed)) == 1
    world.run_until(30.0)
    assert len(world.events("A", ev.CallClosed)) == 2


def test_created_call_is_new_and_nothing_is_sent() -> None:
    """QB-020, QB-080, QB-091."""
    world = World("ABCD")
    call = world["A"].create("BCD")
    world.run(60.0)
    session = world["A"].engine.sessions[call]
    assert (session.head.caller, session.head.callees, session.head.media) == ("A", ("B", "C", "D"), CallMedia.VIDEO)
    assert session.state is CallState.NEW
    assert world.states("A") == {"B": "NEW", "C": "NEW", "D": "NEW"}
    assert world["A"].sent == []


@pytest.mark.parametrize(
    ("callees", "message"),
    [
        pytest.param("", "nobody to call", id="QB-021"),
        pytest.param("BCDE", "at most 4 users", id="QB-022"),
        pytest.param("BA", "A is the caller", id="QB-023 oneself"),
        pytest.param("BCB", "B is named twice", id="QB-023 twice"),
    ],
)
def test_impossible_callees_are_refused(callees: str, message: str) -> None:
    """QB-021, QB-022, QB-023."""
    world = World("ABCDE")
    with pytest.raises(InvalidArgument, match=message):
        world["A"].create(callees)
    assert world["A"].engine.sessions == {}
    assert world["A"].sent == []


def test_limit_of_participants_is_the_policys() -> None:
    """QB-022."""
    world = World("ABC", policy=Policy(max_participants=2))
    with pytest.raises(InvalidArgument, match="3 participants with the caller, a call has at most 2 users"):
        world["A"].create("BC")


def test_second_call_to_the_same_users_is_refused() -> None:
    """QB-024."""
    world = World("ABC")
    world["A"].call("BC")
    with pytest.raises(InvalidState, match="same users"):
        world["A"].create("CB")


def test_second_call_to_other_users_is_independent() -> None:
    """QB-025."""
    world = World("ABC")
    first, second = world["A"].call("B"), world["A"].call("C")
    assert first != second
    world["B"].on(ev.IncomingCall, world["B"].accept)
    world.run(1.0)
    world["A"].hang_up(first)
    world.run(1.0)
    assert list(world["A"].engine.sessions) == [second]
    assert world["A"].engine.sessions[second].state is CallState.PENDING


def test_id_of_another_call_is_refused() -> None:
    world = World("ABC")
    live = world["A"].call("B")
    for _ in range(2):
        with pytest.raises(InvalidArgument, match="id of another call"):
            world["A"].do(CreateCall(call=live, callees=(User("C"),), media=CallMedia.AUDIO))
        world["A"].hang_up(live)


def test_silent_callee_is_dialled_nine_times_then_no_answer() -> None:
    """QB-026, QB-027, QB-081, QB-099."""
    world = World("AB")
    world.silent.add(User("B"))
    call = world["A"].call("B", {"k": "v"})
    world.run_until(100.0)
    assert world.sent("A", Invite) == [0, 5, 10, 15, 20, 25, 30, 35, 40]
    invites = [signal for _, _, signal in world["A"].sent if isinstance(signal, Invite)]
    assert {(invite.call, invite.info["k"]) for invite in invites} == {(call, "v")}
    assert world.story("A") == lines("""
        0.000 PeerStateChanged B NEW>PENDING
        0.000 CallStateChanged NEW>PENDING
        45.000 PeerNoAnswer B
        45.000 PeerStateChanged B PENDING>NO_ANSWER
        45.000 PeerClosed B NO_ANSWER>CLOSED NO_ANSWER
        45.000 CallStateChanged PENDING>CLOSED
        45.000 CallClosed NO_ANSWER
    """)
    assert world.sent("A", End) == [45]
    world.assert_silence()


def test_answer_interval_ends_between_two_dials() -> None:
    """QB-028."""
    world = World("AB", policy=Policy(answer_timeout=10.0, dialing_interval=3.0))
    world.silent.add(User("B"))
    world["A"].call("B")
    world.run_until(100.0)
    assert world.sent("A", Invite) == [0, 3, 6, 9]
    assert [at for at, _ in world.events("A", ev.PeerNoAnswer)] == [10.0]


def test_slow_offer_is_dialled_when_it_is_ready() -> None:
    world = World("AB")
    world.silent.add(User("B"))
    world.media.ready = 0.75
    world["A"].call("B")
    world.run_until(100.0)
    assert world.sent("A", Invite)[:2] == [0.75, 5.75]
    assert [at for at, _ in world.events("A", ev.PeerNoAnswer)] == [45.0]


def test_accept_ends_dialing() -> None:
    """QB-029."""
    world = World("AB")
    world["A"].call("B")
    world.at(7.0, world["B"].accept)
    world.run_until(100.0)
    assert world.sent("A", Invite) == [0, 5]
    assert world.events("A", ev.PeerNoAnswer) == []
    assert world.states("A") == {"B": "CONNECTED"}


def test_reject_ends_dialing() -> None:
    """QB-030."""
    world = World("AB")
    world["A"].call("B")
    world.at(7.0, world["B"].reject)
    world.run_until(100.0)
    assert world.sent("A", Invite) == [0, 5]
    assert world.events("A", ev.PeerNoAnswer) == []


def test_silent_callee_of_a_group_is_dialled_on_and_the_call_stays() -> None:
    """QB-031."""
    world = World("ABC")
    world["A"].call("BC")
    world.at(7.0, world["B"].accept)
    world.run_until(60.0)
    assert world.sent("A", Invite, "B") == [0, 5]
    assert world.sent("A", Invite, "C") == [0, 5, 10, 15, 20, 25, 30, 35, 40]
    assert world.events("A", ev.PeerNoAnswer) == [(45.0, ev.PeerNoAnswer(call=CallId("call-1"), peer=User("C")))]
    assert world.states("A") == {"B": "CONNECTED", "C": "CLOSED"}
    assert world["A"].engine.sessions[CallId("call-1")].state is CallState.CONNECTED


def test_no_info_arrives_as_empty_info() -> None:
    """QB-032, QB-072."""
    world = World("AB")
    world["A"].call("B")
    world.run(1.0)
    world["B"].accept()
    world.run(1.0)
    world["A"].hang_up()
    world.run(1.0)
    told = [*world["A"].told, *world["B"].told]
    infos = [event.info for _, event in told if isinstance(event, (ev.IncomingCall, ev.PeerAccepted, ev.PeerHungUp))]
    assert infos == [{}, {}, {}]


def test_starting_twice_is_refused_and_dials_once() -> None:
    """QB-035."""
    world = World("AB")
    world.silent.add(User("B"))
    call = world["A"].call("B")
    with pytest.raises(InvalidState, match="start: not possible for an outgoing call that is pending"):
        world["A"].do(StartCall(call=call))
    world.run(4.0)
    assert world.sent("A", Invite) == [0]


def test_starting_a_closed_call_is_refused() -> None:
    """QB-036."""
    world = World("AB")
    call = world["A"].call("B")
    world["A"].hang_up()
    with pytest.raises(InvalidState, match="is over"):
        world["A"].do(StartCall(call=call))


def test_starting_an_unknown_call_is_refused() -> None:
    with pytest.raises(InvalidState, match="is not known"):
        World("AB")["A"].do(StartCall(call=CallId("never")))


def test_lost_chat_link_while_dialing_leaves_out_dials_without_a_burst() -> None:
    """QB-037."""
    world = World("AB")
    world.silent.add(User("B"))
    world["A"].call("B")
    world.at(7.0, lambda: world.unlink("A"))
    world.at(18.0, lambda: world.relink("A"))
    world.run_until(60.0)
    assert world.sent("A", Invite) == [0, 5, 25, 30, 35, 40]
    assert [at for at, _ in world.events("A", ev.LinkReconnected)] == [22.0]


def test_lost_chat_link_does_not_stretch_the_answer_interval() -> None:
    """QB-038."""
    world = World("AB", policy=Policy(reconnect_window=100.0))
    world.silent.add(User("B"))
    world["A"].call("B")
    world.at(7.0, lambda: world.unlink("A"))
    world.run_until(60.0)
    assert world.sent("A", Invite) == [0, 5]
    assert world.sent("A", End) == []
    assert world.story("A", since=1.0) == lines("""
        45.000 PeerNoAnswer B
        45.000 PeerStateChanged B PENDING>NO_ANSWER
        45.000 PeerClosed B NO_ANSWER>CLOSED NO_ANSWER
        45.000 CallStateChanged PENDING>CLOSED
        45.000 CallClosed NO_ANSWER
    """)


def test_offer_that_cannot_be_made_ends_the_peer() -> None:
    world = World("AB")
    world.media.broken.add(User("A"))
    world["A"].call("B")
    world.run(60.0)
    assert world.story("A") == lines("""
        0.000 PeerStateChanged B NEW>PENDING
        0.000 CallStateChanged NEW>PENDING
        0.000 PeerFailed B PENDING>FAILED
        0.000 PeerClosed B FAILED>CLOSED MEDIA_FAILED
        0.000 CallStateChanged PENDING>CLOSED
        0.000 CallClosed MEDIA_FAILED
    """)
    assert world["A"].sent == []
    assert [event.detail for _, event in world["A"].told if isinstance(event, ev.PeerFailed)] == ["no encoder"]
    world.assert_silence()
    world.media.broken.clear()
    world["A"].call("B")
    world.run(1.0)
    assert world.told("B", ev.IncomingCall) == ["IncomingCall A B VIDEO"]


def test_accept_and_decline_of_somebody_not_dialled_are_nonsense() -> None:
    world = World("AB")
    world.media.ready = 1.0
    call = world["A"].call("B")
    world.signal("B", "A", Accept(call=call, answer=Description("answer")))
    assert world["A"].drops == ["Accept in state PENDING"]
    world.signal("B", "A", Decline(call=call))
    assert world["A"].engine.sessions == {}


def test_peer_states_are_numbered_as_in_quickblox() -> None:
    """QB-103."""
    names = (
        "UNKNOWN NEW PENDING CONNECTING CHECKING CONNECTED DISCONNECTED CLOSED COUNT DISCONNECT_TIMEOUT NO_ANSWER"
        " REJECTED HANG_UP FAILED"
    )
    assert [(state.value, state.name) for state in PeerState] == list(enumerate(names.split()))
    assert {reason.value for reason in EndReason} == {reason.name.lower() for reason in EndReason}
