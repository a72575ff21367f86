"""Making a lost connection anew: acceptance section 7. B's name is the higher one, so B leads."""

from __future__ import annotations

import pytest

from qbcall.core import events as ev
from qbcall.core.effects import AcceptOffer, AddCandidates, ApplyAnswer, CloseMedia, CreateOffer
from qbcall.core.inputs import IceChecking, IceConnected, IceFailed, MediaBroke, MediaFlowing
from qbcall.core.model import Candidate, Description, Epoch, User
from qbcall.core.policy import Policy
from qbcall.core.signals import Candidates, End, RestartAnswer, RestartOffer, Signal
from tests.core.test_connection import connected, fact
from tests.core.told import lines
from tests.core.world import STALL, World


def cut_off(users: str = "AB", *, answers: bool = True) -> World:
    """A and B are connected and lose each other for good after 10 seconds, the chat goes on."""
    world = connected(users)
    world.swallow = lambda sender, to, signal: isinstance(signal, RestartAnswer) and not answers
    world.run_until(10.05)
    end_paths(world)
    world.cut("A", "B")
    return world


def end_paths(world: World) -> None:
    """The present connections never come back; fresh ones may."""
    for connection in world.media.open.values():
        if {connection.user, connection.peer} == {"A", "B"}:
            connection.other = None


def test_lost_connection_is_made_anew() -> None:
    """QB-110, QB-112: the chat is up; both sides notice, the leading one's offer counts."""
    world = cut_off()
    world.at(17.0, lambda: world.heal("A", "B"))
    world.run_until(60.0)
    told = lines("""
        12.600 PeerDisconnected {0} CONNECTED>DISCONNECTED
        12.600 PeerReconnecting {0}
        17.710 PeerConnected {0} DISCONNECTED>CONNECTED
        17.710 PeerReconnected {0} 5.11 {1}
    """)
    assert world.story("B", since=2.0) == told.format("A", 1)
    assert world.story("A", since=2.0) == told.format("B", 2)
    assert world.sent("B", RestartOffer) == world.sent("A", RestartOffer) == [17.6]
    assert world.sent("A", RestartAnswer) == [17.61]
    assert world.sent("B", RestartAnswer) == []


def test_fresh_connection_tells_no_track_again() -> None:
    """QB-121."""
    world = cut_off()
    world.run_until(12.0)
    world.heal("A", "B")
    world.run_until(60.0)
    assert len(world.events("A", ev.PeerReconnected)) == 1
    assert len(world.events("A", ev.TrackAdded)) == 2


def test_lost_connection_is_closed_once_the_fresh_one_is_up() -> None:
    world = cut_off()
    world.run_until(17.7)
    world.heal("A", "B")
    world.run_until(60.0)
    media = (CreateOffer, AcceptOffer, ApplyAnswer, CloseMedia)
    assert [(type(effect), effect.epoch) for effect in world["B"].effects if isinstance(effect, media)] == [
        (AcceptOffer, 1),
        (CreateOffer, 2),
        (ApplyAnswer, 2),
        (CloseMedia, 1),
    ]


def test_attempt_that_fails_is_made_again_with_a_fresh_offer() -> None:
    """QB-114: QuickBlox's SDK drops its connection at each offer, so none is sent twice."""
    world = cut_off()
    world.run_until(41.0)
    offers = [signal for _, _, signal in world["B"].sent if isinstance(signal, RestartOffer)]
    assert world.sent("B", RestartOffer) == [17.6, 22.62, 27.64, 32.66, 37.68]
    assert len({offer.offer_id for offer in offers}) == len({offer.offer.sdp for offer in offers}) == 5
    world.run_until(60.0)
    assert world.told("B", ev.ReconnectionChanged) == ["PeerReconnecting A", "PeerReconnectFailed A"]
    assert world.told("B", ev.CallClosed) == ["CallClosed DISCONNECT_TIMEOUT"]
    assert world.sent("B", End) == [42.6]
    world.assert_silence()


