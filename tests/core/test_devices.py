"""Several devices of one user: section 4.5 of QuickBlox's behaviour, and what is safe beyond it."""

from __future__ import annotations

from qbcall.core import events as ev
from qbcall.core.inputs import Arrived
from qbcall.core.model import Candidate, Description, Device
from qbcall.core.signals import Accept, Candidates, Decline, End, Invite
from tests.core.told import lines
from tests.core.world import World

OFFER = Description("offer")


def two_devices(users: str = "AB") -> World:
    """A called all others; B rings on two devices, and accepts on the first."""
    world = World(users)
    world.add("B", "2")
    world["A"].call(users[1:])
    for name in users[1:]:
        world.at(1.0, world[name].accept)
    world.run_until(2.0)
    return world


def two_strange_devices(users: str = "AB") -> World:
    """The same, and the first tells the second nothing: QuickBlox's own SDKs do not."""
    world = World(users)
    world.swallow = lambda sender, to, signal: sender == to
    world.add("B", "2")
    world["A"].call(users[1:])
    for name in users[1:]:
        world.at(1.0, world[name].accept)
    world.run_until(2.0)
    return world


def test_all_devices_ring_until_one_accepts() -> None:
    world = two_devices()
    for device in ("B/1", "B/2"):
        assert world.told(device, ev.IncomingCall) == ["IncomingCall A B VIDEO"]
    assert world.story("B/2", since=0.5) == lines("""
        1.010 PeerClosed A PENDING>CLOSED ELSEWHERE
        1.010 CallStateChanged PENDING>CLOSED
        1.010 CallClosed ELSEWHERE
    """)
    assert world["B/2"].sent == []
    world.run_until(60.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world["A"].drops == world["B/1"].drops == world["B/2"].drops == []


def test_all_devices_ring_until_one_rejects() -> None:
    world = World("ABC")
    world.add("B", "2")
    world["A"].call("BC")
    world.at(1.0, world["B/2"].reject)
    world.run_until(60.0)
    assert world.told("B/1", ev.CallClosed) == ["CallClosed ELSEWHERE"]
    assert world["B/1"].sent == []


def test_invitation_after_it_was_taken_elsewhere_is_quiet() -> None:
    """Repetitions, and the offers of other callees, are for the device that took it."""
    world = two_devices()
    head = world["A"].engine.sessions[world["A"].latest].head
    world["B/2"].do(Arrived(sender=head.caller, device=Device("A/1"), signal=Invite(head=head, offer=OFFER)))
    assert world.told("B/2", ev.IncomingCall) == ["IncomingCall A B VIDEO"]
    assert world["B/2"].sent == []


def test_devices_that_accept_at_once_leave_it_to_the_caller() -> None:
    world = World("AB")
    world.add("B", "2")
    world["A"].call("B")
    for device in ("B/1", "B/2"):
        world.at(1.0, world[device].accept)
    world.run_until(60.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world.states("B/1") == {"A": "CONNECTED"}
    assert world.told("B/2", ev.CallClosed) == ["CallClosed MEDIA_FAILED"]


def test_own_words_in_a_call_that_nobody_answers_here_are_quiet() -> None:
    """The caller's other devices do not know the call; a device in the call is not ended by another."""
    world = two_devices()
    call = world["A"].latest
    world.signal("B", "B/1", Decline(call=call), "2")
    world.signal("A", "A", Accept(call=call, answer=OFFER), "2")
    assert world.states("B/1") == {"A": "CONNECTED"}
    assert world.states("A") == {"B": "CONNECTED"}


def test_device_that_is_told_nothing_rings_on() -> None:
    world = two_strange_devices()
    assert world.states("B/2") == {"A": "PENDING"}
    world.run_until(60.0)
    assert world.told("B/2", ev.CallClosed) == ["CallClosed MISSED"]
    assert world.states("A") == {"B": "CONNECTED"}


def test_late_reject_of_another_device_does_not_end_the_call() -> None:
    world = two_strange_devices()
    world["B/2"].reject()
    world.run(10.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world["A"].drops == []


def test_late_accept_of_another_device_does_not_end_the_call_when_it_fails() -> None:
    world = two_strange_devices()
    world["B/2"].accept()
    world.run_until(60.0)
    assert world.told("B/2", ev.CallClosed) == ["CallClosed MEDIA_FAILED"]
    assert len(world.sent("B/2", End)) == 1
    assert world.states("A") == {"B": "CONNECTED"}
    assert world.states("B/1") == {"A": "CONNECTED"}
    assert world.told("A", ev.PeerDisconnected) == []


def test_another_device_that_accepted_too_late_may_hang_up_while_the_first_connects() -> None:
    world = World("AB")
    world.add("B", "2")
    world["A"].call("B")
    world.at(1.0, world["B/1"].accept)
    world.run_until(1.05)
    world.signal("B", "A", End(call=world["A"].latest), "2")
    world.signal("B", "A", Decline(call=world["A"].latest), "2")
    world.run_until(5.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world["A"].drops == []


def test_ringing_device_that_stops_with_the_caller_does_not_end_the_link_of_the_first() -> None:
    """QB-155: the second device tells C that it leaves; C talks to the first."""
    world = two_strange_devices("ABC")
    world["A"].hang_up()
    world.run(10.0)
    assert world.told("B/2", ev.CallClosed) == ["CallClosed CANCELLED"]
    assert world.states("C") == {"A": "CLOSED", "B": "CONNECTED"}
    assert world.states("B/1") == {"A": "CLOSED", "C": "CONNECTED"}


def test_hang_up_from_a_new_name_of_the_same_device_counts_once_packets_stop() -> None:
    """A chat link that was made again may come back with another resource."""
    world = two_devices()
    world["B/1"].resource = Device("B/renamed")
    world["B/1"].hang_up(info={"k": "v"})
    world.run_until(60.0)
    closed = world.events("A", ev.CallClosed)
    assert world.told("A", ev.PeerHungUp, ev.CallClosed) == ["PeerHungUp B k=v", "CallClosed REMOTE_HUNG_UP"]
    assert world.told("A", ev.ReconnectionChanged, ev.PeerDisconnected) == []
    assert closed[0][0] < 6.0


def test_hang_up_of_another_device_is_forgotten_when_packets_still_come() -> None:
    """A loss long after it is a loss, and not the end."""
    world = two_strange_devices()
    world.signal("B", "A", End(call=world["A"].latest), "2")
    world.run_until(30.0)
    world.cut("A", "B")
    world.run_until(36.0)
    world.heal("A", "B")
    world.run_until(60.0)
    assert world.told("A", ev.CallClosed) == []
    assert world.states("A") == {"B": "CONNECTED"}


def test_candidates_of_another_device_are_not_used() -> None:
    world = two_strange_devices()
    before = len(world["A"].effects)
    world.signal("B", "A", Candidates(call=world["A"].latest, candidates=(Candidate("candidate:1"),)), "2")
    assert len(world["A"].effects) == before


def test_hang_up_from_another_device_counts_while_the_peer_is_lost() -> None:
    world = two_devices()
    world.cut("A", "B")
    world.run_until(10.0)
    world.signal("B", "A", End(call=world["A"].latest), "2")
    assert world.told("A", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]


def test_reject_of_one_device_ends_the_call_of_the_caller() -> None:
    world = World("AB")
    world.add("B", "2")
    world["A"].call("B")
    world.at(1.0, world["B/2"].reject)
    world.run_until(60.0)
    assert world.told("A", ev.CallClosed) == ["CallClosed REJECTED"]
    world.assert_silence()


def test_cancel_stops_all_devices() -> None:
    world = World("AB")
    world.add("B", "2")
    world["A"].call("B")
    world.at(1.0, world["A"].hang_up)
    world.run_until(2.0)
    for device in ("B/1", "B/2"):
        assert world.told(device, ev.CallClosed) == ["CallClosed CANCELLED"]
    world.assert_silence()


def test_signals_of_the_callees_for_another_device_of_the_caller_are_ignored() -> None:
    world = World("AB")
    world.add("A", "2")
    world["A/1"].call("B")
    world.at(1.0, world["B"].accept)
    world.at(5.0, world["B"].hang_up)
    world.run_until(10.0)
    assert world.told("A/2") == []
    assert world["A/2"].sent == []


def test_reject_of_another_device_before_the_answer_counts_only_where_none_is_known() -> None:
    """C's offer came from its first device; a reject of its second is noise for B, who still rings."""
    world = World("ABC")
    world.swallow = lambda sender, to, signal: sender == to
    world.add("C", "2")
    world["A"].call("BC")
    world.at(1.0, world["C/1"].accept)
    world.run_until(2.0)
    world["C/2"].reject()
    world.run(1.0)
    assert world.states("B") == {"A": "PENDING", "C": "PENDING"}
    assert world["B"].drops == []
    world["B"].accept()
    world.run(1.0)
    assert world.states("B") == {"A": "CONNECTED", "C": "CONNECTED"}
