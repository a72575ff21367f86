"""Incoming calls: acceptance section 3, and what a stranger can do."""

from __future__ import annotations

import pytest

from qbcall.core import events as ev
from qbcall.core.inputs import Contacts
from qbcall.core.model import CallId, CallMedia, CallState, DeclineReason, Description, User
from qbcall.core.policy import Policy
from qbcall.core.signals import Accept, Candidates, Decline, End, Invite, RestartAnswer, RestartOffer, Update
from tests.core.told import lines
from tests.core.world import Wire, World

GHOST = CallId("ghost")


def test_calls_are_not_accepted_and_nothing_is_shown_or_sent() -> None:
    """QB-003."""
    world = World("AB", policy=Policy(accept_calls=False))
    world["A"].call("B")
    world.run_until(60.0)
    assert world.told("B") == []
    assert world["B"].sent == []
    assert world["B"].drops[0] == "calls are not accepted"


@pytest.mark.parametrize(
    ("allow", "rings"),
    [
        (("any",), True),
        (("jid:b*", "a"), True),
        (("jid:A",), True),
        (("domain:example.org",), False),
        (("b", "c"), False),
        ((), False),
    ],
)
def test_only_allowed_users_ring(allow: tuple[str, ...], rings: bool) -> None:
    world = World("bB", policy=Policy(allow=allow))
    world.invite("a", "b")
    assert (world.told("b") != []) is rings
    assert world["b"].sent == []


@pytest.mark.parametrize(
    ("allow", "contacts", "rings"),
    [
        (("roster",), "ac", True),
        (("roster",), "c", False),
        (("roster",), "", False),
        (("roster", "jid:a"), "", True),
        (("jid:c",), "ac", False),
    ],
)
def test_only_contacts_ring_where_the_roster_says_who_may(allow: tuple[str, ...], contacts: str, rings: bool) -> None:
    world = World("bB", policy=Policy(allow=allow))
    world["b"].do(Contacts(users=frozenset(map(User, contacts))))
    world.invite("a", "b")
    assert (world.told("b") != []) is rings
    assert world["b"].sent == []


def test_latest_roster_says_who_may_ring() -> None:
    world = World("bB", policy=Policy(allow=("roster",)))
    for contacts in ("a", ""):
        world["b"].do(Contacts(users=frozenset(map(User, contacts))))
    world.invite("a", "b")
    assert world.told("b") == []


def test_first_invitation_rings_once_with_what_the_caller_said() -> None:
    """QB-040, QB-041, QB-082, QB-092."""
    world = World("ABC")
    call = world["A"].call("BC", {"k": "v"}, CallMedia.AUDIO)
    world.run_until(44.0)
    assert len(world.sent("A", Invite, "B")) == 9
    assert world.story("B") == lines("""
        0.010 IncomingCall A B,C AUDIO k=v
        0.010 PeerStateChanged A NEW>PENDING
        0.010 PeerStateChanged C NEW>PENDING
    """)
    assert world["B"].engine.sessions[call].state is CallState.PENDING
    assert world["B"].drops == []


def test_user_who_comes_online_late_is_rung_by_the_next_repetition() -> None:
    """QB-042."""
    world = World("A")
    world["A"].call("B")
    world.at(12.0, lambda: world.add("B"))
    world.run_until(20.0)
    assert [at for at, _ in world.events("B", ev.IncomingCall)] == [15.01]


def test_second_call_is_rejected_by_the_application_and_the_first_goes_on() -> None:
    """QB-043."""
    world = World("ABC")
    first = world["A"].call("B")
    world["B"].on(ev.IncomingCall, world["B"].accept)
    world.run(1.0)
    world["B"].reactions.clear()
    second = world["C"].call("B")
    world.run(1.0)
    world["B"].reject(second, {"key": "value"})
    world.run(10.0)
    assert world.told("B", ev.IncomingCall) == ["IncomingCall A B VIDEO", "IncomingCall C B VIDEO"]
    assert world.told("C", ev.PeerRejected) == ["PeerRejected B key=value DECLINED"]
    assert world["B"].engine.sessions[first].state is CallState.CONNECTED
    assert world.states("A") == {"B": "CONNECTED"}