def test_offer_of_who_yields_is_a_request_for_one() -> None:
    """QB-118: A lost B; B hears A still, and leads."""
    world = connected()
    world.run_until(5.0)
    world.signal("A", "B", RestartOffer(call=world["A"].latest, offer_id="1", offer=Description("please")))
    world.run(1.0)
    assert world.sent("B", RestartAnswer) == []
    assert world.story("B", since=5.0) == lines("""
        5.000 PeerReconnecting A
        5.110 PeerReconnected A 0.11 1
    """)
    assert world.story("A", since=5.0) == lines("""
        5.010 PeerReconnecting B
        5.110 PeerReconnected B 0.1 1
    """)
    assert world.states("A") == {"B": "CONNECTED"}


def test_fresh_connection_that_replaces_a_good_one_has_time_for_its_first_packet() -> None:
    world = connected(policy=Policy(stall_timeout=0.6))
    world.run_until(5.6)
    world.signal("A", "B", RestartOffer(call=world["A"].latest, offer_id="1", offer=Description("please")))
    world.run(10.0)
    assert world.told("B", ev.PeerDisconnected) == []
    assert world.told("B", ev.ReconnectionChanged) == ["PeerReconnecting A", "PeerReconnected A 0.11 1"]


def test_loss_that_only_one_side_notices_first_is_healed_by_either() -> None:
    """QB-112, QB-118: a follower asks at the end of its grace, a leader offers then."""
    for first, second in ("AB", "BA"):
        world = connected()
        for connection in world.media.open.values():
            if connection.user == first:
                connection.other = None  # hears nothing more, is heard
        world.run_until(40.0)
        for name in "AB":
            assert len(world.events(name, ev.PeerReconnected)) == 1, (first, second)
        assert world.states("A") == {"B": "CONNECTED"}


def test_grace_ends_when_the_other_side_offers() -> None:
    """QB-112: both roles, the other side noticed earlier."""
    for name, other, kind in (("A", "B", AcceptOffer), ("B", "A", CreateOffer)):
        world = cut_off()
        world.run_until(13.0)
        world.signal(other, name, RestartOffer(call=world["A"].latest, offer_id="1", offer=Description("offer")))
        assert isinstance(world[name].effects[-1], kind)


def test_newer_offer_of_the_leader_replaces_the_older_one() -> None:
    world = cut_off()
    world.run_until(18.0)
    world.signal("B", "A", RestartOffer(call=world["A"].latest, offer_id="new", offer=Description("newer")))
    answers = [signal for _, _, signal in world["A"].sent if isinstance(signal, RestartAnswer)]
    world.run(0.1)
    answers = [signal for _, _, signal in world["A"].sent if isinstance(signal, RestartAnswer)]
    assert answers[-1].offer_id == "new"
    assert " to newer\n" in answers[-1].answer.sdp


def test_request_while_the_own_offer_is_on_its_way_is_quiet() -> None:
    """QB-118."""
    world = cut_off()
    world.run_until(17.605)
    before = len(world["B"].effects)
    world.signal("A", "B", RestartOffer(call=world["A"].latest, offer_id="1", offer=Description("please")))
    assert len(world["B"].effects) == before


@pytest.mark.parametrize("offer_id", ["stale", "answered"])
def test_answer_that_fits_no_waiting_offer_is_quiet(offer_id: str) -> None:
    """QB-119: of an older offer, or the second one to the same."""
    world = cut_off()
    world.run_until(18.0)
    (offer,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, RestartOffer)]
    applied = [effect for effect in world["B"].effects if isinstance(effect, ApplyAnswer)]
    assert len(applied) == 1
    number = offer.offer_id if offer_id == "answered" else "0"
    world.signal("A", "B", RestartAnswer(call=world["A"].latest, offer_id=number, answer=Description("answer")))
    assert [effect for effect in world["B"].effects if isinstance(effect, ApplyAnswer)] == applied
    assert world["B"].drops == []


