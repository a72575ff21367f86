"""What holds in every world: random users on random networks, each world from its seed.

`Watch` checks every effect on the way: states only move forward, none is told twice, each call ends once and nothing
follows, each peer connection is opened and closed once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from qbcall.core import events as ev
from qbcall.core.inputs import GoOnline
from qbcall.core.model import CallId, PeerState, User
from qbcall.core.policy import Policy
from qbcall.errors import LinkError, UsageError
from tests.core.world import Node, Wire, World

QUIET = 200.0
"""Seconds after which every timer of every call has fallen due."""


def some_call(node: Node, random: Random) -> CallId:
    """A call the user knows, or none."""
    return random.choice([*node.engine.sessions, CallId("none")])


def attempt(doing: Callable[[], object]) -> Callable[[], None]:
    """A wish that may be refused."""

    def carefully() -> None:
        with suppress(UsageError, LinkError):
            doing()

    return carefully


def wishes(world: World, node: Node, random: Random) -> list[Callable[[], object]]:
    """What a user may want."""
    others = [name for name in world.nodes if name != node.device]
    callees = [name[0] for name in random.sample(others, random.randint(1, len(others)))]
    info = {"n": str(random.random())}
    return [
        lambda: node.call(callees, info),
        lambda: node.create(callees),
        *[lambda: node.accept(some_call(node, random), info)] * 6,
        lambda: node.reject(some_call(node, random), info),
        lambda: node.hang_up(some_call(node, random), info),
        lambda: node.update(info, random.choice([None, others[0][0], "X"]), some_call(node, random)),
    ]


def faults(world: World, node: Node, random: Random) -> list[Callable[[], object]]:
    """What may go wrong, and become right again."""
    name = node.user
    other = User(random.choice([other for other in world.nodes if other != node.device])[0])
    return [
        lambda: world.unlink(name),
        lambda: world.relink(name),
        lambda: world.cut(name, other),
        lambda: world.heal(name, other),
        lambda: world.silent.add(name),
        world.silent.clear,
        lambda: world.media.broken.add(name),
        world.media.broken.clear,
        lambda: world.go_offline(name),
        lambda: node.do(GoOnline()),
        lambda: setattr(node, "resource", f"{name}/{random.random()}"),
    ]


def chaos(seed: int, *, kill: bool) -> World:
    """A world in which everything happens for two minutes, and which is left alone then."""
    random = Random(seed)
    wire = Wire(
        jitter=random.choice((0.0, 0.1, 6.0)),
        loss=random.choice((0.0, 0.1, 0.3)),
        repeat=random.choice((0.0, 0.3)),
    )
    policy = Policy(stats_interval=random.choice((0.0, 3.0)), reject_when_busy=random.random() < 0.2)
    world = World("ABCD"[: random.randint(2, 4)], policy=policy, wire=wire, seed=seed)
    world.media.ready = random.choice((0.0, 0.3, 2.0))
    for _ in range(60):
        node = random.choice(list(world.nodes.values()))
        kinds = wishes(world, node, random) * 2 + faults(world, node, random)
        world.at(random.uniform(0.0, 120.0), attempt(random.choice(kinds)))
    if kill:
        world.at(random.uniform(0.0, 120.0), lambda: world.kill("B"))
    world.run_until(120.0)
    world.unlinked.clear()
    world.cuts.clear()
    world.silent.clear()
    world.run(QUIET)
    return world


@pytest.mark.parametrize("seed", range(80))
def test_both_ends_of_each_pair_agree_after_chaos(seed: int) -> None:
    world = chaos(seed, kill=False)
    seen = {
        (call, node.user, user): peer.state
        for node in world.nodes.values()
        for call, session in node.engine.sessions.items()
        for user, peer in session.peers.items()
    }
    for (call, user, other), state in seen.items():
        if state not in (PeerState.NEW, PeerState.CLOSED):
            assert state is PeerState.CONNECTED
            assert seen.get((call, other, user)) is PeerState.CONNECTED


@pytest.mark.parametrize("seed", range(80, 140))
def test_nothing_is_left_after_chaos(seed: int) -> None:
    world = chaos(seed, kill=True)
    for node in world.nodes.values():
        for call in list(node.engine.sessions):
            node.hang_up(call)
    world.run(QUIET)
    world.assert_silence()
    for node in world.nodes.values():
        if node.alive:
            assert node.watch.calls_left == set()


@pytest.mark.parametrize("seed", range(40))
def test_healthy_network_causes_no_alarm(seed: int) -> None:
    random = Random(seed)
    users = "ABCD"[: random.randint(2, 4)]
    world = World(
        users, wire=Wire(delay=random.choice((0.0, 0.05, 0.3)), repeat=random.choice((0.0, 0.3))), seed=seed
    )
    world.media.ready = random.choice((0.0, 0.3, 1.0))
    world.media.ice = random.choice((0.0, 0.1, 1.0))
    world["A"].call(users[1:])
    for name in users[1:]:
        world.at(random.uniform(1.0, 40.0), world[name].accept)
    world.run_until(100.0)
    for name in users:
        assert set(world.states(name).values()) == {"CONNECTED"}
        assert world[name].drops == []
        assert world.events(name, ev.PeerDisconnected, ev.PeerFailed, ev.ReconnectionChanged, ev.PeerNoAnswer) == []
    for name in users:
        world[name].hang_up()
        world.run(1.0)
    world.assert_silence()
    assert {drop for name in users for drop in world[name].drops} == set()


def pairs_found(seed: int, loss: float) -> int:
    """How many ends of the six pairs of four users are connected after the answer interval."""
    world = World("ABCD", wire=Wire(loss=loss, repeat=0.1, jitter=0.5), seed=seed)
    for name in "BCD":
        world[name].on(ev.IncomingCall, world[name].accept, after=1.0)
    world["A"].call("BCD")
    world.run_until(46.0)
    return sum([*world.states(name).values()].count("CONNECTED") for name in "ABCD")


@pytest.mark.parametrize("seed", range(20))
def test_some_lost_signals_cost_no_pair(seed: int) -> None:
    assert pairs_found(seed, loss=0.15) == 12


def test_many_lost_signals_cost_hardly_a_pair() -> None:
    """Three in ten: an invitation and its accept both pass every second time, and there are six tries in 30 s."""
    assert sum(pairs_found(seed, loss=0.3) for seed in range(25)) >= 0.95 * 12 * 25


@pytest.mark.parametrize("seed", range(20))
def test_short_cuts_do_not_cost_a_pair(seed: int) -> None:
    random = Random(seed)
    world = World("ABC", seed=seed)
    for name in "BC":
        world[name].on(ev.IncomingCall, world[name].accept)
    world["A"].call("BC")
    world.run_until(5.0)
    for _ in range(4):
        one, other = random.sample("ABC", 2)
        world.cut(one, other)
        world.unlink(one)
        world.run(random.uniform(1.0, 25.0))
        world.heal(one, other)
        world.relink(one)
        world.run(10.0)
    for name in "ABC":
        assert set(world.states(name).values()) == {"CONNECTED"}
        assert world.events(name, ev.PeerReconnectFailed) == []
