"""States of the call and of the connection to each user, and losing it: acceptance sections 5, 6 and 7."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
from qbcall.core.model import CallMedia, CallState, Description, Epoch, MediaKind, User
from qbcall.core.policy import Policy
from qbcall.core.signals import Decline, End, Invite
from tests.core.told import lines
from tests.core.world import World


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
    epoch = node.engine.sessions[node.latest].peers[user].epoch
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


def test_lost_peer_that_comes_back_keeps_the_call() -> None:
    """QB-085, QB-096, QB-110, QB-111."""
    world = connected()
    world.at(10.05, lambda: world.cut("A", "B"))
    world.at(20.05, lambda: world.heal("A", "B"))
    world.run_until(60.0)
    assert world.story("A", since=2.0) == lines("""
        12.600 PeerDisconnected B CONNECTED>DISCONNECTED
        12.600 PeerReconnecting B
        20.100 PeerConnected B DISCONNECTED>CONNECTED
        20.100 PeerReconnected B 7.5
    """)
    assert world["A"].engine.sessions[world["A"].latest].state is CallState.CONNECTED


def test_second_loss_has_the_whole_disconnect_interval_again() -> None:
    """QB-122."""
    world = connected()
    world.cut("A", "B")
    world.run_until(25.0)
    world.heal("A", "B")
    world.run_until(30.0)
    world.cut("A", "B")
    world.run_until(100.0)
    assert [at for at, _ in world.events("A", ev.PeerReconnecting)] == [4.6, 32.6]
    assert [at for at, _ in world.events("A", ev.PeerReconnectFailed)] == [62.6]


@pytest.mark.parametrize("interval", [10.0, 30.0])
def test_lost_peer_that_stays_away_ends_after_the_disconnect_interval(interval: float) -> None:
    """QB-097, QB-114, QB-115."""
    world = connected(policy=Policy(disconnect_timeout=interval))
    world.media.consent = 100.0
    world.run_until(10.05)
    world.kill("B")
    world.run_until(100.0)
    end = 12.6 + interval
    assert world.story("A", since=2.0) == lines(f"""
        12.600 PeerDisconnected B CONNECTED>DISCONNECTED
        12.600 PeerReconnecting B
        {end:.3f} PeerReconnectFailed B
        {end:.3f} PeerStateChanged B DISCONNECTED>DISCONNECT_TIMEOUT
        {end:.3f} PeerClosed B DISCONNECT_TIMEOUT>CLOSED DISCONNECT_TIMEOUT
        {end:.3f} CallStateChanged CONNECTED>CLOSED
        {end:.3f} CallClosed DISCONNECT_TIMEOUT
    """)
    assert world.sent("A", End) == [end]
    world.assert_silence()


def test_path_that_fails_after_the_loss_is_told_and_the_interval_goes_on() -> None:
    """QB-102, QB-114."""
    world = connected(policy=Policy(disconnect_timeout=40.0))
    world.kill("B")
    world.run_until(100.0)
    assert world.story("A", since=2.0) == lines("""
        4.600 PeerDisconnected B CONNECTED>DISCONNECTED
        4.600 PeerReconnecting B
        31.600 PeerFailed B DISCONNECTED>FAILED
        44.600 PeerReconnectFailed B
        44.600 PeerStateChanged B FAILED>DISCONNECT_TIMEOUT
        44.600 PeerClosed B DISCONNECT_TIMEOUT>CLOSED DISCONNECT_TIMEOUT
        44.600 CallStateChanged CONNECTED>CLOSED
        44.600 CallClosed DISCONNECT_TIMEOUT
    """)


def test_late_packets_do_not_bring_back_a_failed_path() -> None:
    """QB-102, QB-105: what is left in a buffer is no sign of life."""
    world = connected()
    fact(world, "A", IceFailed)
    world.cut("A", "B")
    world.run_until(6.0)
    assert world.states("A") == {"B": "FAILED"}
    for late in (MediaFlowing, IceFailed, IceChecking, IceConnected):
        fact(world, "A", late)
    fact(world, "A", MediaBroke, error="late")
    world.run_until(60.0)
    assert world.told("A", ev.ReconnectionChanged) == ["PeerReconnecting B", "PeerReconnectFailed B"]
    assert world.told("A", ev.PeerFailed) == ["PeerFailed B CONNECTED>FAILED"]
    assert world["A"].drops == []
    world.assert_silence()


def test_transport_that_ends_with_a_hang_up_on_its_way_is_no_loss() -> None:
    """QB-067, QB-105: DTLS says goodbye before the chat does."""
    world = connected()
    fact(world, "A", IceFailed)
    world.run(1.0)
    world["B"].hang_up()
    world.run(1.0)
    assert world.told("A", ev.PeerFailed, ev.PeerDisconnected) == []
    assert world.told("A", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]


def test_hang_up_of_a_lost_peer_ends_without_failure() -> None:
    """QB-116."""
    world = connected()
    world.cut("A", "B")
    world.run_until(10.0)
    world["B"].hang_up()
    world.run(1.0)
    assert world.story("A", since=5.0) == lines("""
        10.010 PeerHungUp B
        10.010 PeerStateChanged B DISCONNECTED>HANG_UP
        10.010 PeerClosed B HANG_UP>CLOSED REMOTE_HUNG_UP
        10.010 CallStateChanged CONNECTED>CLOSED
        10.010 CallClosed REMOTE_HUNG_UP
    """)
    world.assert_silence()


def test_hang_up_while_a_peer_is_lost_ends_without_failure() -> None:
    """QB-117."""
    world = connected()
    world.cut("A", "B")
    world.run_until(10.0)
    world["A"].hang_up()
    world.run(60.0)
    assert world.story("A", since=5.0) == lines("""
        10.000 PeerClosed B DISCONNECTED>CLOSED HUNG_UP
        10.000 CallStateChanged CONNECTED>CLOSED
        10.000 CallClosed HUNG_UP
    """)
    world.assert_silence()


def test_one_lost_pair_of_a_group_disturbs_no_other() -> None:
    """QB-098, QB-123."""
    world = connected("ABC")
    world.cut("A", "B")
    world.run_until(60.0)
    assert world.states("A") == {"B": "CLOSED", "C": "CONNECTED"}
    assert world.states("C") == {"A": "CONNECTED", "B": "CONNECTED"}
    assert world.told("C", ev.ReconnectionChanged) == []
    assert world["A"].engine.sessions[world["A"].latest].state is CallState.CONNECTED


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
        5.000 PeerFailed B CHECKING>FAILED
        5.000 PeerClosed B FAILED>CLOSED MEDIA_FAILED
        5.000 CallStateChanged CONNECTING>CLOSED
        5.000 CallClosed MEDIA_FAILED
    """)
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
    assert world.sent("A", End) == [5.0]
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


