"""Candidates of ours that are found late are told as soon as the peer can use them, and not before."""

from __future__ import annotations

from qbcall.core import events as ev
from qbcall.core.effects import AddCandidates
from qbcall.core.model import User
from qbcall.core.signals import Accept, Candidates, RestartAnswer, RestartOffer
from qbcall.core.trickle import SETTLE_TIME
from tests.core.test_connection import connected
from tests.core.test_restarting import end_paths
from tests.core.world import World


def told(world: World, name: str) -> list[tuple[float, list[str]]]:
    """Candidates that a user sent: when, and which."""
    return [
        (at, [one.candidate.partition(":")[2] for one in signal.candidates])
        for at, _, signal in world[name].sent
        if isinstance(signal, Candidates)
    ]


def called(*finds: float, ice: float = 10.0) -> World:
    """A calls B, who accepts after a second; both find candidates so long after their offer or answer."""
    world = World("AB")
    world.media.finds = finds
    world.media.ice = ice
    world["A"].call("B")
    world.at(1.0, world["B"].accept)
    return world


def test_caller_tells_nothing_before_the_accept_and_then_all_at_once() -> None:
    """QB-066: QuickBlox's JS SDK ignores candidates before it accepted."""
    world = called(0.2, 0.5, 3.0)
    world.run_until(4.0)
    assert world.sent("A", Candidates)[0] == world.events("A", ev.PeerAccepted)[0][0] == 1.01
    assert told(world, "A") == [(1.01, ["A 1 0.2", "A 1 0.5"]), (3.0, ["A 1 3"])]


def test_callee_tells_them_once_the_caller_had_time_to_take_the_answer() -> None:
    world = called(0.01, 0.05, 0.5)
    world.run_until(4.0)
    assert told(world, "B") == [(1.0 + SETTLE_TIME, ["B 1 0.01", "B 1 0.05"]), (1.5, ["B 1 0.5"])]


def test_candidates_that_are_told_are_used() -> None:
    world = called(0.01)
    world.run_until(4.0)
    for name in "AB":
        used = [effect for effect in world[name].effects if isinstance(effect, AddCandidates)]
        assert [len(effect.candidates) for effect in used] == [1]
        assert world[name].drops == []


def test_nothing_is_told_where_nothing_was_found_or_a_path_is_known() -> None:
    world = called(0.5, ice=0.1)
    world.run_until(4.0)
    assert told(world, "A") == [(1.01, ["A 1 0.5"])]
    assert told(world, "B") == []
    assert world["A"].drops == world["B"].drops == []
    world = called(ice=10.0)
    world.run_until(4.0)
    assert told(world, "A") == told(world, "B") == []


def test_candidates_follow_an_accept_that_is_said_again() -> None:
    world = called(0.05)
    lost = [True]
    world.swallow = lambda sender, to, signal: isinstance(signal, Accept) and bool(lost) and lost.pop()
    world.run_until(9.0)
    assert world.sent("B", Accept) == [1.0, 5.01]
    assert [at for at, _ in told(world, "B")] == [1.1, 5.11]


def test_candidates_of_a_fresh_connection_are_told_likewise() -> None:
    """QB-112. B leads."""
    world = connected()
    world.media.finds = (0.003, 0.05, 0.3)
    world.run_until(10.05)
    end_paths(world)
    world.cut("A", "B")
    world.run_until(19.0)
    offered, answered = world.sent("B", RestartOffer), world.sent("A", RestartAnswer)
    assert (offered, answered) == ([17.6], [17.61])
    assert told(world, "B") == [(17.62, ["B 2 0.003"]), (17.65, ["B 2 0.05"]), (17.9, ["B 2 0.3"])]
    assert told(world, "A")[-2:] == [(17.71, ["A 3 0.003", "A 3 0.05"]), (17.91, ["A 3 0.3"])]


def test_candidates_of_a_connection_that_was_replaced_are_not_told() -> None:
    """They belong to another offer; the peer would try them in vain."""
    world = connected()
    world.media.finds = (8.0,)
    world.run_until(10.05)
    end_paths(world)
    world.cut("A", "B")
    world.run_until(28.0)
    assert [one for _, some in told(world, "B") for one in some] == []


def test_candidates_for_somebody_who_never_accepts_are_not_told() -> None:
    world = World("AB")
    world.media.finds = (0.2, 2.0)
    world["A"].call("B")
    world.run_until(100.0)
    assert told(world, "A") == []
    assert world.told("A", ev.PeerNoAnswer) == ["PeerNoAnswer B"]


def test_each_participant_is_told_those_of_its_own_connection() -> None:
    world = World("ABC")
    world.media.finds = (0.5,)
    world.media.ice = 10.0
    world["A"].call("BC")
    world.at(1.0, world["B"].accept)
    world.at(2.0, world["C"].accept)
    world.run_until(3.5)
    assert world.sent("A", Candidates, User("B")) == [1.01]
    assert world.sent("A", Candidates, User("C")) == [2.01]
