"""Who receives what of whom, as all say to each other."""

from __future__ import annotations

from itertools import pairwise

import pytest

from qbcall.core import events as ev
from qbcall.core.model import MediaKind, Reception, User
from qbcall.core.signals import ReceptionReport
from tests.core.pretend_media import Stream
from tests.core.test_health import AUDIO, VIDEO, counting, health, spoil
from tests.core.told import lines

STALLED = {User("A"): {MediaKind.AUDIO: Reception.STALLED}}


def test_all_three_learn_which_direction_stalls() -> None:
    """Who receives nothing counts it; who sends it and the third are told: within two seconds."""
    world = counting("ABC")
    world.run_until(10.0)
    spoil(world, "BC", Stream(packets=VIDEO))
    world.run_until(20.0)
    assert health(world, "C") == lines("""
        11.110 DirectionChanged B AUDIO FLOWING>STALLED
        11.110 HealthChanged OK>DEGRADED
    """)
    assert health(world, "B") == lines("""
        11.120 MatrixChanged C B AUDIO FLOWING>STALLED
        11.120 HealthChanged OK>DEGRADED
    """)
    assert health(world, "A") == "11.120 MatrixChanged C B AUDIO FLOWING>STALLED"


def test_report_is_said_on_a_change_only_and_once_a_second() -> None:
    world = counting("ABC")
    world.run_until(100.0)
    before = world.sent("A", ReceptionReport, "B")
    assert len(before) <= 3
    for step in range(40):
        world.run_until(100.0 + step)
        spoil(world, "BA", Stream(packets=VIDEO) if step % 4 < 2 else Stream(frames=AUDIO))
    sent = world.sent("A", ReceptionReport, "B")[len(before) :]
    assert len(sent) >= 5
    assert min(later - sooner for sooner, later in pairwise(sent)) >= 1.0
    assert world.sent("A", ReceptionReport, "C")[len(before) :] == sent


def test_changes_within_a_second_are_said_with_the_next_report() -> None:
    world = counting("ABC")
    world.run_until(10.0)
    spoil(world, "BA", Stream(packets=VIDEO))
    world.run_until(10.5)
    spoil(world, "CA", Stream(packets=VIDEO))
    world.run_until(20.0)
    assert [at for at in world.sent("A", ReceptionReport, "B") if at > 4] == [11.1, 12.1]
    assert health(world, "B").splitlines()[-1] == "12.110 MatrixChanged A C AUDIO FLOWING>STALLED"


def test_other_clients_are_not_told() -> None:
    world = counting("ABC", foreign="B")
    spoil(world, "CA", Stream(packets=VIDEO))
    world.run_until(20.0)
    assert [at for at in world.sent("A", ReceptionReport, "B") if at > 1.2] == []
    assert [at for at in world.sent("A", ReceptionReport, "C") if at > 4.0] == [5.1]


def test_report_that_a_broken_chat_swallowed_is_said_again() -> None:
    world = counting("ABC")
    world.run_until(10.0)
    world.unlink("A")
    spoil(world, "BA", Stream(packets=VIDEO))
    world.run_until(15.0)
    assert health(world, "B") == ""
    world.relink("A")
    world.run_until(30.0)
    for name in "BC":
        assert health(world, name, since=15.0).splitlines()[0].endswith("MatrixChanged A B AUDIO FLOWING>STALLED")


def test_participant_whose_chat_was_away_is_told_again() -> None:
    world = counting("ABC")
    world.run_until(10.0)
    world.unlink("C")
    spoil(world, "BA", Stream(packets=VIDEO))
    world.run_until(15.0)
    assert health(world, "C") == ""
    world.relink("C")
    world.run_until(30.0)
    assert health(world, "C", since=15.0).splitlines()[0].endswith("MatrixChanged A B AUDIO FLOWING>STALLED")


def test_user_who_leaves_is_no_more_in_the_matrix() -> None:
    world = counting("ABC")
    world.run_until(10.0)
    world["C"].hang_up()
    world.run_until(20.0)
    assert health(world, "A", since=10.0) == ""
    assert world["A"].drops == []
    session = world["A"].engine.sessions[world["A"].latest]
    assert list(session.matrix._told) == ["B"]
    assert list(session.matrix._told[User("B")]) == ["A"]


def test_what_a_user_who_left_did_not_receive_does_not_count() -> None:
    world = counting("ABC")
    spoil(world, "AC", Stream(packets=VIDEO))
    world.run_until(10.0)
    world["C"].hang_up()
    world.run_until(20.0)
    assert health(world, "A").splitlines()[-1] == "10.010 HealthChanged DEGRADED>OK"


@pytest.mark.parametrize("received", [{User("X"): {}}, {User("B"): {}}, {**STALLED, User("X"): {}}])
def test_report_about_strangers_or_oneself_is_counted(received: dict[User, dict[MediaKind, Reception]]) -> None:
    world = counting("ABC")
    world.signal("B", "A", ReceptionReport(call=world["A"].latest, received=received))
    assert world["A"].drops == ["a report about users whom its sender cannot receive"]
    assert health(world) == ""


def test_report_of_a_stranger_is_counted() -> None:
    world = counting()
    world.signal("X", "A", ReceptionReport(call=world["A"].latest, received=STALLED))
    assert world["A"].drops == ["ReceptionReport of a user who is not in the call"]


def test_report_of_who_does_not_take_part_is_counted() -> None:
    world = counting("ABC")
    world["B"].hang_up()
    world.run(1.0)
    world.signal("B", "A", ReceptionReport(call=world["A"].latest, received=STALLED))
    assert world["A"].drops == ["a report of a user who does not take part"]
    assert health(world) == ""


def test_report_is_no_update() -> None:
    world = counting("ABC")
    world.run_until(10.0)
    assert world.events("A", ev.PeerUpdated, ev.Signal) == []


def test_call_that_ends_leaves_no_timer() -> None:
    world = counting("ABC")
    spoil(world, "BA", Stream(packets=VIDEO))
    world.run_until(5.2)
    for name in "ABC":
        world[name].hang_up()
    world.run(20.0)
    world.assert_silence()