def test_lost_chat_link_is_no_event_of_the_call() -> None:
    """QB-125."""
    world = connected(policy=Policy(reconnect_window=60.0))
    before = world.story("A")
    world.unlink("A")
    world.run(20.0)
    world.relink("A")
    world.run(20.0)
    assert world.story("A") == before
    world["A"].hang_up()
    world.run(1.0)
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]


def test_loss_of_the_chat_link_for_good_leaves_the_call_alone() -> None:
    """QB-125."""
    world = connected()
    world.unlink("A")
    world.run(60.0)
    assert len(world.events("A", ev.LinkLost)) == 1
    assert world.states("A") == {"B": "CONNECTED"}


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
    world = connected(policy=Policy(stats_interval=3.0))
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
        "PeerStateChanged A CONNECTING>CHECKING",
        "PeerConnected A CHECKING>CONNECTED",
        "CallStateChanged CONNECTING>CONNECTED",
        "AudioTrackAdded A AUDIO",
        "PeerHungUp A",
        "PeerStateChanged A CONNECTED>HANG_UP",
        "PeerClosed A HANG_UP>CLOSED REMOTE_HUNG_UP",
        "CallStateChanged CONNECTED>CLOSED",
        "CallClosed REMOTE_HUNG_UP",
    ]
    calls = {event.call for _, event in world["B"].told if isinstance(event, ev.CallEvent)}
    assert calls == {world["A"].latest}


def test_who_was_asleep_does_not_take_the_others_for_lost() -> None:
    """QB-105: a process that was stopped, or busy, first hears what came in meanwhile."""
    world = connected()
    node = world["A"]
    world.run_until(10.3)
    node.alive = False
    world.run_until(20.3)
    node.alive = True
    node.wake()
    world.run_until(40.0)
    assert world.told("A", ev.PeerDisconnected, ev.ReconnectionChanged) == []
    world.kill("B")
    world.run_until(44.0)
    assert world.told("A", ev.PeerDisconnected) == ["PeerDisconnected B CONNECTED>DISCONNECTED"]


def test_path_that_broke_meanwhile_is_lost_all_the_same() -> None:
    world = connected()
    node = world["A"]
    fact(world, "A", IceFailed)
    world.run_until(10.0)
    assert world.states("A") == {"B": "CONNECTED"}  # the pretended packets go on
    node.alive = False
    world.run_until(20.0)
    node.alive = True
    node.wake()
    assert world.states("A") == {"B": "FAILED"}
