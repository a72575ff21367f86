"""A program that began anew within a call is taken back into it. B's name is the higher one, so B leads."""

from __future__ import annotations

import pytest

from qbcall.core import events as ev
from qbcall.core.inputs import IceFailed
from qbcall.core.model import CallHead, CallId, CallMedia, Description, EndReason, User
from qbcall.core.policy import Policy
from qbcall.core.signals import NotKnown, Probe, RestartAnswer, RestartOffer
from tests.core.test_connection import connected
from tests.core.told import lines
from tests.core.world import STALL, Node, World


def begin_anew(world: World, name: str, at: float, *, policy: Policy | None = None, answers: bool = True) -> Node:
    """The program of a user ends now, and another one logs in at a time."""
    world.kill(name)
    world.run_until(at)
    node = world.add(name, "new", policy)
    if answers:
        node.on(ev.IncomingCall, node.accept)
    return node


def killed(users: str = "AB", policy: Policy | None = None) -> World:
    """All are connected; the program of B ends after ten seconds."""
    world = connected(users, policy)
    world.run_until(10.05)
    world.kill("B")
    return world


def test_program_that_began_anew_is_back_as_soon_as_it_is_asked() -> None:
    """It is lost at 12.6; asked each half second, it rings, and is connected a tenth of a second later."""
    world = killed()
    begin_anew(world, "B", 13.2)
    world.run_until(20.0)
    assert world.story("A", since=2.0) == lines("""
        12.600 PeerDisconnected B CONNECTED>DISCONNECTED
        12.600 PeerReconnecting B
        13.730 PeerConnected B DISCONNECTED>CONNECTED
        13.730 PeerReconnected B 1.13 1
    """)
    assert world.story("B/new") == lines("""
        13.630 IncomingCall A B VIDEO again
        13.630 PeerStateChanged A NEW>PENDING
        13.630 PeerConnecting A PENDING>CONNECTING
        13.630 CallStateChanged PENDING>CONNECTING
        13.630 PeerStateChanged A CONNECTING>CHECKING
        13.730 PeerConnected A CHECKING>CONNECTED
        13.730 CallStateChanged CONNECTING>CONNECTED
        13.730 AudioTrackAdded A AUDIO
        13.730 VideoTrackAdded A VIDEO
    """)


def test_caller_that_began_anew_is_taken_back_by_who_was_called() -> None:
    world = connected()
    world.run_until(10.05)
    node = begin_anew(world, "A", 14.0)
    world.run_until(20.0)
    (event,) = [event for _, event in node.told if isinstance(event, ev.IncomingCall)]
    assert (event.caller, event.callees, event.again) == ("B", ("A",), True)
    assert world.states("B") == {"A": "CONNECTED"}
    assert world.states("A/new") == {"B": "CONNECTED"}


def test_program_that_began_anew_is_taken_back_by_everybody() -> None:
    world = killed("ABCD")
    begin_anew(world, "B", 14.0)
    world.run_until(20.0)
    assert world.states("B/new") == {"A": "CONNECTED", "C": "CONNECTED", "D": "CONNECTED"}
    (rung,) = [event for _, event in world["B/new"].told if isinstance(event, ev.IncomingCall)]
    assert {rung.caller, *rung.callees} == set("ABCD")
    for name in "ACD":
        assert len(world.events(name, ev.PeerReconnected)) == 1
        assert set(world.states(name).values()) == {"CONNECTED"}


def test_call_that_rings_again_waits_for_its_answer_and_takes_the_newest_offer() -> None:
    """The others make their offers anew, every restart interval."""
    world = killed("ABC")
    node = begin_anew(world, "B", 14.0, answers=False)
    world.run_until(33.0)
    assert len(world.sent("A", RestartOffer)) > 2
    node.accept()
    world.run(1.0)
    assert world.states("B/new") == {"A": "CONNECTED", "C": "CONNECTED"}


def test_call_that_rings_again_may_be_rejected() -> None:
    world = killed()
    node = begin_anew(world, "B", 14.0, answers=False)
    world.run_until(15.0)
    node.reject()
    world.run_until(60.0)
    world.assert_silence()


def test_program_that_is_not_to_be_taken_back_says_nothing() -> None:
    world = killed()
    node = begin_anew(world, "B", 14.0, policy=Policy(rejoin=False, stall_timeout=STALL))
    world.run_until(60.0)
    assert node.told == [] or all(isinstance(event, ev.LinkEvent) for _, event in node.told)
    assert node.sent == []


def test_stranger_who_asks_learns_nothing() -> None:
    world = World("AB", policy=Policy(allow=("jid:A",)))
    head = CallHead(call=CallId("c"), caller=User("X"), callees=(User("B"),), media=CallMedia.VIDEO)
    for signal in (
        Probe(call=head.call),
        Probe(call=head.call, head=head),
        RestartOffer(call=head.call, offer_id="1", offer=Description("of a stranger"), head=head),
        NotKnown(call=head.call),
    ):
        world.signal("X", "B", signal)
    world.run(60.0)
    assert world["B"].sent == []
    assert world.told("B") == []
    assert len(world["B"].drops) == 4


def test_user_who_is_busy_is_not_taken_back() -> None:
    world = killed("AB", Policy(stall_timeout=STALL, reject_when_busy=True))
    world.kill("B")
    node = world.add("B", "new")
    world.add("C")
    world.run(0.1)
    world["C"].call("B")
    world.run_until(14.0)
    assert node.sent == []
    assert [event.caller for _, event in node.told if isinstance(event, ev.IncomingCall)] == ["C"]


