"""What this side receives of each user, judged from counters: told soon, and never without a reason."""

from __future__ import annotations

import pytest

from qbcall.core import events as ev
from qbcall.core.health import PAUSE, STALL, START
from qbcall.core.inputs import MediaCounted
from qbcall.core.model import CallMedia, MediaKind, User
from tests.core.pretend_media import Stream
from tests.core.told import lines
from tests.core.watch import show
from tests.core.world import HEALTH_EVENTS, World

AUDIO, VIDEO = frozenset({MediaKind.AUDIO}), frozenset({MediaKind.VIDEO})
NONE: frozenset[MediaKind] = frozenset()


def counting(users: str = "AB", *, foreign: str = "", media: CallMedia = CallMedia.VIDEO, **streams: Stream) -> World:
    """A calls all others, who accept after a second; what comes is counted from the beginning.

    Args:
        users: their names.
        foreign: those whose clients are no qbcalls.
        media: of the call.
        streams: how media goes where it is not as it should be, e.g. `BA` from B to A.
    """
    world = World(users)
    world.media.counting = True
    for pair, stream in streams.items():
        world.media.streams[User(pair[0]), User(pair[1])] = stream
    world["A"].call(users[1:], media=media)
    for name in users[1:]:
        world.at(1.0, world[name].accept)
    world.run_until(1.05)
    for node in world.nodes.values():
        for name in foreign:
            session = node.engine.sessions[node.latest]
            if name in session.peers:
                session.peers[User(name)].receipts = False
    world.run_until(4.0)
    assert set(world.states("A").values()) == {"CONNECTED"}
    return world


def spoil(world: World, pair: str, stream: Stream) -> None:
    """From now on media goes so from one user to another, e.g. `BA` from B to A."""
    world.media.streams[User(pair[0]), User(pair[1])] = stream


def health(world: World, name: str = "A", since: float = 4.0) -> str:
    """What a user was told of what is received, one line each."""
    told = [(at, event) for at, event in world.events(name, *HEALTH_EVENTS) if at >= since]
    return "\n".join(f"{at:.3f} {show(event)}" for at, event in told)


def test_call_that_begins_flows_and_is_healthy() -> None:
    assert health(counting(), since=0.0) == lines("""
        1.350 DirectionChanged B AUDIO IDLE>FLOWING
        1.350 DirectionChanged B VIDEO IDLE>FLOWING
        1.360 MatrixChanged B A AUDIO IDLE>FLOWING
        1.360 MatrixChanged B A VIDEO IDLE>FLOWING
    """)


def test_ten_minutes_of_a_healthy_call_tell_nothing() -> None:
    """Also one packet a second is no fault: a browser repeats a screen that does not change so often."""
    world = counting("ABC", BA=Stream(every=1.0), AC=Stream(every=1.0))
    world.run_until(600.0)
    assert [health(world, name) for name in "ABC"] == ["", "", ""]


def test_sound_that_stops_is_told_within_two_seconds_and_its_return_at_once() -> None:
    world = counting()
    world.run_until(10.0)
    spoil(world, "BA", Stream(packets=VIDEO))
    world.run_until(20.0)
    spoil(world, "BA", Stream())
    world.run_until(30.0)
    assert health(world) == lines("""
        11.100 DirectionChanged B AUDIO FLOWING>STALLED
        11.100 HealthChanged OK>DEGRADED
        20.100 DirectionChanged B AUDIO STALLED>FLOWING
        20.100 HealthChanged DEGRADED>OK
    """)
    assert STALL + 0.25 >= 11.1 - 10.0


def test_packets_without_a_frame_are_silence() -> None:
    world = counting()
    world.run_until(10.0)
    spoil(world, "BA", Stream(frames=AUDIO))
    world.run_until(20.0)
    spoil(world, "BA", Stream())
    world.run_until(30.0)
    assert health(world) == lines("""
        11.350 DirectionChanged B VIDEO FLOWING>SILENT
        11.350 HealthChanged OK>DEGRADED
        20.100 DirectionChanged B VIDEO SILENT>FLOWING
        20.100 HealthChanged DEGRADED>OK
    """)


