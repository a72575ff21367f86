"""Typed signals: acceptance section 13; participants: section 15."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from qbcall.core import events as ev
from qbcall.core.inputs import FromServer, GoOnline, SendMessage, WithdrawMessage
from qbcall.core.mailbox import MOST_WAITING, RECEIPT_DELAY, RECEIPT_EVERY
from qbcall.core.mailroom import WINDOW, Correspondent
from qbcall.core.model import CallId
from qbcall.core.policy import Policy
from qbcall.core.signals import Message, Receipt, Update
from qbcall.errors import SignalFailed
from tests.core.test_connection import connected
from tests.core.world import Wire, World


def counted(world: World, name: str, what: type[ev.Event]) -> int:
    """How many events of a class a user was told."""
    return len(world.events(name, what))


def test_signal_to_one_is_told_to_that_one_only() -> None:
    """VS-001, VS-025."""
    world = connected("ABC")
    world["A"].say("hi", "B", type="chat")
    world.run(1.0)
    (told,) = [event for _, event in world.events("B", ev.Signal)]
    assert isinstance(told, ev.Signal)
    assert (told.sender, told.type, told.data) == ("A", "chat", "hi")
    assert world.events("A", ev.Signal) == world.events("C", ev.Signal) == []
    assert counted(world, "A", ev.SignalSent) == counted(world, "A", ev.SignalDelivered) == 1


def test_signal_to_all_is_told_to_the_sender_as_well() -> None:
    """VS-002."""
    world = connected("ABC")
    world["A"].say("hi")
    world.run(1.0)
    assert [world[name].heard("A") for name in "ABC"] == [["hi"]] * 3


def test_signal_to_oneself_is_told_once() -> None:
    """VS-003."""
    world = connected()
    world["A"].say("note", "A")
    world.run(1.0)
    assert world["A"].heard("A") == ["note"]
    assert world["B"].heard("A") == []


@pytest.mark.parametrize("receipts", [False, True])
def test_only_who_acknowledges_is_written_to_in_brief(receipts: bool) -> None:
    """Other clients may read the fields that all signals of QuickBlox have."""
    other = Correspondent(receipts=receipts)
    what = SendMessage(call=CallId("c"), id="1", type="t", data="d", to=None, wait_for_link=True, ttl=None, ack=False)
    assert other.next(CallId("c"), what).brief is receipts
    world = connected()
    world["A"].say("hi", ack=True)
    world.run(1.0)
    letters = [one for name in "AB" for _, _, one in world[name].sent if isinstance(one, (Message, Receipt))]
    assert [one.brief for one in letters] == [True, True]


@pytest.mark.parametrize("who", ["X", "C"])
def test_signal_to_nobody_of_the_call_is_refused(who: str) -> None:
    """VS-016: never in it, and left."""
    world = connected("ABC")
    world["C"].hang_up()
    world.run(1.0)
    with pytest.raises(SignalFailed, match=f"{who} is not in the call") as caught:
        world["A"].say("hi", who)
    assert caught.value.code == 404


def test_signal_without_a_running_call_is_refused() -> None:
    """VS-016, VS-019."""
    world = World("AB")
    call = world["A"].call("B")
    world.run_until(1.0)
    with pytest.raises(SignalFailed) as caught:
        world["B"].say("hi")
    assert caught.value.code == 500
    world["A"].hang_up()
    with pytest.raises(SignalFailed) as caught:
        world["A"].say("hi")
    assert caught.value.code == 404
    assert call not in world["A"].engine.sessions


def test_many_signals_arrive_in_order() -> None:
    """VS-021, VS-022."""
    world = connected("ABC")
    for number in range(100):
        world["A"].say(f"a{number}")
        world["B"].say(f"b{number}")
    world.run(1.0)
    for name in "ABC":
        assert world[name].heard("A") == [f"a{number}" for number in range(100)]
        assert world[name].heard("B") == [f"b{number}" for number in range(100)]


def test_signals_of_a_broken_link_wait_and_arrive_in_order() -> None:
    """VS-026, VS-028."""
    world = connected("ABC")
    world.unlink("A")
    for number in range(3):
        world["A"].say(str(number))
    world.run(5.0)
    assert counted(world, "A", ev.SignalSent) == 0
    world.relink("A")
    world.run(15.0)
    world["A"].say("3")
    world.run(1.0)
    for name in "ABC":
        assert world[name].heard("A") == ["0", "1", "2", "3"]
    assert counted(world, "A", ev.SignalSent) == 4


def test_signal_that_must_not_wait_fails_at_once_while_the_link_is_broken() -> None:
    """VS-027."""
    world = connected()
    world.unlink("A")
    with pytest.raises(SignalFailed) as caught:
        world["A"].say("now", wait_for_link=False)
    assert caught.value.code == 500
    world.relink("A")
    world.run(30.0)
    assert world["B"].heard("A") == []


def test_signals_fail_when_the_link_does_not_come_back_and_are_never_sent() -> None:
    """VS-029."""
    world = connected(policy=Policy(reconnect_window=5.0))
    world.unlink("A")
    for number in range(3):
        world["A"].say(str(number))
    world.run(10.0)
    assert (
        world.told("A", ev.SignalNotSent) == [f"SignalNotSent {id} 500" for id in ("A1", "A2", "A3")]
        or counted(world, "A", ev.SignalNotSent) == 3
    )
    world.relink("A")

    world["A"].do(GoOnline())
    world.run(30.0)
    assert world["B"].heard("A") == []
    world["A"].say("later")
    world.run(1.0)
    assert world["B"].heard("A") == ["later"]


def test_signal_whose_confirmation_was_lost_arrives_once() -> None:
    """VS-030: the server had it, or not."""
    for had in (True, False):
        world = connected()
        if not had:
            world.swallow = lambda sender, to, signal: isinstance(signal, Message)
        world["A"].say("once")
        world.unlink("A")
        world.run(2.0)
        world.swallow = lambda sender, to, signal: False
        world.relink("A")
        world.run(20.0)
        assert world["B"].heard("A") == ["once"], had
        assert counted(world, "A", ev.SignalSent) == 1


def test_signal_that_must_not_wait_fails_when_the_link_breaks_before_the_confirmation() -> None:
    """VS-031."""
    world = connected()
    world["A"].say("maybe", wait_for_link=False)
    world.unlink("A")
    world.run(1.0)
    (failed,) = [event for _, event in world.events("A", ev.SignalNotSent)]
    assert isinstance(failed, ev.SignalNotSent)
    assert failed.code == 500


def test_signals_for_one_whose_link_is_broken_arrive_on_return() -> None:
    """VS-032: the server forgets what it could not deliver; the sender does not."""
    world = connected()
    world.unlink("B")
    for number in range(3):
        world["A"].say(str(number))
    world.run(10.0)
    assert counted(world, "A", ev.SignalSent) == 3
    assert counted(world, "A", ev.SignalDelivered) == 0
    world.relink("B")
    world.run(40.0)
    assert world["B"].heard("A") == ["0", "1", "2"]
    assert counted(world, "A", ev.SignalDelivered) == 3


def test_reader_whose_session_was_forgotten_gets_all_as_soon_as_they_are_back() -> None:
    """The reader asks for it; no timer of the sender's is waited for, and never more than a window is under way."""
    world = connected()
    world["A"].say("first")
    world.run(1.0)
    world.unlink("B")
    for number in range(3 * WINDOW):
        world["A"].say(str(number))
    world.run(20.0)
    world.relink("B")
    world.run(30.0)
    (back,) = [at for at, _ in world.events("B", ev.LinkReconnected)]
    told = [at for at, event in world.events("B", ev.Signal) if isinstance(event, ev.Signal) and event.sender == "A"]
    assert world["B"].heard("A") == ["first", *map(str, range(3 * WINDOW))]
    assert told[-1] < back + 0.2
    again = [at for at in world.sent("A", Message) if at >= back]
    assert len(again) == 3 * WINDOW
    assert again.count(again[0]) == WINDOW