def test_one_of_two_new_programs_has_the_call_and_the_other_rings_no_more() -> None:
    world = killed()
    world.run_until(14.0)
    first, second = world.add("B", "new"), world.add("B", "other")
    world.run_until(15.0)
    first.accept()
    world.run_until(16.0)
    assert world.states("A") == {"B": "CONNECTED"}
    (closed,) = [event for _, event in second.told if isinstance(event, ev.CallClosed)]
    assert closed.reason is EndReason.ELSEWHERE
    assert second.engine.sessions == {}


def test_program_that_comes_online_while_nobody_is_lost_changes_nothing() -> None:
    world = connected()
    world.signal("B", "A", NotKnown(call=world["A"].latest), resource="2")
    world.run_until(20.0)
    assert world.sent("A", RestartOffer) == []


def test_answer_that_nobody_asked_for_is_ignored() -> None:
    """Nobody is asked before half a second has passed."""
    world = killed()
    world.run_until(12.7)
    world.signal("B", "A", NotKnown(call=world["A"].latest), resource="2")
    assert world.sent("A", RestartOffer) == world.sent("A", Probe) == []
    assert world["A"].drops == []


def test_offer_that_got_lost_is_sent_again() -> None:
    """The new program asks for it until it rings."""
    world = killed()
    lost: list[object] = []

    def swallow(sender: User, to: User, signal: object) -> bool:
        if isinstance(signal, RestartOffer) and not lost:
            lost.append(signal)
            return True
        return False

    world.swallow = swallow
    begin_anew(world, "B", 14.0)
    world.run_until(16.0)
    assert world.states("A") == {"B": "CONNECTED"}
    first, second = (signal for _, _, signal in world["A"].sent if isinstance(signal, RestartOffer))
    assert first == second


def test_program_that_gets_an_offer_before_it_is_asked_says_with_its_answer_that_it_began_anew() -> None:
    """Its keys are others, which nobody else may have."""
    world = killed()
    world.swallow = lambda sender, to, signal: isinstance(signal, Probe)
    begin_anew(world, "B", 14.0)
    world.run_until(20.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world.states("B/new") == {"A": "CONNECTED"}
    (answer,) = (signal for _, _, signal in world["B/new"].sent if isinstance(signal, RestartAnswer))
    assert answer.anew
    assert not world.sent("B/new", NotKnown)


def test_answer_that_got_lost_is_made_anew() -> None:
    """The next offer comes to a program that is connecting already."""
    world = killed()
    lost: list[object] = []

    def swallow(sender: User, to: User, signal: object) -> bool:
        if isinstance(signal, RestartAnswer) and len(lost) < 2:  # it goes to the other devices as well
            lost.append(signal)
            return True
        return False

    world.swallow = swallow
    begin_anew(world, "B", 14.0)
    world.run_until(30.0)
    assert world.states("A") == {"B": "CONNECTED"}


def test_program_that_began_anew_twice_is_taken_back_twice() -> None:
    world = killed()
    begin_anew(world, "B", 14.0)
    world.run_until(14.55)
    world.kill("B")
    world.run_until(16.0)
    node = world.add("B", "newer")
    node.on(ev.IncomingCall, node.accept)
    world.run_until(40.0)
    assert world.states("A") == {"B": "CONNECTED"}


def test_signals_count_from_one_again() -> None:
    """What was on its way to the program of before is told to be lost, and nothing else is."""
    world = connected()
    world["A"].say("one")
    world["B"].say("two")
    world.run_until(10.05)
    world.kill("B")
    world["A"].say("lost", to="B")
    begin_anew(world, "B", 14.0)
    world.run_until(20.0)
    (failed,) = [event for _, event in world["A"].told if isinstance(event, ev.SignalNotSent)]
    assert failed.code == 404
    world["A"].say("three")
    world["B/new"].say("four")
    world.run_until(30.0)
    assert world["A"].heard("B") == ["two", "four"]
    assert world["B/new"].heard("A") == ["three"]


@pytest.mark.parametrize("signal", [Probe, NotKnown])
def test_question_and_answer_about_a_known_call_change_nothing(signal: type[Probe | NotKnown]) -> None:
    world = connected()
    before = len(world["A"].sent)
    world.signal("B", "A", signal(call=world["A"].latest))
    world.run_until(3.0)
    assert len(world["A"].sent) == before


def test_fresh_offer_to_a_program_that_began_anew_has_its_own_time_to_connect() -> None:
    """Its answer to the offer before came to nothing: what became of that one does not end the call."""
    world = killed()
    world.media.ice = 1000.0
    node = begin_anew(world, "B", 14.0)
    world.run_until(15.0)
    peer = node.engine.sessions[node.latest].peers[User("A")]
    (before,) = [one for one in world.media.open.values() if one.user == "B"]
    world.media.ice = 2.0
    world.run_until(world.sent("A", RestartOffer)[0] + 4.9)
    node.do(IceFailed(call=node.latest, peer=peer.user, epoch=before.epoch))
    world.run(5.0)
    assert len(world.sent("A", RestartOffer)) == 2
    assert world.states("A") == {"B": "CONNECTED"}
    assert world.states("B/new") == {"A": "CONNECTED"}