def test_busy_user_rejects_by_itself_and_is_told_so() -> None:
    """QB-044."""
    world = World("ABC", policy=Policy(reject_when_busy=True))
    world["A"].call("B")
    world.run(1.0)
    world["C"].call("B")
    world.run(60.0)
    assert world.told("B", ev.IncomingCall, ev.CallRefused) == ["IncomingCall A B VIDEO", "CallRefused C BUSY"]
    assert world.told("C", ev.PeerRejected, ev.CallClosed) == ["PeerRejected B BUSY", "CallClosed BUSY"]


def test_refused_call_is_refused_again_when_the_refusal_was_lost() -> None:
    """QB-044, QB-050."""
    world = World("ABC", policy=Policy(reject_when_busy=True))
    world["A"].call("B")
    world.run(1.0)
    world.swallow = lambda sender, to, signal: isinstance(signal, Decline) and world.now < 3.0
    world["C"].call("B")
    world.run(20.0)
    assert len(world.events("B", ev.CallRefused)) == 1
    assert world.sent("B", Decline) == [1.01, 6.01]
    assert [at for at, _ in world.events("C", ev.PeerRejected)] == [6.02]


def test_unanswered_call_is_missed_after_the_answer_interval_of_the_first_invitation() -> None:
    """QB-045."""
    world = World("A", policy=Policy(answer_timeout=60.0))
    world.add("B", policy=Policy(answer_timeout=45.0))
    world["A"].call("B")
    world.run_until(59.0)
    assert world.story("B", since=1.0) == lines("""
        45.010 PeerClosed A PENDING>CLOSED MISSED
        45.010 CallStateChanged PENDING>CLOSED
        45.010 CallClosed MISSED
    """)
    assert world["B"].sent == []


def test_ringing_ends_when_the_caller_was_killed() -> None:
    """QB-046."""
    world = World("AB")
    world["A"].call("B")
    world.at(7.0, lambda: world.kill("A"))
    world.run_until(100.0)
    assert world.told("B", ev.CallClosed) == ["CallClosed MISSED"]
    assert [at for at, _ in world.events("B", ev.CallClosed)] == [45.01]
    world.assert_silence()


def test_cancelled_call_stops_ringing() -> None:
    """QB-047."""
    world = World("AB")
    world["A"].call("B")
    world.at(7.0, lambda: world["A"].hang_up(info={"why": "wrong number"}))
    world.run_until(100.0)
    assert world.story("B", since=1.0) == lines("""
        7.010 PeerHungUp A why=wrong number
        7.010 PeerStateChanged A PENDING>HANG_UP
        7.010 PeerClosed A HANG_UP>CLOSED REMOTE_HUNG_UP
        7.010 CallStateChanged PENDING>CLOSED
        7.010 CallClosed CANCELLED
    """)
    world.assert_silence()


@pytest.mark.parametrize(
    ("sender", "caller", "callees", "why"),
    [
        pytest.param("A", "A", "C", "an invitation for somebody else", id="QB-048 other device of oneself"),
        pytest.param("B", "B", "BC", "an invitation of this user's own", id="QB-048 oneself"),
        pytest.param("C", "A", "B", "an invitation of a user who is not in the call", id="QB-049"),
        pytest.param("A", "A", "BB", "a user named twice in an invitation", id="QB-049 twice"),
        pytest.param("A", "A", "BA", "a user named twice in an invitation", id="QB-049 caller called"),
    ],
)
def test_senseless_invitation_is_ignored(sender: str, caller: str, callees: str, why: str) -> None:
    """QB-048, QB-049."""
    world = World("B")
    world.invite(sender, "B", caller=caller, callees=callees)
    assert world.told("B") == []
    assert world["B"].sent == []
    assert world["B"].drops == [why]


def test_invitation_to_a_crowd_is_refused() -> None:
    """QB-022."""
    world = World("B")
    world.invite("A", "B", callees="BCDE")
    assert world.told("B") == ["CallRefused A UNSUPPORTED"]
    (decline,) = [signal for _, _, signal in world["B"].sent]
    assert decline == Decline(call=CallId("forged"), reason=DeclineReason.UNSUPPORTED)