def test_first_packets_that_come_without_a_frame_are_silence_later() -> None:
    world = counting(BA=Stream(frames=AUDIO))
    world.run_until(30.0)
    assert health(world) == lines("""
        4.350 DirectionChanged B VIDEO IDLE>SILENT
        4.350 HealthChanged OK>DEGRADED
    """)


def test_media_that_never_begins_is_told_after_a_while() -> None:
    world = counting(BA=Stream(sent=AUDIO))
    world.run_until(30.0)
    assert health(world).splitlines()[0] == f"{1.35 + START:.3f} DirectionChanged B VIDEO IDLE>STALLED"


def test_packets_after_a_stall_are_no_return_without_a_frame() -> None:
    world = counting()
    spoil(world, "BA", Stream(packets=AUDIO))
    world.run_until(10.0)
    spoil(world, "BA", Stream(frames=AUDIO))
    world.run_until(20.0)
    assert health(world) == lines("""
        5.100 DirectionChanged B VIDEO FLOWING>STALLED
        5.100 HealthChanged OK>DEGRADED
        11.350 DirectionChanged B VIDEO STALLED>SILENT
    """)


def test_kind_that_was_not_agreed_is_not_missed() -> None:
    world = counting(BA=Stream(agreed=AUDIO, sent=AUDIO))
    world.run_until(30.0)
    assert health(world) == ""


def test_kind_that_is_agreed_no_more_is_not_missed() -> None:
    world = counting()
    spoil(world, "BA", Stream(agreed=AUDIO, sent=AUDIO))
    world.run_until(30.0)
    assert health(world) == "4.100 DirectionChanged B VIDEO FLOWING>IDLE"


@pytest.mark.parametrize("media", [CallMedia.AUDIO, CallMedia.VIDEO])
def test_call_has_the_kinds_it_is_about(media: CallMedia) -> None:
    world = counting(media=media)
    told = world.events("A", ev.DirectionChanged)
    assert [event.kind for _, event in told if isinstance(event, ev.DirectionChanged)] == list(media.kinds)


def test_picture_that_another_client_takes_away_is_not_missed() -> None:
    """A browser's `replaceTrack(null)`: the sender's reports go on, and count on no more."""
    world = counting(foreign="B")
    world.run_until(10.0)
    spoil(world, "BA", Stream(sent=AUDIO))
    world.run_until(30.0)
    spoil(world, "BA", Stream())
    world.run_until(40.0)
    assert health(world) == lines("""
        13.850 DirectionChanged B VIDEO FLOWING>IDLE
        30.100 DirectionChanged B VIDEO IDLE>FLOWING
    """)


def test_picture_of_another_client_that_gets_lost_is_told_later() -> None:
    """Its sender's reports count on."""
    world = counting(foreign="B")
    world.run_until(10.0)
    spoil(world, "BA", Stream(packets=AUDIO))
    world.run_until(30.0)
    assert health(world).splitlines() == [
        f"{9.85 + PAUSE:.3f} DirectionChanged B VIDEO FLOWING>STALLED",
        f"{9.85 + PAUSE:.3f} HealthChanged OK>DEGRADED",
    ]


def test_other_client_that_sends_no_picture_at_all_is_not_missed() -> None:
    """A muted start."""
    world = counting(foreign="B", BA=Stream(sent=AUDIO))
    world.run_until(30.0)
    assert health(world) == ""


def test_other_client_that_sends_neither_sound_nor_picture_is_missed_at_once() -> None:
    world = counting(foreign="B")
    world.run_until(10.0)
    spoil(world, "BA", Stream(packets=NONE))
    world.run_until(30.0)
    assert health(world) == lines("""
        11.100 DirectionChanged B AUDIO FLOWING>STALLED
        11.100 DirectionChanged B VIDEO FLOWING>STALLED
        11.100 HealthChanged OK>DEGRADED
    """)


def test_qbcall_that_sends_no_picture_is_missed_though_it_says_so() -> None:
    """It sends a black picture when it is muted: something is wrong."""
    world = counting()
    world.run_until(10.0)
    spoil(world, "BA", Stream(sent=AUDIO))
    world.run_until(30.0)
    assert health(world).splitlines()[0] == "11.100 DirectionChanged B VIDEO FLOWING>STALLED"