@pytest.mark.parametrize(
    ("count", "ack", "receipts", "delay"),
    [
        (1, False, 1, RECEIPT_DELAY),
        (3, False, 1, RECEIPT_DELAY),
        (1, True, 1, 0.0),
        (3, True, 3, 0.0),
        (RECEIPT_EVERY, False, 1, 0.0),
        (RECEIPT_EVERY + 1, False, 2, 0.0),
    ],
)
def test_receipt_is_for_several_signals_unless_somebody_waits_for_it(
    count: int, ack: bool, receipts: int, delay: float
) -> None:
    world = connected()
    said = world.time
    for number in range(count):
        world["A"].say(str(number), "B", ack=ack)
    world.run(2.0)
    sent = world.sent("B", Receipt)
    assert len(sent) == receipts
    assert sent[0] == pytest.approx(said + world.wire.delay + delay)
    assert counted(world, "A", ev.SignalDelivered) == count


def test_reader_who_got_nothing_yet_asks_for_all() -> None:
    world = connected()
    world.unlink("B")
    world["A"].say("first")
    world.run(20.0)
    world.relink("B")
    world.run(30.0)
    (back,) = [at for at, _ in world.events("B", ev.LinkReconnected)]
    (told,) = [at for at, event in world.events("B", ev.Signal)]
    assert told < back + 0.1