def test_answer_out_of_the_blue_is_quiet() -> None:
    """QB-119, QB-120: connected, and lost for less than the grace."""
    world = cut_off()
    for until in (11.0, 14.0):
        world.run_until(until)
        before = len(world["B"].told)
        world.signal("A", "B", RestartAnswer(call=world["A"].latest, offer_id="1", answer=Description("answer")))
        assert len(world["B"].told) == before
    assert world["B"].drops == []


def test_fresh_offer_of_another_device_is_quiet_while_the_first_is_connected() -> None:
    """A device that accepted too late has no connection, and may try to make one."""
    world = connected()
    before = len(world["B"].effects)
    offer = RestartOffer(call=world["A"].latest, offer_id="1", offer=Description("offer"))
    world.signal("A", "B", offer, resource="2")
    assert len(world["B"].effects) == before
    world.run(10.0)
    assert world.states("B") == {"A": "CONNECTED"}


def test_fresh_offer_of_a_device_that_logged_in_again_is_taken_once_it_is_lost() -> None:
    world = cut_off()
    world.run_until(13.0)
    world["B"].resource = world["B"].device.__class__("B/new")
    offer = Description("offer\na=fingerprint:sha-256 B/1")
    world.signal("B", "A", RestartOffer(call=world["A"].latest, offer_id="1", offer=offer), "new")
    assert isinstance(world["A"].effects[-1], AcceptOffer)
    assert world["A"].engine.sessions[world["A"].latest].peers[User("B")].device == "B/new"


STRANGE = (
    Description("offer\na=fingerprint:sha-256 other"),
    Description("offer\na=fingerprint:sha-256 B/1\na=fingerprint:sha-256 other"),
    Description("offer"),
)
"""Of other keys, of some other keys, of no keys."""
NOT_TRUSTED = [
    "PeerReconnectFailed B",
    "PeerFailed B DISCONNECTED>FAILED",
    "PeerClosed B FAILED>CLOSED SECURITY",
    "ParticipantLeft B SECURITY",
    "CallStateChanged CONNECTED>CLOSED",
    "CallClosed SECURITY",
]


@pytest.mark.parametrize("offer", STRANGE)
@pytest.mark.parametrize("until", [13.0, 18.5])
def test_fresh_offer_of_another_device_with_other_keys_ends_it(offer: Description, until: float) -> None:
    """In the grace, and while it is made anew."""
    world = cut_off()
    world.run_until(until)
    before = len(world.told("A"))
    world.signal("B", "A", RestartOffer(call=world["A"].latest, offer_id="1", offer=offer), "2")
    assert world.told("A")[before:] == NOT_TRUSTED
    assert isinstance(world["A"].sent[-1][2], End)
    assert world["A"].watch.media == {}


def test_answer_of_another_device_with_other_keys_ends_it() -> None:
    world = cut_off(answers=False)
    world.run_until(18.0)
    (made,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, RestartOffer)]
    world.signal("A", "B", RestartAnswer(call=world["A"].latest, offer_id="stale", answer=STRANGE[0]), "2")
    assert world.states("B") == {"A": "DISCONNECTED"}
    world.signal("A", "B", RestartAnswer(call=world["A"].latest, offer_id=made.offer_id, answer=STRANGE[0]), "2")
    assert world.told("B", ev.CallClosed) == ["CallClosed SECURITY"]


def test_answer_of_a_program_that_began_anew_may_have_other_keys_only_while_the_user_is_lost() -> None:
    world = connected()
    world.swallow = lambda sender, to, signal: isinstance(signal, RestartAnswer)
    world.run_until(10.05)
    world.cut("A", "B")
    world.run_until(18.0)
    world.heal("A", "B")
    world.run_until(20.0)
    assert world.states("B") == {"A": "CONNECTED"}
    made = [signal for _, _, signal in world["B"].sent if isinstance(signal, RestartOffer)][-1]
    answer = RestartAnswer(call=world["A"].latest, offer_id=made.offer_id, answer=STRANGE[0], anew=True)
    world.signal("A", "B", answer, "2")
    assert world.told("B", ev.CallClosed) == ["CallClosed SECURITY"]


