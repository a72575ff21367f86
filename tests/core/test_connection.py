"""States of the call and of the connection to each user: acceptance sections 5, 6 and 8."""

from __future__ import annotations

from collections.abc import Callable

from qbcall.core import events as ev
from qbcall.core.effects import ReadStats
from qbcall.core.inputs import (
    IceChecking,
    IceConnected,
    IceFailed,
    Input,
    MediaBroke,
    MediaFlowing,
    OfferReady,
    RemoteTrack,
)
from qbcall.core.model import CallMedia, Description, Epoch, MediaKind, User
from qbcall.core.policy import Policy
from qbcall.core.signals import Decline, End, Invite
from tests.core.told import lines
from tests.core.world import STALL, World


def connected(users: str = "AB", policy: Policy | None = None) -> World:
    """A called all others, and everybody accepted after a second."""
    world = World(users, policy=policy)
    world["A"].call(users[1:])
    for name in users[1:]:
        world.at(1.0, world[name].accept)
    world.run_until(2.0)
    assert set(world.states("A").values()) == {"CONNECTED"}
    return world


def fact(world: World, name: str, what: Callable[..., Input], **more: object) -> None:
    """Tell a fact about the present peer connection to A, or from A to B."""
    node = world[name]
    user = User("A" if name != "A" else "B")
    epoch = node.engine.sessions[node.latest].peers[user].epochs.newest
    node.do(what(call=node.latest, peer=user, epoch=epoch, **more))


def test_call_moves_forward_once_per_state() -> None:
    """QB-081, QB-083, QB-084, QB-086, QB-087."""
    world = connected("ABC")
    world["A"].hang_up()
    assert world.told("A", ev.CallStateChanged, ev.CallClosed) == [
        "CallStateChanged NEW>PENDING",
        "CallStateChanged PENDING>CONNECTING",
        "CallStateChanged CONNECTING>CONNECTED",
        "CallStateChanged CONNECTED>CLOSED",
        "CallClosed HUNG_UP",
    ]


def test_connection_goes_through_its_states_once() -> None:
    """QB-093, QB-094, QB-095, QB-105."""
    world = connected()
    for again in (IceChecking, IceConnected):
        fact(world, "A", again)
    assert world.story("A", since=1.0) == lines("""
        1.010 PeerAccepted B
        1.010 PeerConnecting B PENDING>CONNECTING
        1.010 CallStateChanged PENDING>CONNECTING
        1.010 PeerStateChanged B CONNECTING>CHECKING
        1.100 PeerConnected B CHECKING>CONNECTED
        1.100 CallStateChanged CONNECTING>CONNECTED
        1.100 AudioTrackAdded B AUDIO
        1.100 VideoTrackAdded B VIDEO
    """)
    assert world["A"].drops == []


def test_checking_is_told_once() -> None:
    """QB-094."""
    world = World("AB")
    world["A"].call("B")
    world.at(1.0, world["B"].accept)
    world.run_until(1.05)
    fact(world, "A", IceChecking)
    fact(world, "A", MediaFlowing)
    assert world.told("A")[-1] == "PeerStateChanged B CONNECTING>CHECKING"
    assert world["A"].drops == []


def test_connection_may_skip_checking() -> None:
    """QB-095."""
    world = World("AB")
    world["A"].call("B")
    world.media.ready = 0.2
    world.at(1.0, world["B"].accept)
    world.run_until(1.1)
    fact(world, "B", IceConnected)
    assert world.told("B")[-2:] == ["PeerConnected A CONNECTING>CONNECTED", "CallStateChanged CONNECTING>CONNECTED"]


def test_path_that_is_never_found_fails_without_reconnection() -> None:
    """QB-102, QB-124."""
    world = World("AB")
    world.cut("A", "B")
    world["A"].call("B")
    world.at(1.0, world["B"].accept)
    world.run_until(2.0)
    world.at(5.0, lambda: fact(world, "A", IceFailed))
    world.run_until(100.0)
    assert world.story("A", since=2.0) == lines("""
        6.000 PeerFailed B CHECKING>FAILED
        6.000 PeerClosed B FAILED>CLOSED MEDIA_FAILED
        6.000 CallStateChanged CONNECTING>CLOSED
        6.000 CallClosed MEDIA_FAILED
    """)
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
    assert world.sent("A", End) == [6.0]
    world.assert_silence()


