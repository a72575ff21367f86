"""Accepting, and what is said in a call: acceptance section 4."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qbcall.core import events as ev
from qbcall.core.effects import AddCandidates
from qbcall.core.epochs import MAX_CANDIDATES
from qbcall.core.inputs import IceChecking, MediaBroke
from qbcall.core.model import CallMedia, Candidate, DeclineReason, Description, Epoch, User
from qbcall.core.policy import Policy
from qbcall.core.signals import Accept, Candidates, Decline, Invite, RestartAnswer, RestartOffer
from qbcall.errors import InvalidState
from tests.core.told import lines
from tests.core.world import World


def ringing(policy: Policy | None = None) -> World:
    """A calls B, and B rings."""
    world = World("AB", policy=policy)
    world["A"].call("B")
    world.run_until(1.0)
    return world


def connected(policy: Policy | None = None) -> World:
    """A called B, B accepted."""
    world = ringing(policy)
    world["B"].accept()
    world.run_until(2.0)
    assert world.states("A") == {"B": "CONNECTED"}
    return world


def test_accept_is_told_once_and_before_the_connection() -> None:
    """QB-060."""
    world = ringing()
    world["B"].accept(info={"k": "v"})
    world.run(1.0)
    assert world.told("A", ev.PeerAccepted, ev.PeerConnected) == [
        "PeerAccepted B k=v",
        "PeerConnected B CHECKING>CONNECTED",
    ]


def test_lost_accept_is_sent_again_and_told_once() -> None:
    """QB-060."""
    world = ringing()
    world.swallow = lambda sender, to, signal: isinstance(signal, Accept) and world.now < 7.0
    world["B"].accept(info={"k": "v"})
    world.run_until(20.0)
    assert world.sent("B", Accept) == [1.0, 5.01, 10.01]
    assert world.told("A", ev.PeerAccepted) == ["PeerAccepted B k=v"]
    assert world.states("A") == {"B": "CONNECTED"}
    assert world.states("B") == {"A": "CONNECTED"}


def test_repeated_accept_changes_nothing() -> None:
    """QB-061: also one that comes twice."""
    world = connected()
    before = len(world["A"].told)
    call = world["A"].latest
    world.signal("B", "A", Accept(call=call, answer=Description("another")))
    assert len(world["A"].told) == before
    assert world["A"].drops == []


def test_accepting_twice_is_refused() -> None:
    """QB-061."""
    world = ringing()
    world["B"].accept()
    with pytest.raises(InvalidState, match="accept: not possible for an incoming call that is connecting"):
        world["B"].accept()
    world.run(1.0)
    assert world.sent("B", Accept) == [1.0]


def test_accepting_a_closed_call_is_refused() -> None:
    """QB-062."""
    world = ringing()
    world["A"].hang_up()
    world.run(1.0)
    with pytest.raises(InvalidState, match="is over"):
        world["B"].accept()
    world.run(10.0)
    world.assert_silence()


def test_accept_that_crosses_the_cancel_ends_on_both_sides() -> None:
    """QB-063."""
    world = ringing()
    world["A"].hang_up()
    world["B"].accept()
    world.run(10.0)
    assert world.told("A", ev.PeerAccepted) == []
    assert world.told("A", ev.CallClosed) == ["CallClosed HUNG_UP"]
    assert world.story("B", since=1.0) == lines("""
        1.000 PeerConnecting A PENDING>CONNECTING
        1.000 CallStateChanged PENDING>CONNECTING
        1.000 PeerStateChanged A CONNECTING>CHECKING
        1.010 PeerHungUp A
        1.010 PeerStateChanged A CHECKING>HANG_UP
        1.010 PeerClosed A HANG_UP>CLOSED REMOTE_HUNG_UP
        1.010 CallStateChanged CONNECTING>CLOSED
        1.010 CallClosed REMOTE_HUNG_UP
    """)
    world.assert_silence()


def test_accept_that_comes_after_the_lost_cancel_hears_that_it_is_over() -> None:
    """QB-063."""
    world = ringing()
    world.swallow = lambda sender, to, signal: world.now < 1.5
    world["A"].hang_up()
    world.run(1.0)
    world["B"].accept()
    world.run(1.0)
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
    world.assert_silence()


def test_answer_that_cannot_be_made_rejects_the_call_without_details() -> None:
    world = ringing()
    world.media.broken.add(User("B"))
    world["B"].accept()
    world.run(1.0)
    assert world.told("A", ev.PeerRejected) == ["PeerRejected B UNSUPPORTED"]
    assert world.story("B", since=1.0) == lines("""
        1.000 PeerConnecting A PENDING>CONNECTING
        1.000 CallStateChanged PENDING>CONNECTING
        1.000 PeerFailed A CONNECTING>FAILED
        1.000 PeerClosed A FAILED>CLOSED MEDIA_FAILED
        1.000 CallStateChanged CONNECTING>CLOSED
        1.000 CallClosed MEDIA_FAILED
    """)
    assert [signal for _, _, signal in world["B"].sent] == [
        Decline(call=world["B"].latest, reason=DeclineReason.UNSUPPORTED)
    ]
    world.assert_silence()


def test_offer_that_cannot_be_used_is_rejected_with_the_reason() -> None:
    world = ringing()
    world.media.ready = 1000.0
    world["B"].accept()
    call = world["B"].latest
    error = "no common codec"
    world["B"].do(MediaBroke(call=call, peer=User("A"), epoch=Epoch(1), error=error, theirs=True))
    world.run(1.0)
    assert world.told("A", ev.PeerRejected) == ["PeerRejected B reason=no common codec UNSUPPORTED"]


def test_answer_that_is_made_while_ice_checks_is_sent() -> None:
    world = ringing()
    world.media.ready = 0.5
    world["B"].accept()
    world.run(0.4)
    peer = world["B"].engine.sessions[world["B"].latest].peers[User("A")]
    world["B"].do(IceChecking(call=world["B"].latest, peer=User("A"), epoch=peer.epochs.newest))
    assert peer.state.name == "CHECKING"
    world.run(1.0)
    assert world.states("A") == {"B": "CONNECTED"}


def test_candidates_wait_until_they_can_be_used() -> None:
    world = ringing()
    call = world["A"].latest
    early = Candidates(call=call, candidates=(Candidate("early", "0", 0),))
    world.signal("A", "B", early)
    world.signal("B", "A", early)
    assert [effect for effect in world["B"].effects if isinstance(effect, AddCandidates)] == []
    world["B"].accept()
    world.run(1.0)
    world.signal("A", "B", Candidates(call=call, candidates=(Candidate("late"),)))
    used = [effect.candidates for effect in world["B"].effects if isinstance(effect, AddCandidates)]
    assert used == [(Candidate("early", "0", 0),), (Candidate("late"),)]
    assert [effect.candidates for effect in world["A"].effects if isinstance(effect, AddCandidates)] == [
        (Candidate("early", "0", 0),)
    ]


@pytest.mark.parametrize("world", [ringing, connected])
def test_flood_of_candidates_is_cut_off(world: Callable[[], World]) -> None:
    """QB-049."""
    flooded = world()
    call = flooded["A"].latest
    for _ in range(100):
        flooded.signal("A", "B", Candidates(call=call, candidates=(Candidate("one"),) * 7))
    if flooded.states("B") == {"A": "PENDING"}:
        flooded["B"].accept()
    used = [effect.candidates for effect in flooded["B"].effects if isinstance(effect, AddCandidates)]
    assert sum(len(some) for some in used) == MAX_CANDIDATES
    assert set(flooded["B"].drops) == {f"more than {MAX_CANDIDATES} candidates"}


def test_update_reaches_who_is_connected_only() -> None:
    world = World("ABC")
    world["A"].call("BC")
    world.run(1.0)
    world["A"].update({"early": "1"})
    world["B"].accept()
    world.run(1.0)
    world["A"].update({"to": "all"})
    world["A"].update({"to": "B"}, "B")
    world["B"].update({"to": "A"}, "A")
    world.run(1.0)
    assert world.told("B", ev.PeerUpdated) == ["PeerUpdated A to=all", "PeerUpdated A to=B"]
    assert world.told("A", ev.PeerUpdated) == ["PeerUpdated B to=A"]
    assert world.told("C", ev.PeerUpdated) == []


def test_update_to_a_stranger_is_refused() -> None:
    world = connected()
    with pytest.raises(ValueError, match="C is not in the call"):
        world["A"].update({}, "C")


def test_fresh_offer_before_the_first_was_answered_is_quiet() -> None:
    """QB-120."""
    world = ringing()
    call = world["A"].latest
    before = len(world["B"].told)
    world.signal("A", "B", RestartOffer(call=call, offer_id="1", offer=Description("offer")))
    world.signal("A", "B", RestartAnswer(call=call, offer_id="1", answer=Description("answer")))
    assert len(world["B"].told) == before
    assert world["B"].drops == []


def test_newest_offer_is_answered() -> None:
    """QB-041: the copies of an invitation may differ, e.g. in their candidates."""
    world = ringing()
    call = world["A"].latest
    head = world["B"].engine.sessions[call].head
    world.signal("A", "B", Invite(head=head, offer=Description("newer")))
    world["B"].accept()
    world.run(1.0)
    (accept,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, Accept)]
    assert " to newer\n" in accept.answer.sdp


def test_audio_call_has_no_picture() -> None:
    """QB-134, QB-135."""
    for media, kinds in ((CallMedia.AUDIO, ["AUDIO"]), (CallMedia.VIDEO, ["AUDIO", "VIDEO"])):
        world = World("AB")
        world["A"].call("B", media=media)
        world["B"].on(ev.IncomingCall, world["B"].accept)
        world.run(1.0)
        for name in "AB":
            told = [event.kind.name for _, event in world[name].told if isinstance(event, ev.TrackAdded)]
            assert told == kinds