def test_flood_of_invitations_rings_only_so_often() -> None:
    world = World("B", policy=Policy(max_calls=3))
    for number in range(1000):
        world.invite("A", "B", f"flood-{number}")
    assert len(world.events("B", ev.IncomingCall)) == 3
    assert len(world["B"].engine.sessions) == 3
    assert world.told("B", ev.CallRefused) == ["CallRefused A BUSY"] * 997
    assert len(world["B"].engine._ended) == 512
    world.run(60.0)
    world.assert_silence()


@pytest.mark.parametrize(
    "signal",
    [
        Accept(call=GHOST, answer=Description("answer")),
        Decline(call=GHOST),
        End(call=GHOST),
        Candidates(call=GHOST, candidates=()),
        Update(call=GHOST, info={}),
        RestartOffer(call=GHOST, offer_id="1", offer=Description("offer")),
        RestartAnswer(call=GHOST, offer_id="1", answer=Description("answer")),
    ],
    ids=lambda signal: type(signal).__name__,
)
def test_signal_of_an_unknown_call_is_ignored(signal: Accept) -> None:
    """QB-049, QB-120."""
    world = World("B")
    world.signal("A", "B", signal)
    assert world.told("B") == []
    assert world["B"].sent == []
    assert world["B"].drops == [f"{type(signal).__name__} for an unknown call"]


def test_late_repetition_never_rings_again_but_hears_the_last_words() -> None:
    """QB-050."""
    world = World("AB")
    world["A"].call("B")
    world.run(1.0)
    world.swallow = lambda sender, to, signal: isinstance(signal, Decline) and world.now < 12.0
    world["B"].reject(info={"k": "v"})
    world.run(20.0)
    assert len(world.events("B", ev.IncomingCall)) == 1
    assert world.sent("B", Decline) == [1.0, 5.01, 10.01, 15.01]
    assert world.told("A", ev.PeerRejected) == ["PeerRejected B k=v DECLINED"]


def test_late_repetition_of_a_missed_call_is_not_answered() -> None:
    """QB-045, QB-050."""
    world = World("A", policy=Policy(answer_timeout=60.0))
    world.add("B", policy=Policy(answer_timeout=10.0))
    world["A"].call("B")
    world.run_until(55.0)
    assert len(world.events("B", ev.IncomingCall)) == 1
    assert world["B"].sent == []


def test_late_invitation_of_a_hung_up_call_hears_that_it_is_over() -> None:
    """QB-050."""
    world = World("AB", wire=Wire(delay=0.01))
    call = world["A"].call("B")
    world["B"].on(ev.IncomingCall, world["B"].accept)
    world.run(1.0)
    world["B"].hang_up()
    world.run(1.0)
    world.invite("A", "B", call)
    assert world.sent("B", End) == [1.0, 2.0]
    assert len(world.events("B", ev.IncomingCall)) == 1


def test_stranger_learns_nothing_of_a_call_that_is_over() -> None:
    """QB-161."""
    world = World("ABC")
    call = world["A"].call("B")
    world.run(1.0)
    world["B"].reject()
    sent = len(world["B"].sent)
    world.invite("C", "B", call)
    assert len(world["B"].sent) == sent


def test_caller_who_was_lost_is_named_by_the_callee_who_tells_of_the_call() -> None:
    """QB-151: the invitation of the caller got lost, the one of another callee came."""
    world = World("ABC")
    world.swallow = lambda sender, to, signal: sender == "A" and to == User("B") and world.now < 1.0
    world["A"].call("BC")
    world["C"].on(ev.IncomingCall, world["C"].accept)
    world["B"].on(ev.IncomingCall, world["B"].accept, after=0.5)
    world.run_until(4.0)
    assert world.told("B", ev.IncomingCall) == ["IncomingCall A B,C VIDEO"]
    assert world.states("B") == {"A": "PENDING", "C": "CONNECTED"}
    assert world.sent("B", Invite) == []
    world.run_until(6.0)
    assert world.states("A") == {"B": "CONNECTED", "C": "CONNECTED"}
    assert world.states("B") == {"A": "CONNECTED", "C": "CONNECTED"}