def test_who_hangs_up_while_it_connects_has_hung_up_though_the_transport_ends_before() -> None:
    """The chat may be slower than the path."""
    world = World("AB")
    world.cut("A", "B")
    world["A"].call("B")
    world.at(1.0, world["B"].accept)
    world.at(1.5, lambda: fact(world, "B", IceFailed))
    world.at(2.4, world["A"].hang_up)
    world.run_until(10.0)
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
    assert world.told("B", ev.PeerFailed) == []
    world.assert_silence()


def test_path_that_is_not_found_in_time_fails() -> None:
    """QB-124."""
    world = World("AB", policy=Policy(connect_timeout=12.0))
    world.cut("A", "B")
    world["A"].call("B")
    world.at(1.0, world["B"].accept)
    world.run_until(100.0)
    assert world.story("B", since=2.0) == lines("""
        13.000 PeerFailed A CHECKING>FAILED
        13.000 PeerClosed A FAILED>CLOSED MEDIA_FAILED
        13.000 CallStateChanged CONNECTING>CLOSED
        13.000 CallClosed MEDIA_FAILED
    """)
    assert world.sent("B", End) == [13.0]
    assert [event.detail for _, event in world["B"].told if isinstance(event, ev.PeerFailed)] == [
        "no network path to the peer was found in time"
    ]
    world.assert_silence()


def test_answer_that_cannot_be_used_fails_and_the_other_side_hears_it() -> None:
    """QB-124."""
    world = World("AB")
    world["A"].call("B")
    world.at(1.0, world["B"].accept)
    world.run_until(1.05)
    fact(world, "A", MediaBroke, error="no common codec")
    world.run(1.0)
    assert world.told("A", ev.PeerFailed, ev.PeerClosed) == [
        "PeerFailed B CHECKING>FAILED",
        "PeerClosed B FAILED>CLOSED MEDIA_FAILED",
    ]
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]


def test_late_error_of_the_media_does_not_end_a_connection() -> None:
    world = connected()
    fact(world, "A", MediaBroke, error="a candidate was odd")
    assert world.states("A") == {"B": "CONNECTED"}
    assert world["A"].drops == []