def test_sender_that_says_goodbye_is_not_missed() -> None:
    world = counting()
    world.run_until(10.0)
    spoil(world, "BA", Stream(sent=AUDIO, ended=VIDEO))
    world.run_until(30.0)
    assert health(world) == "11.100 DirectionChanged B VIDEO FLOWING>IDLE"


def test_process_that_was_held_up_misses_nothing() -> None:
    """What came meanwhile is read after the look."""
    world = counting()
    world.run_until(10.0)
    node = world["A"]
    (peer,) = node.engine.sessions[node.latest].peers.values()
    ((_, made),) = [item for item in world.media.open.items() if item[0][0] == node.device]
    world.now = 14.0
    node.do(MediaCounted(call=node.latest, peer=peer.user, epoch=peer.epochs.newest, counts=made.counts))
    assert health(world) == ""


def test_lost_connection_loses_everything_and_brings_it_back() -> None:
    """VR-014, VR-020: states alternate, none is told twice."""
    world = counting()
    world.run_until(10.0)
    world.cut("A", "B")
    world.run_until(15.05)
    world.heal("A", "B")
    world.run_until(30.0)
    assert health(world) == lines("""
        11.100 DirectionChanged B AUDIO FLOWING>STALLED
        11.100 DirectionChanged B VIDEO FLOWING>STALLED
        11.100 HealthChanged OK>DEGRADED
        11.110 MatrixChanged B A AUDIO FLOWING>STALLED
        11.110 MatrixChanged B A VIDEO FLOWING>STALLED
        12.600 DirectionChanged B AUDIO STALLED>LOST
        12.600 DirectionChanged B VIDEO STALLED>LOST
        12.600 HealthChanged DEGRADED>LOST
        12.610 MatrixChanged B A AUDIO STALLED>LOST
        12.610 MatrixChanged B A VIDEO STALLED>LOST
        15.100 HealthChanged LOST>DEGRADED
        15.100 DirectionChanged B AUDIO LOST>FLOWING
        15.100 DirectionChanged B VIDEO LOST>FLOWING
        15.110 MatrixChanged B A AUDIO LOST>FLOWING
        15.110 MatrixChanged B A VIDEO LOST>FLOWING
        15.110 HealthChanged DEGRADED>OK
    """)
    assert world["A"].drops == []


def test_connection_that_comes_back_and_carries_nothing_is_stalled() -> None:
    world = counting()
    world.cut("A", "B")
    world.run_until(8.0)
    spoil(world, "BA", Stream(packets=NONE))
    world.heal("A", "B")
    world.run_until(11.0)
    assert [line.split(" ", 1)[1] for line in health(world).splitlines() if "DirectionChanged" in line][-1] == (
        "DirectionChanged B VIDEO LOST>STALLED"
    )


def test_connection_made_anew_is_counted_from_its_beginning() -> None:
    world = counting()
    world.media.consent = 2.0
    world.cut("A", "B")
    world.run_until(8.0)
    world.heal("A", "B")
    world.run_until(30.0)
    (back,) = (event for _, event in world.events("A", ev.PeerReconnected) if isinstance(event, ev.PeerReconnected))
    assert back.attempts > 0
    told = [line.split(" ", 1)[1] for line in health(world).splitlines()]
    assert [line for line in told if "DirectionChanged B AUDIO" in line] == [
        "DirectionChanged B AUDIO FLOWING>STALLED",
        "DirectionChanged B AUDIO STALLED>LOST",
        "DirectionChanged B AUDIO LOST>FLOWING",
    ]
    assert told[-1] == "HealthChanged DEGRADED>OK"


def test_call_of_two_that_lost_one_is_degraded_and_well_again_without_them() -> None:
    world = counting("ABC")
    world.kill("B")
    world.run_until(60.0)
    told = [(round(at, 1), event) for at, event in world.events("A", ev.HealthChanged)]
    assert [(at, event.new.value) for at, event in told if isinstance(event, ev.HealthChanged)] == [
        (5.1, "degraded"),
        (36.6, "ok"),
    ]