def test_signal_before_its_sender_is_known_to_take_part_is_told_after_it() -> None:
    """VS-023."""
    world = World("AB")
    world["A"].call("B")
    world.run_until(1.0)
    world.media.ready = 1.0
    world["B"].accept()
    world.run(0.5)
    message = Message(call=world["A"].latest, type="", data="early", id="1", seq=1)
    world.signal("A", "B", message)
    assert world["B"].heard("A") == []
    world.run(2.0)
    told = [event for _, event in world["B"].told if isinstance(event, (ev.ParticipantJoined, ev.Signal))]
    assert [type(event) for event in told] == [ev.ParticipantJoined, ev.Signal]


def test_signal_for_one_who_leaves_meanwhile_fails_and_the_others_get_it() -> None:
    """VS-035."""
    world = connected("ABC")
    world.unlink("A")
    to_b = world["A"].say("b", "B")
    world["A"].say("c", "C")
    world["A"].say("all")
    world.run(1.0)
    world["B"].hang_up()
    world.signal("B", "A", world["B"].sent[-1][2])
    world.relink("A")
    world.run(20.0)
    failed = [event for _, event in world.events("A", ev.SignalNotSent)]
    assert [(event.id, event.code) for event in failed if isinstance(event, ev.SignalNotSent)] == [(to_b, 404)]
    assert world["C"].heard("A") == ["c", "all"]


def test_withdrawn_signal_is_not_sent() -> None:
    """VS-037: what is on its way cannot be withdrawn."""
    world = connected()
    world.unlink("A")
    id = world["A"].say("never")
    world["A"].say("yes")
    world["A"].do(WithdrawMessage(call=world["A"].latest, id=id))
    world["A"].do(WithdrawMessage(call=CallId("unknown"), id=id))
    world.relink("A")
    world.run(20.0)
    late = world["A"].say("late")
    world["A"].do(WithdrawMessage(call=world["A"].latest, id=late))
    world.run(1.0)
    assert world["B"].heard("A") == ["yes", "late"]


def test_too_many_signals_at_once_are_refused() -> None:
    """VS-038."""
    world = connected()
    world.unlink("A")
    for number in range(MOST_WAITING):
        world["A"].say(str(number))
    with pytest.raises(SignalFailed) as caught:
        world["A"].say("more")
    assert caught.value.code == 429
    world.relink("A")
    world.run(20.0)
    assert world["B"].heard("A") == [str(number) for number in range(MOST_WAITING)]
    world["A"].say("again")


def test_signal_whose_time_is_over_fails_and_is_not_sent() -> None:
    world = connected()
    world.unlink("A")
    world["A"].say("patient")
    world["A"].say("hasty", ttl=2.0)
    world["A"].say("less hasty", ttl=4.0)
    world.run(3.0)
    (failed,) = [(at, event) for at, event in world.events("A", ev.SignalNotSent)]
    assert failed[0] == 4.0
    world.relink("A")
    world.run(20.0)
    assert world["B"].heard("A")[0] == "patient"
    assert "hasty" not in world["B"].heard("A")


def test_signals_that_wait_fail_when_the_call_ends() -> None:
    world = connected()
    world.unlink("A")
    world["A"].say("too late")
    world["A"].hang_up()
    assert counted(world, "A", ev.SignalNotSent) == 1
    world.relink("A")
    world.run(20.0)
    assert world["B"].heard("A") == []
    world.assert_silence()


def test_signal_of_the_server_has_no_sender() -> None:
    """VZ-001."""
    world = connected()
    message = Message(call=world["A"].latest, type="t", data="d", id="1")
    world["A"].do(FromServer(message=message))
    assert world["A"].heard(None) == ["d"]
    world["A"].do(FromServer(message=Message(call=CallId("unknown"), type="t", data="d", id="2")))
    assert world["A"].heard(None) == ["d"]
    assert world["A"].drops == ["a message of the server for a call that is not running"]


