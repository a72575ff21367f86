"""Connecting while it rings. A calls, B's policy trusts A, signals take 10 ms, a path is found after 100 ms."""

from __future__ import annotations

import pytest

from qbcall.core import events as ev
from qbcall.core.effects import AcceptOffer, CreateOffer, Effect, StartMedia
from qbcall.core.inputs import AcceptCall, Contacts, IceFailed
from qbcall.core.model import Candidate, Description, User
from qbcall.core.policy import Policy
from qbcall.core.preconnection import Progress
from qbcall.core.signals import Accept, Candidates, EarlyAnswer, EarlyOffer, Invite, RestartAnswer, Signal
from tests.core.told import lines
from tests.core.world import STALL, World

TRUSTING = Policy(stall_timeout=STALL, preconnect="trusted", allow=("any", "roster"))


def trusting(users: str = "AB", policy: Policy = TRUSTING) -> World:
    """Everybody trusts A."""
    world = World(users, policy=policy)
    for node in world.nodes.values():
        trust(world, str(node.device))
    return world


def trust(world: World, device: str) -> None:
    world[device].do(Contacts(users=frozenset({User("A")})))


def ringing(users: str = "AB", policy: Policy = TRUSTING, *, until: float = 1.0) -> World:
    world = trusting(users, policy)
    world.media.counting = True
    world["A"].call(users[1:])
    world.run_until(until)
    return world


def early(world: World, device: str) -> list[Effect]:
    """What was asked of the media for early connections."""
    effects = world[device].effects
    return [
        one
        for one in effects
        if isinstance(one, StartMedia) or (isinstance(one, (CreateOffer, AcceptOffer)) and one.early)
    ]


def is_plain(world: World) -> bool:
    """Nobody made an early connection."""
    return not any(early(world, str(device)) for device in world.nodes)


def count_open(world: World) -> int:
    return len(world.media.open)