def test_fresh_answer_of_the_device_that_takes_part_may_have_other_keys() -> None:
    """Browsers make keys for each connection."""
    world = cut_off(answers=False)
    world.run_until(18.0)
    (made,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, RestartOffer)]
    answer = Description("answer\na=fingerprint:sha-256 other")
    world.signal("A", "B", RestartAnswer(call=world["A"].latest, offer_id=made.offer_id, answer=answer))
    assert isinstance(world["B"].effects[-1], ApplyAnswer)
    assert world["B"].engine.sessions[world["A"].latest].peers[User("A")].pins == {"sha-256 other"}


def test_fresh_offer_that_ends_it_may_come_while_the_old_connection_works_again() -> None:
    world = connected()
    world.swallow = lambda sender, to, signal: isinstance(signal, RestartAnswer)
    world.run_until(10.05)
    world.cut("A", "B")
    world.run_until(18.0)
    world.heal("A", "B")
    world.run_until(20.0)
    assert world.states("A") == {"B": "CONNECTED"}
    world.signal("B", "A", RestartOffer(call=world["A"].latest, offer_id="1", offer=STRANGE[0]), "2")
    assert world.told("A", ev.CallClosed) == ["CallClosed SECURITY"]


def test_fresh_offer_under_a_new_name_is_taken_before_the_loss_is_noticed() -> None:
    world = connected()
    offer = Description("offer\na=fingerprint:sha-256 A/1")
    world.signal("A", "B", RestartOffer(call=world["A"].latest, offer_id="1", offer=offer), resource="2")
    assert world.told("B", ev.ReconnectionChanged) == ["PeerReconnecting A"]


def test_candidates_of_the_fresh_connection_go_to_it() -> None:
    world = cut_off()
    world.run_until(18.0)
    peer = world["A"].engine.sessions[world["A"].latest].peers[User("B")]
    world.signal("B", "A", Candidates(call=world["A"].latest, candidates=(Candidate("candidate:1"),)))
    added = world["A"].effects[-1]
    assert isinstance(added, AddCandidates)
    assert added.epoch == peer.epochs.fresh


def test_candidates_after_an_attempt_that_was_given_up_go_to_the_old_connection() -> None:
    world = resumed()
    world.signal("B", "A", Candidates(call=world["A"].latest, candidates=(Candidate("candidate:1"),)))
    added = world["A"].effects[-1]
    assert isinstance(added, AddCandidates)
    assert added.epoch == 1


def resumed() -> World:
    """The old connection came back while no fresh one could be made."""
    world = connected()
    world.run_until(10.05)
    world.cut("A", "B")
    world.silent |= {User("A")}
    world.run_until(20.05)
    world.heal("A", "B")
    world.run_until(40.0)
    return world


def test_lost_connection_that_comes_back_while_the_chat_is_gone_goes_on() -> None:
    """QB-113, VR-018: no fresh one could be made, and none was needed."""
    world = resumed()
    assert world.story("A", since=2.0) == lines("""
        12.600 PeerDisconnected B CONNECTED>DISCONNECTED
        12.600 PeerReconnecting B
        20.100 PeerConnected B DISCONNECTED>CONNECTED
        22.600 PeerReconnected B 10 0
    """)
    assert [len(epochs) for node in world.nodes.values() for epochs in node.watch.media.values()] == [1, 1]


