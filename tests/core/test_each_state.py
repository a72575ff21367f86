"""What may arrive at any time does the right thing in each state of a peer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qbcall.core import events as ev
from qbcall.core.effects import AddCandidates
from qbcall.core.inputs import (
    AnswerReady,
    IceChecking,
    IceConnected,
    IceFailed,
    Input,
    MediaBroke,
    MediaFlowing,
    RemoteTrack,
)
from qbcall.core.inputs import StatsRead as StatsWereRead
from qbcall.core.model import Candidate, Description, MediaKind, PeerState, StatsReport, User
from qbcall.core.signals import Accept, Candidates, Decline, End, Invite, RestartAnswer, RestartOffer, Update
from tests.core.world import World

UP = ("CONNECTING", "CHECKING", "CONNECTED", "DISCONNECTED", "FAILED")
ESTABLISHED = UP[2:]
LIVE = ("PENDING", *UP)


def fact(world: World, what: Callable[..., Input], **more: object) -> None:
    """Tell B a fact about the connection to A."""
    node = world["B"]
    peer = node.engine.sessions[node.latest].peers[User("A")]
    node.do(what(call=node.latest, peer=peer.user, epoch=peer.epochs.newest, **more))


def world_in(state: str) -> World:
    """A called B and C; the connection of B to A is in this state, the one to C waits."""
    world = World("ABC")
    world.media.ready = 0.005 if state == "CONNECTING" else 0.0
    world["A"].call("BC")
    world.run_until(1.0)
    if state == "PENDING":
        return world
    world["B"].accept()
    if state == "CONNECTING":
        world["B"].sent.clear()
        world.media.ice = 1000.0
        return world
    world.run(0.005 if state == "CHECKING" else 1.0)
    if state in ("DISCONNECTED", "FAILED"):
        if state == "FAILED":
            fact(world, IceFailed)
        world.cut("A", "B")
        world.run(4.0)
    assert world.states("B")["A"] == state
    return world


def signal(world: World, what: Callable[..., object], resource: str = "1", **fields: object) -> list[str]:
    """A signal of A arrives at B; what B is told of it."""
    before = len(world.told("B"))
    made = what(call=world["B"].latest, **fields)
    world.signal("A", "B", made, resource)  # type: ignore[arg-type]  # one of the signals
    assert world["B"].drops == []
    return world.told("B")[before:]


@pytest.mark.parametrize("state", LIVE)
def test_update_is_told(state: str) -> None:
    assert signal(world_in(state), Update, info={"k": "v"}) == ["PeerUpdated A k=v"]


@pytest.mark.parametrize("state", LIVE)
def test_hang_up_is_told(state: str) -> None:
    """QB-101."""
    assert signal(world_in(state), End)[:2] == ["PeerHungUp A", f"PeerStateChanged A {state}>HANG_UP"]


@pytest.mark.parametrize("state", LIVE)
def test_reject_of_the_device_that_takes_part_is_told(state: str) -> None:
    assert signal(world_in(state), Decline)[:2] == ["PeerRejected A DECLINED", f"PeerStateChanged A {state}>REJECTED"]


@pytest.mark.parametrize("state", LIVE)
def test_reject_of_another_device_is_quiet(state: str) -> None:
    assert signal(world_in(state), Decline, "2") == []


@pytest.mark.parametrize("state", UP)
def test_hang_up_of_another_device_counts_only_when_the_peer_is_lost(state: str) -> None:
    lost = state in ("DISCONNECTED", "FAILED")
    assert (signal(world_in(state), End, "2") != []) is lost


@pytest.mark.parametrize("state", ["PENDING", "CONNECTING", "CHECKING"])
def test_fresh_offers_are_quiet_until_it_was_up(state: str) -> None:
    world = world_in(state)
    assert signal(world, RestartOffer, offer_id="1", offer=Description("offer")) == []
    assert signal(world, RestartAnswer, offer_id="1", answer=Description("answer")) == []


@pytest.mark.parametrize("state", UP)
def test_candidates_are_used(state: str) -> None:
    world = world_in(state)
    assert signal(world, Candidates, candidates=(Candidate("candidate:1"),)) == []
    assert isinstance(world["B"].effects[-1], AddCandidates)


@pytest.mark.parametrize("state", UP)
def test_accept_out_of_place_is_quiet(state: str) -> None:
    assert signal(world_in(state), Accept, answer=Description("answer")) == []


@pytest.mark.parametrize("state", UP)
def test_repeated_invitation_is_answered_again_once_the_answer_is_made(state: str) -> None:
    world = world_in(state)
    head = world["B"].engine.sessions[world["B"].latest].head
    before = len(world.sent("B", Accept, "A"))
    for _ in range(2):
        assert signal(world, lambda call: Invite(head=head, offer=Description("again"))) == []
    assert len(world.sent("B", Accept, "A")) == (0 if state == "CONNECTING" else before + 2)


def test_repeated_invitation_is_answered_before_ice_checks() -> None:
    world = world_in("CONNECTING")
    fact(world, AnswerReady, answer=Description("answer"))
    head = world["B"].engine.sessions[world["B"].latest].head
    assert signal(world, lambda call: Invite(head=head, offer=Description("again"))) == []
    assert world.states("B")["A"] == "CONNECTING"
    assert len(world.sent("B", Accept, "A")) == 2


@pytest.mark.parametrize("state", UP)
def test_invitation_of_who_accepted_is_quiet(state: str) -> None:
    """A invited B, who accepted: an invitation of B makes no sense then, and does no harm."""
    world = World("AB")
    call = world["A"].call("B")
    world.run_until(1.0)
    world.signal("B", "A", Accept(call=call, answer=Description("answer")))
    peer = world["A"].engine.sessions[call].peers[User("B")]
    for what, last in ((IceChecking, "CHECKING"), (IceConnected, "CONNECTED"), (IceFailed, "FAILED")):
        if peer.state.name == state:
            break
        if last != "FAILED" or state == "FAILED":
            world["A"].do(what(call=call, peer=peer.user, epoch=peer.epochs.newest))
    if state in ("DISCONNECTED", "FAILED"):
        world.run(3.5)
    assert peer.state.name == state
    told = len(world["A"].told)
    world.signal("B", "A", Invite(head=world["A"].engine.sessions[call].head, offer=Description("odd")))
    assert len(world["A"].told) == told
    assert world["A"].drops == []


@pytest.mark.parametrize("state", UP)
def test_own_update_is_sent(state: str) -> None:
    world = world_in(state)
    world["B"].update({"k": "v"})
    assert [to for _, to, made in world["B"].sent if isinstance(made, Update)] == ["A"]


@pytest.mark.parametrize("state", ESTABLISHED)
def test_late_facts_of_the_media_are_quiet(state: str) -> None:
    world = world_in(state)
    before = len(world.told("B"))
    fact(world, IceChecking)
    fact(world, IceConnected)
    fact(world, MediaBroke, error="late")
    fact(world, RemoteTrack, kind=MediaKind.AUDIO)
    assert len(world.told("B")) == before
    fact(world, StatsWereRead, report=StatsReport())
    assert world.told("B")[before:] == ["Stats A"]
    assert world["B"].drops == []


@pytest.mark.parametrize("state", ESTABLISHED)
def test_track_that_comes_late_is_told(state: str) -> None:
    world = world_in(state)
    peer = world["B"].engine.sessions[world["B"].latest].peers[User("A")]
    peer._tracks.clear()
    world["B"].watch._once.clear()
    fact(world, RemoteTrack, kind=MediaKind.AUDIO)
    assert world.told("B")[-1] == "AudioTrackAdded A AUDIO"


@pytest.mark.parametrize("state", ["CONNECTING", "CHECKING"])
def test_packets_before_the_connection_are_quiet(state: str) -> None:
    world = world_in(state)
    fact(world, MediaFlowing)
    assert world["B"].drops == []
    assert world.states("B")["A"] == state


@pytest.mark.parametrize("state", ["CONNECTING", "CHECKING"])
def test_path_that_fails_while_it_is_made_ends_the_peer(state: str) -> None:
    """QB-124."""
    world = world_in(state)
    world.cut("A", "B")
    fact(world, IceFailed)
    world.run(1.0)
    assert world.told("B", ev.PeerFailed) == ["PeerFailed A CHECKING>FAILED"]
    assert world.states("B")["A"] == "CLOSED"


def test_answer_that_never_comes_ends_the_peer_in_time() -> None:
    """QB-124: the media hang."""
    world = World("AB")
    world["A"].call("B")
    world.run_until(1.0)
    world.media.ready = 1000.0
    world["B"].accept()
    world.run_until(32.0)
    assert world.told("B", ev.PeerFailed) == ["PeerFailed A CONNECTING>FAILED"]
    assert [at for at, _ in world.events("B", ev.PeerFailed)] == [31.0]
    assert world.told("A", ev.PeerRejected) == ["PeerRejected B UNSUPPORTED"]


def test_connection_before_the_answer_of_a_merged_call_skips_a_step() -> None:
    """QB-087."""
    world = World("AB")
    world["A"].call("B")
    world["B"].call("A")
    world.run_until(0.005)
    world.media.ready = 1.0
    world.run_until(0.02)
    node = world["A"]
    peer = node.engine.sessions[node.latest].peers[User("B")]
    node.do(IceConnected(call=node.latest, peer=peer.user, epoch=peer.epochs.newest))
    assert world.told("A")[-1] == "CallStateChanged PENDING>CONNECTED"


@pytest.mark.parametrize(
    "made",
    [
        lambda call: Accept(call=call, answer=Description("answer")),
        lambda call: Decline(call=call),
        lambda call: End(call=call),
        lambda call: Update(call=call, info={}),
        lambda call: Candidates(call=call, candidates=()),
    ],
)
def test_nobody_can_touch_a_call_that_was_not_started(made: Callable[..., End]) -> None:
    world = World("AB")
    call = world["A"].create("B")
    world.signal("B", "A", made(call))
    assert world.told("A") == []
    assert world["A"].drops == [f"{type(made(call)).__name__} in state NEW"]
    assert world.states("A") == {"B": PeerState.NEW.name}