def test_client_that_does_not_count_is_heard() -> None:
    """The QuickBlox SDKs send neither numbers nor acknowledgements."""
    world = connected()
    call = world["A"].latest
    for number in range(3):
        world.signal("B", "A", Message(call=call, type="", data=str(number), id=f"x{number}"))
    assert world["A"].heard("B") == ["0", "1", "2"]
    assert world.sent("A", Receipt) == []


def test_client_that_does_not_acknowledge_is_not_sent_twice() -> None:
    world = connected()
    world["A"].engine.sessions[world["A"].latest].mail._with.clear()
    world.swallow = lambda sender, to, signal: isinstance(signal, Receipt)
    world["A"].say("hi", "B")
    world.run(20.0)
    assert len(world.sent("A", Message)) == 1
    assert counted(world, "A", ev.SignalDelivered) == 1


@pytest.mark.parametrize("kind", ["Message", "Receipt"])
def test_signal_of_one_who_left_is_dropped(kind: str) -> None:
    world = connected("ABC")
    world["C"].hang_up()
    world.run(1.0)
    call = world["A"].latest
    made = Message(call=call, type="", data="", id="1", seq=1) if kind == "Message" else Receipt(call=call, seq=1)
    world.signal("C", "A", made)
    assert world["A"].drops == [f"{kind} of a user who left"]
    world.signal("X", "A", made)
    assert world["A"].drops[1:] == [f"{kind} of a user who is not in the call"]


def test_words_of_a_participant_are_told_to_everybody() -> None:
    """VC-001, VC-002, VC-003."""
    world = World("ABC")
    world["A"].call("BC", data="caller")
    world.at(1.0, lambda: world["B"].accept(data="first"))
    world.at(2.0, lambda: world["C"].accept(data="second"))
    world.at(3.0, world["C"].hang_up)
    world.run_until(5.0)
    about = (ev.ParticipantJoined, ev.ParticipantLeft)
    assert world.told("A", *about) == [
        "ParticipantJoined B first",
        "ParticipantJoined C second",
        "ParticipantLeft C REMOTE_HUNG_UP",
    ]
    assert world.told("B", *about) == [
        "ParticipantJoined A caller",
        "ParticipantJoined C second",
        "ParticipantLeft C REMOTE_HUNG_UP",
    ]
    assert world.told("C", *about) == ["ParticipantJoined A caller", "ParticipantJoined B first"]


def test_updates_that_wait_for_the_link_are_said_on_return() -> None:
    world = connected()
    world.unlink("A")
    world["A"].update({"k": "v"})
    assert world.sent("A", Update) == []
    world.relink("A")
    world.run(20.0)
    assert world.told("B", ev.PeerUpdated) == ["PeerUpdated A k=v"]


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_repeated_or_out_of_order(seed: int) -> None:
    """Any interleaving of signals, breaks on either side, losses on the wire and a server that forgets."""
    random = Random(seed)
    wire = Wire(jitter=random.choice((0.0, 0.5)), loss=random.choice((0.0, 0.2)), repeat=random.choice((0.0, 0.2)))
    world = connected("ABC", policy=Policy(reconnect_window=300.0))
    world.wire = wire
    said: dict[str, list[str]] = {name: [] for name in "ABC"}
    ids: dict[str, list[str]] = {name: [] for name in "ABC"}

    def speak(name: str) -> None:
        said[name].append(f"{name}{len(said[name])}")
        ids[name].append(world[name].say(said[name][-1]))

    for _ in range(120):
        world.at(random.uniform(3.0, 60.0), partial(speak, random.choice("ABC")))
    for _ in range(8):
        name, at = random.choice("ABC"), random.uniform(3.0, 60.0)
        world.at(at, partial(world.unlink, name))
        world.at(at + random.uniform(0.0, 10.0), partial(world.relink, name))
    world.run_until(75.0)
    world.unlinked.clear()
    world.wire = Wire()
    world.run(120.0)
    for name in "ABC":
        assert counted(world, name, ev.LinkLost) == 0
        assert counted(world, name, ev.SignalSent) == counted(world, name, ev.SignalDelivered) == len(said[name])
        for other in "ABC":
            assert world[other].heard(name) == said[name]


def test_mailbox_whose_signals_arrived_waits_for_nothing() -> None:
    world = connected()
    world["A"].say("with ttl", ttl=50.0)
    world.run(1.0)
    for name in "AB":
        region = world[name].engine.sessions[world["A"].latest].mail.region
        assert list(region.deadlines()) == []