def test_chat_that_comes_back_later_carries_the_next_offer() -> None:
    """QB-113."""
    world = cut_off()
    world.run_until(16.0)
    world.unlink("B")
    world.heal("A", "B")
    world.run_until(28.0)
    world.relink("B")
    world.run_until(60.0)
    (back,) = [at for at, _ in world.events("B", ev.PeerReconnected)]
    assert 28.0 < back < 42.6
    assert world.states("A") == {"B": "CONNECTED"}


def test_connection_that_works_again_when_the_interval_ends_goes_on() -> None:
    """QB-114: the interval ends in the middle of an attempt."""
    world = connected(policy=Policy(stall_timeout=STALL, disconnect_timeout=12.0))
    world.run_until(10.05)
    world.cut("A", "B")
    world.silent |= {User("A")}
    world.run_until(23.0)
    world.heal("A", "B")
    world.run_until(60.0)
    assert world.told("A", ev.ReconnectionChanged) == ["PeerReconnecting B", "PeerReconnected B 12 0"]
    assert world.states("A") == {"B": "CONNECTED"}


def test_fresh_connection_that_cannot_be_made_waits_for_the_next_attempt() -> None:
    world = cut_off()
    world.run_until(17.0)
    world.media.broken |= {User("A"), User("B")}
    world.heal("A", "B")
    world.run_until(23.0)
    assert world.states("A") == {"B": "DISCONNECTED"}
    world.media.broken.clear()
    world.run_until(60.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert len(world.events("A", ev.PeerReconnected)) == 1


def test_facts_of_the_fresh_connection_do_not_touch_the_old_one() -> None:
    world = cut_off()
    world.run_until(18.0)
    peer = world["B"].engine.sessions[world["B"].latest].peers[User("A")]
    before = len(world["B"].told)
    for what in (IceChecking, IceFailed, MediaFlowing):
        fact(world, "B", what)
    fact(world, "B", MediaBroke, error="odd")
    assert len(world["B"].told) == before
    assert world["B"].drops == []
    world["B"].do(IceConnected(call=world["B"].latest, peer=User("A"), epoch=Epoch(1)))
    assert peer.state.name == "DISCONNECTED"


def test_hang_up_closes_both_connections() -> None:
    """QB-117, QB-147."""
    world = cut_off()
    world.run_until(18.0)
    world["A"].hang_up()
    world.run(1.0)
    assert world.told("B", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
    assert world.told("A", ev.PeerReconnectFailed, ev.PeerReconnected) == []
    world.assert_silence()


def test_only_the_lost_pair_of_a_group_is_made_anew() -> None:
    """QB-123."""
    world = cut_off("ABC")
    world.run_until(12.0)
    world.heal("A", "B")
    world.run_until(60.0)
    assert world.told("C", ev.ReconnectionChanged) == []
    assert [to for _, to, signal in world["A"].sent if isinstance(signal, RestartOffer)] == ["B"]
    assert world.states("A") == {"B": "CONNECTED", "C": "CONNECTED"}


def test_second_loss_is_made_anew_as_well() -> None:
    """QB-122."""
    world = cut_off()
    world.run_until(12.0)
    world.heal("A", "B")
    world.run_until(30.0)
    end_paths(world)
    world.run_until(60.0)
    assert len(world.events("A", ev.PeerReconnecting)) == len(world.events("A", ev.PeerReconnected)) == 2


@pytest.mark.parametrize("kind", [RestartOffer, RestartAnswer])
def test_restart_of_a_call_that_is_over_is_quiet(kind: type[Signal]) -> None:
    """QB-120."""
    world = connected()
    call = world["A"].latest
    world["B"].hang_up()
    world.run(1.0)
    effects = len(world["B"].effects)
    fields = {"offer": Description("o")} if kind is RestartOffer else {"answer": Description("a")}
    world.signal("A", "B", kind(call=call, offer_id="1", **fields))  # type: ignore[arg-type, call-arg]  # of each kind
    assert all(type(effect).__name__ == "Drop" for effect in world["B"].effects[effects:])
