"""Losing a connection that was up, and its end: acceptance section 7; making it anew is in `test_restarting.py`."""

from __future__ import annotations

import pytest

from qbcall.core import events as ev
from qbcall.core.inputs import (
    IceChecking,
    IceConnected,
    IceFailed,
    MediaBroke,
    MediaFlowing,
)
from qbcall.core.model import CallState
from qbcall.core.policy import Policy
from qbcall.core.signals import End, RestartOffer
from tests.core.test_connection import connected, fact
from tests.core.told import lines
from tests.core.world import STALL


def test_lost_peer_that_comes_back_keeps_the_call() -> None:
    """QB-085, QB-096, QB-110, QB-111."""
    world = connected()
    world.at(10.05, lambda: world.cut("A", "B"))
    world.at(17.05, lambda: world.heal("A", "B"))
    world.run_until(60.0)
    assert world.story("A", since=2.0) == lines("""
        12.600 PeerDisconnected B CONNECTED>DISCONNECTED
        12.600 PeerReconnecting B
        17.100 PeerConnected B DISCONNECTED>CONNECTED
        17.100 PeerReconnected B 4.5 0
    """)
    assert world.sent("A", RestartOffer) + world.sent("B", RestartOffer) == []
    assert world["A"].engine.sessions[world["A"].latest].state is CallState.CONNECTED


def test_second_loss_has_the_whole_disconnect_interval_again() -> None:
    """QB-122."""
    world = connected()
    world.cut("A", "B")
    world.run_until(9.0)
    world.heal("A", "B")
    world.run_until(30.0)
    world.cut("A", "B")
    world.run_until(100.0)
    assert [at for at, _ in world.events("A", ev.PeerReconnecting)] == [4.6, 32.6]
    assert [at for at, _ in world.events("A", ev.PeerReconnectFailed)] == [62.6]


@pytest.mark.parametrize("interval", [10.0, 30.0])
def test_lost_peer_that_stays_away_ends_after_the_disconnect_interval(interval: float) -> None:
    """QB-097, QB-114, QB-115."""
    world = connected(policy=Policy(stall_timeout=STALL, disconnect_timeout=interval))
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
    world = connected(policy=Policy(stall_timeout=STALL, disconnect_timeout=40.0))
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