def test_accept_over_an_early_connection_needs_one_signal() -> None:
    world = ringing()
    world["B"].accept()
    world.run(1.0)
    assert world.story("B", since=1.0) == lines("""
        1.000 PeerConnecting A PENDING>CONNECTING
        1.000 CallStateChanged PENDING>CONNECTING
        1.000 PeerConnected A CONNECTING>CONNECTED
        1.000 CallStateChanged CONNECTING>CONNECTED
        1.000 AudioTrackAdded A AUDIO
        1.000 VideoTrackAdded A VIDEO
    """)
    assert world.story("A", since=1.0) == lines("""
        1.010 PeerAccepted B
        1.010 PeerConnecting B PENDING>CONNECTING
        1.010 CallStateChanged PENDING>CONNECTING
        1.010 PeerConnected B CONNECTING>CONNECTED
        1.010 CallStateChanged CONNECTING>CONNECTED
        1.010 AudioTrackAdded B AUDIO
        1.010 VideoTrackAdded B VIDEO
    """)
    assert count_open(world) == 2
    (accept,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, Accept)]
    assert accept.early
    assert accept.answer.sdp.startswith("offer")
    world.run(60.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world["A"].drops == world["B"].drops == []


def test_nothing_is_told_of_it_while_it_rings() -> None:
    world = ringing(until=9.0)
    plain = World("AB")
    plain["A"].call("B")
    plain.run_until(9.0)
    assert count_open(world) == 3
    assert world.told("A") == plain.told("A")
    assert world.told("B") == plain.told("B")
    assert world["A"].drops == world["B"].drops == []


@pytest.mark.parametrize(
    "policy",
    [
        Policy(preconnect="trusted"),
        Policy(preconnect="trusted", allow=("*",)),
        Policy(allow=("roster",)),
    ],
)
def test_stranger_is_not_shown_where_this_user_is(policy: Policy) -> None:
    """`any` and patterns trust nobody, and by itself nobody is trusted."""
    world = ringing(policy=policy)
    world["B"].accept()
    world.run(1.0)
    assert is_plain(world)
    assert world.states("A") == {"B": "CONNECTED"}


def test_caller_who_does_not_answer_early_offers_gets_none() -> None:
    world = trusting()
    world.invite("A", "B")
    world.run(1.0)
    assert is_plain(world)


def test_caller_answers_whatever_its_own_policy_is() -> None:
    world = World("A")
    world.add("B", policy=TRUSTING)
    trust(world, "B")
    world["A"].call("B")
    world.run(1.0)
    world["B"].accept()
    world.run(0.01)
    assert world.states("A") == {"B": "CONNECTED"}


def test_accept_before_the_early_connection_is_up_goes_the_usual_way() -> None:
    for at in (0.01, 0.015, 0.05):
        world = ringing(until=at)
        world["B"].accept()
        world.run(1.0)
        assert world.states("A") == {"B": "CONNECTED"}
        assert count_open(world) == 2
        assert not any(isinstance(one, StartMedia) for one in early(world, "B"))
        assert world["A"].drops == world["B"].drops == []


def test_accept_that_sends_less_goes_the_usual_way() -> None:
    world = ringing()
    world["B"].do(AcceptCall(call=world["B"].latest, sends_all=False))
    world.run(1.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert count_open(world) == 2
    (accept,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, Accept)]
    assert not accept.early


def test_accept_over_a_path_that_is_gone_goes_the_usual_way() -> None:
    world = ringing()
    world.cut("A", "B")
    world.run(2.0)
    world.heal("A", "B")
    world["B"].accept()
    world.run(1.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert count_open(world) == 2
    (accept,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, Accept)]
    assert not accept.early


def test_early_connection_that_cannot_be_made_leaves_the_call_as_it_is() -> None:
    world = trusting()
    world["A"].call("B")
    world.run_until(0.005)
    world.media.broken |= {User("A"), User("B")}
    world.run_until(1.0)
    assert count_open(world) == 1
    world.media.broken.clear()
    world["B"].accept()
    world.run(1.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world["A"].drops == world["B"].drops == []


def test_early_connection_that_finds_no_path_leaves_the_call_as_it_is() -> None:
    world = trusting(policy=Policy(stall_timeout=STALL, preconnect="trusted", allow=("roster",), answer_timeout=60.0))
    world.media.ice = 0.0
    world.cut("A", "B")
    world["A"].call("B")
    world.run_until(59.0)
    world.heal("A", "B")
    world["B"].accept()
    world.run(5.0)
    assert world.states("A") == {"B": "CONNECTED"}


def test_path_that_ends_while_it_rings_is_given_up() -> None:
    world = ringing()
    world.cut("A", "B")
    world.run(32.0)
    assert count_open(world) == 1
    world.heal("A", "B")
    world["B"].accept()
    world.run(1.0)
    assert world.states("A") == {"B": "CONNECTED"}


@pytest.mark.parametrize("how", ["hang up", "reject", "busy", "no answer"])
def test_end_of_the_ringing_leaves_no_connection(how: str) -> None:
    world = ringing()
    assert count_open(world) == 3
    match how:
        case "hang up":
            world["A"].hang_up()
        case "reject":
            world["B"].reject()
        case "busy":
            world["B"].reject(busy=True)
        case "no answer":
            world.run(60.0)
    world.run(1.0)
    assert count_open(world) == 0
    assert world["A"].drops == world["B"].drops == []


def test_two_devices_ring_and_the_one_with_the_early_connection_accepts() -> None:
    world = trusting()
    world.add("B", "2")
    trust(world, "B/2")
    world["A"].call("B")
    world.run_until(1.0)
    assert [len(early(world, device)) for device in ("A", "B/1", "B/2")] == [1, 1, 1]
    world["B/1"].accept()
    world.run(1.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world.told("B/2", ev.CallClosed) == ["CallClosed ELSEWHERE"]
    assert count_open(world) == 2


def test_two_devices_ring_and_the_other_one_accepts() -> None:
    world = trusting()
    world.add("B", "2")
    trust(world, "B/2")
    world["A"].call("B")
    world.run_until(1.0)
    world["B/2"].accept()
    world.run(1.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert world["A"].engine.sessions[world["A"].latest].peers[User("B")].device == "B/2"
    assert world.told("B/1", ev.CallClosed) == ["CallClosed ELSEWHERE"]
    assert count_open(world) == 2
    assert world["A"].drops == []


def test_accept_that_names_an_early_connection_of_another_device_does_not_count() -> None:
    """Whoever does it is invited once more, and all answer in the usual order then."""
    world = ringing()
    (offer,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, EarlyOffer)]
    forged = Accept(call=world["A"].latest, answer=offer.offer, early=offer.offer_id)
    world.signal("B", "A", forged, resource="2")
    world.signal("B", "A", Accept(call=world["A"].latest, answer=offer.offer, early="unknown"))
    assert world.states("A") == {"B": "PENDING"}
    assert world["A"].drops == ["Accept in state PENDING"]
    assert world.sent("A", Invite) == [0.0, 1.0]
    assert count_open(world) == 2
    world["B"].accept()
    world.run(1.0)
    assert world.states("A") == {"B": "CONNECTED"}


def test_answer_of_another_device_or_to_another_offer_does_not_count() -> None:
    world = trusting()
    world.swallow = lambda sender, to, signal: isinstance(signal, EarlyAnswer)
    world["A"].call("B")
    world.run_until(1.0)
    (offer,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, EarlyOffer)]
    before = len(world["B"].effects)
    for resource, number in (("2", offer.offer_id), ("1", "other")):
        answer = EarlyAnswer(call=world["B"].latest, offer_id=number, answer=Description("answer"))
        world.signal("A", "B", answer, resource)
    assert len(world["B"].effects) == before


def test_early_offer_out_of_place_is_quiet() -> None:
    """At a callee, of a callee who was not called, and in a call that runs."""
    world = ringing()
    before = len(world["B"].effects)
    world.signal("A", "B", EarlyOffer(call=world["B"].latest, offer_id="1", offer=Description("offer")))
    assert len(world["B"].effects) == before
    world["B"].accept()
    world.run(1.0)
    before = len(world["A"].effects)
    world.signal("B", "A", EarlyOffer(call=world["B"].latest, offer_id="1", offer=Description("offer")))
    assert len(world["A"].effects) == before


def test_lost_accept_is_repeated_as_it_was() -> None:
    world = ringing()
    world.swallow = lambda sender, to, signal: isinstance(signal, Accept)
    world["B"].accept()
    world.run(1.0)
    world.swallow = lambda sender, to, signal: False
    world.run(4.0)
    assert world.states("A") == {"B": "CONNECTED"}
    assert count_open(world) == 2


def test_candidates_for_the_invitation_are_not_used_for_the_early_connection() -> None:
    world = trusting()
    world.media.finds = (0.5,)
    world["A"].call("B")
    world.run_until(1.0)
    world.signal("A", "B", Candidates(call=world["B"].latest, candidates=(Candidate("candidate:1"),)))
    world["B"].accept()
    world.run(1.0)
    assert world.sent("A", Candidates) == world.sent("B", Candidates) == []
    assert world.states("A") == {"B": "CONNECTED"}


def test_callees_of_a_group_connect_early_to_the_caller_only() -> None:
    world = ringing("ABC")
    world["B"].accept()
    world["C"].accept()
    world.run(2.0)
    assert [len(early(world, name)) for name in "ABC"] == [4, 2, 2]
    assert world.states("B") == {"A": "CONNECTED", "C": "CONNECTED"}
    assert count_open(world) == 6


def test_connection_that_was_made_early_and_is_lost_is_made_anew() -> None:
    world = ringing()
    world["B"].accept()
    world.run_until(10.05)
    for connection in world.media.open.values():
        connection.other = None
    world.run_until(60.0)
    assert world.told("A", ev.ReconnectionChanged)[0] == "PeerReconnecting B"
    assert world.states("A") == {"B": "CONNECTED"}


def test_what_happens_to_a_fresh_connection_later_is_not_taken_for_the_early_one() -> None:
    """A failure of an early connection drops it; one of an attempt to reconnect waits for the next attempt."""
    world = ringing()
    world["B"].accept()
    world.run_until(10.05)
    for connection in world.media.open.values():
        connection.other = None
    world.cut("A", "B")
    world.run_until(19.0)
    for name, other in (("A", "B"), ("B", "A")):
        node = world[name]
        peer = node.engine.sessions[node.latest].peers[User(other)]
        assert peer.epochs.fresh is not None
        node.do(IceFailed(call=node.latest, peer=peer.user, epoch=peer.epochs.fresh))
        assert peer.epochs.fresh is not None
        assert peer.preconnection.state is Progress.OVER


# -- an accept over an early connection that the caller has no longer ------------------------------------------------


def lose_early(world: World) -> None:
    """The caller's end of the early connection fails."""
    node = world["A"]
    peer = node.engine.sessions[node.latest].peers[User("B")]
    assert peer.epochs.fresh is not None
    node.do(IceFailed(call=node.latest, peer=peer.user, epoch=peer.epochs.fresh))


def crossed(policy: Policy = TRUSTING) -> World:
    """B accepts at 1.0 over the early connection, which A gives up at 1.005, before the accept arrives."""
    world = ringing(policy=policy)
    world["B"].accept()
    world.run(0.005)
    lose_early(world)
    return world


def swallow(world: World, what: type[Signal], number: int = 1) -> None:
    """The next so many signals of this kind get lost."""
    left = [None] * number

    def lose(sender: User, to: User, signal: Signal) -> bool:
        return isinstance(signal, what) and bool(left) and left.pop() is None

    world.swallow = lose


def assert_up(world: World) -> None:
    assert world.states("A") == {"B": "CONNECTED"}
    assert world.states("B") == {"A": "CONNECTED"}
    assert count_open(world) == 2


def test_accept_over_a_connection_that_the_caller_lost_is_asked_for_again_at_once() -> None:
    world = crossed()
    world.run(1.0)
    assert world.story("B", since=1.0) == lines("""
        1.000 PeerConnecting A PENDING>CONNECTING
        1.000 CallStateChanged PENDING>CONNECTING
        1.000 PeerConnected A CONNECTING>CONNECTED
        1.000 CallStateChanged CONNECTING>CONNECTED
        1.000 AudioTrackAdded A AUDIO
        1.000 VideoTrackAdded A VIDEO
        1.020 PeerConnecting A CONNECTED>CONNECTING
        1.020 PeerStateChanged A CONNECTING>CHECKING
        1.120 PeerConnected A CHECKING>CONNECTED
    """)
    assert world.story("A", since=1.0) == lines("""
        1.030 PeerAccepted B
        1.030 PeerConnecting B PENDING>CONNECTING
        1.030 CallStateChanged PENDING>CONNECTING
        1.030 PeerStateChanged B CONNECTING>CHECKING
        1.120 PeerConnected B CHECKING>CONNECTED
        1.120 CallStateChanged CONNECTING>CONNECTED
        1.120 AudioTrackAdded B AUDIO
        1.120 VideoTrackAdded B VIDEO
    """)
    world.run(60.0)
    assert_up(world)
    assert world["A"].drops == world["B"].drops == []


def test_accept_is_asked_for_again_also_where_signals_get_lost() -> None:
    """The early accept, the invitation that asks for another, or the accept after it; B's path is lost meanwhile."""
    for lost in (Accept, Invite):
        for number in (1, 2, 3):
            world = ringing()
            swallow(world, lost, number)
            world["B"].accept()
            world.run(0.005)
            lose_early(world)
            world.run(30.0)
            assert_up(world)
            assert world["B"].told[-1][0] < 25.0
    world = crossed()
    world.run(0.006)
    swallow(world, Accept)
    world.run(10.0)
    assert_up(world)


def test_invitation_that_crosses_the_accept_asks_for_another() -> None:
    """The caller gave the early connection up and invites again while the accept is on its way."""
    world = ringing(until=4.998)
    world["B"].accept()
    lose_early(world)
    world.run(2.0)
    assert_up(world)
    assert world.sent("A", Invite) == [0.0, 5.0, 5.008]
    assert world.told("A", ev.PeerAccepted) == ["PeerAccepted B"]
    assert world["A"].drops == world["B"].drops == []


def test_accept_of_the_last_moment_has_time_to_be_asked_for_again() -> None:
    world = ringing(until=44.98)
    world["B"].accept()
    lose_early(world)
    world.run(2.0)
    assert_up(world)


def test_stranger_cannot_ask_for_an_accept_again() -> None:
    """Of another device, with other keys, in the place of a caller who has the connection."""
    world = ringing()
    world["B"].accept()
    world.run(1.0)
    (invite,) = [signal for _, _, signal in world["A"].sent if isinstance(signal, Invite)]
    forged = Invite(head=invite.head, offer=Description("offer"), early=False)
    world.signal("A", "B", forged, resource="2")
    world.run(1.0)
    assert_up(world)
    assert world.told("B", ev.PeerConnecting) == ["PeerConnecting A PENDING>CONNECTING"]


def test_caller_asks_again_only_once_whatever_it_is_answered() -> None:
    """A callee that goes on to name the early connection is invited no faster than the dialing interval."""
    world = ringing()
    (offer,) = [signal for _, _, signal in world["B"].sent if isinstance(signal, EarlyOffer)]
    for number in range(5):
        world.signal("B", "A", Accept(call=world["A"].latest, answer=offer.offer, early=str(number)))
    assert world.sent("A", Invite) == [0.0, 1.0]
    world.run_until(7.0)
    assert world.sent("A", Invite) == [0.0, 1.0, 6.0]


def test_device_that_comes_online_after_the_early_connection_failed_offers_none() -> None:
    world = ringing()
    lose_early(world)
    world.add("B", "2")
    trust(world, "B/2")
    world.run_until(6.0)
    assert early(world, "B/2") == []
    assert world["A"].drops == []


def test_path_that_is_gone_at_both_ends_when_it_is_accepted_is_made_in_the_usual_order() -> None:
    """It ends at B just after its accept: nothing was connected there, and what failed does not count any more."""
    world = ringing()
    node = world["B"]
    peer = node.engine.sessions[node.latest].peers[User("A")]
    for connection in world.media.open.values():
        connection.up = connection.up and not connection.early
    node.accept()
    assert world.states("B") == {"A": "CONNECTING"}
    node.do(IceFailed(call=node.latest, peer=peer.user, epoch=peer.epochs.newest))
    lose_early(world)
    world.media.ice = 3.0
    world.run(5.0)
    assert_up(world)


def lost_while_accepting(until: float) -> World:
    """As `crossed`; B hears nothing of A until a time, and takes the connection for lost at 4.0."""
    world = crossed()
    world.swallow = lambda sender, to, signal: sender == "A"
    world.run_until(until)
    world.swallow = lambda sender, to, signal: False
    return world


def test_accept_may_be_asked_for_again_after_the_callee_noticed_a_loss() -> None:
    """In the grace, and while B makes the connection anew in vain: A was never connected."""
    for until in (5.5, 9.5):
        world = lost_while_accepting(until)
        assert world.states("B") == {"A": "FAILED"}
        world.run(7.0)
        assert_up(world)
        assert world.told("B", ev.ReconnectionChanged)[0] == "PeerReconnecting A"
        assert world.told("B", ev.ReconnectionChanged)[1].startswith("PeerReconnected A")
        assert world.told("A", ev.ReconnectionChanged) == []
        assert world.sent("B", RestartAnswer) == []


def test_accept_may_be_asked_for_again_while_the_path_is_silent() -> None:
    world = ringing()
    world["B"].accept()
    world.cut("A", "B")
    world.run(0.005)
    lose_early(world)
    world.swallow = lambda sender, to, signal: sender == "A"
    world.run_until(5.5)
    assert world.states("B") == {"A": "DISCONNECTED"}
    world.swallow = lambda sender, to, signal: False
    world.heal("A", "B")
    world.run(7.0)
    assert_up(world)


def test_connection_that_does_not_come_up_in_time_after_all_is_given_up() -> None:
    world = lost_while_accepting(30.0)
    world.media.ready = 5.0
    world.run(30.0)
    world.assert_silence()
    assert world.told("B", ev.CallClosed) == ["CallClosed DISCONNECT_TIMEOUT"]
    assert world.told("A", ev.CallClosed) == ["CallClosed REMOTE_HUNG_UP"]