def test_facts_of_an_older_peer_connection_are_dropped_at_the_door() -> None:
    world = connected()
    node = world["A"]
    before = len(node.effects)
    for epoch in (0, 2, 99):
        node.do(IceFailed(call=node.latest, peer=User("B"), epoch=Epoch(epoch)))
    node.do(IceFailed(call=node.latest, peer=User("C"), epoch=Epoch(1)))
    world.run(3.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert len(node.effects) == before


def test_fact_that_makes_no_sense_is_counted() -> None:
    world = connected()
    fact(world, "A", OfferReady, offer=Description("late"))
    assert world["A"].drops == ["OfferReady in state CONNECTED"]


def test_each_kind_of_media_is_told_once() -> None:
    """QB-121, QB-134: also after a loss."""
    world = connected()
    world.cut("A", "B")
    world.run_until(10.0)
    fact(world, "A", RemoteTrack, kind=MediaKind.AUDIO)
    world.heal("A", "B")
    world.run_until(20.0)
    fact(world, "A", RemoteTrack, kind=MediaKind.VIDEO)
    assert world.told("A", ev.TrackAdded) == ["AudioTrackAdded B AUDIO", "VideoTrackAdded B VIDEO"]


def test_statistics_are_off_by_default() -> None:
    """QB-137."""
    world = connected()
    world.run_until(60.0)
    assert world.events("A", ev.Stats) == []


def test_statistics_come_every_interval_while_connected() -> None:
    """QB-138."""
    world = connected("ABC", Policy(stats_interval=3.0))
    world.at(8.0, world["C"].hang_up)
    world.at(15.0, world["A"].hang_up)
    world.run_until(60.0)
    stats = [(at, event.peer) for at, event in world["A"].told if isinstance(event, ev.Stats)]
    assert stats == [(4.1, "B"), (4.1, "C"), (7.1, "B"), (7.1, "C"), (10.1, "B"), (13.1, "B")]
    world.assert_silence()


def test_statistics_pause_while_a_peer_is_lost() -> None:
    """QB-138."""
    world = connected(policy=Policy(stall_timeout=STALL, stats_interval=3.0))
    world.cut("A", "B")
    world.run_until(14.0)
    asked = [effect for effect in world["A"].effects if isinstance(effect, ReadStats)]
    assert len(asked) == 1
    world.heal("A", "B")
    world.run_until(18.0)
    assert [at for at, _ in world.events("A", ev.Stats)] == [4.1, 17.1]


def test_late_signals_of_who_is_gone_are_quiet() -> None:
    """QB-161: QuickBlox hangs up with everybody, also with those who left."""
    world = connected("ABC")
    call = world["A"].latest
    world["B"].hang_up()
    world.run(1.0)
    world.signal("B", "A", End(call=call))
    world.signal("B", "A", Decline(call=call))
    assert world["A"].drops == []
    head = world["A"].engine.sessions[call].head
    world.signal("B", "A", Invite(head=head, offer=Description("late")))
    assert world.sent("A", End, "B") == [3.0]


def test_signal_of_somebody_else_is_ignored_in_a_running_call() -> None:
    """QB-161."""
    world = connected("ABC")
    call = world["A"].latest
    for name in "DA":
        world.signal(name, "A", End(call=call))
    assert world.states("A") == {"B": "CONNECTED", "C": "CONNECTED"}
    assert set(world["A"].drops) == {"End of a user who is not in the call"}


def test_order_of_a_whole_call_at_the_caller() -> None:
    """QB-130."""
    world = World("AB")
    world["A"].call("B", media=CallMedia.AUDIO)
    world.at(1.0, world["B"].accept)
    world.at(5.0, world["A"].hang_up)
    world.run_until(10.0)
    assert world.told("A") == [
        "PeerStateChanged B NEW>PENDING",
        "CallStateChanged NEW>PENDING",
        "PeerAccepted B",
        "PeerConnecting B PENDING>CONNECTING",
        "ParticipantJoined B",
        "CallStateChanged PENDING>CONNECTING",
        "PeerStateChanged B CONNECTING>CHECKING",
        "PeerConnected B CHECKING>CONNECTED",
        "CallStateChanged CONNECTING>CONNECTED",
        "AudioTrackAdded B AUDIO",
        "PeerClosed B CONNECTED>CLOSED HUNG_UP",
        "CallStateChanged CONNECTED>CLOSED",
        "CallClosed HUNG_UP",
    ]


def test_order_of_a_whole_call_at_the_callee() -> None:
    """QB-131, QB-133."""
    world = World("AB")
    world["A"].call("B", media=CallMedia.AUDIO)
    world.at(1.0, world["B"].accept)
    world.at(5.0, world["A"].hang_up)
    world.run_until(10.0)
    assert world.told("B") == [
        "IncomingCall A B AUDIO",
        "PeerStateChanged A NEW>PENDING",
        "PeerConnecting A PENDING>CONNECTING",
        "CallStateChanged PENDING>CONNECTING",
        "ParticipantJoined A",
        "PeerStateChanged A CONNECTING>CHECKING",
        "PeerConnected A CHECKING>CONNECTED",
        "CallStateChanged CONNECTING>CONNECTED",
        "AudioTrackAdded A AUDIO",
        "PeerHungUp A",
        "PeerStateChanged A CONNECTED>HANG_UP",
        "PeerClosed A HANG_UP>CLOSED REMOTE_HUNG_UP",
        "ParticipantLeft A REMOTE_HUNG_UP",
        "CallStateChanged CONNECTED>CLOSED",
        "CallClosed REMOTE_HUNG_UP",
    ]
    calls = {event.call for _, event in world["B"].told if isinstance(event, ev.CallEvent)}
    assert calls == {world["A"].latest}
