"""Who is in a call, as the chat server learns it: they get its signals, and nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qbcall.core.inputs import Arrived, LinkBroke, LinkUp
from qbcall.core.model import CallId, User
from qbcall.core.signals import Accept, Decline, End, Invite, Signal
from qbcall.devserver import DevServer
from tests.adapters.wire_proxy import WireProxy
from tests.adapters.xmpp_room import flushed, online, run, stranger
from tests.prosody import NEEDS_PROSODY, settings
from tests.signals_room import CALL, HEAD, NAMES, SDP, Room, room

pytestmark = NEEDS_PROSODY


def test_who_only_rings_or_left_gets_nothing() -> None:
    async def scenario() -> None:
        async with room() as there:
            await there.call("bob")
            await there.say("ann", "cat", Invite(head=HEAD, offer=SDP))
            assert (await there.post({"data": "1"}, to="cat@localhost"))[0] == 404, "rings"
            await there.say("cat", "ann", Accept(call=CALL, answer=SDP))
            assert (await there.post({"data": "2"}))[0] == 204
            await there.say("bob", "ann", End(call=CALL))
            assert (await there.post({"data": "3"}))[0] == 204
            assert (await there.post({}, to="bob@localhost"))[0] == 404, "left"
            heard = {name: [message.data for message in await there.told(name)] for name in NAMES}
            assert heard == {"ann": ["2", "3"], "bob": ["2"], "cat": ["2", "3"]}

    run(scenario)


@pytest.mark.parametrize(
    ("name", "to", "signal"),
    [
        ("ann", "bob", End(call=CALL)),
        ("bob", "ann", End(call=CALL)),
        ("bob", "ann", Decline(call=CALL)),
    ],
)
@pytest.mark.parametrize("accepted", [False, True])
def test_call_that_is_over_is_forgotten(name: str, to: str, signal: Signal, accepted: bool) -> None:
    async def scenario() -> None:
        async with room() as there:
            await there.call(*(["bob"] if accepted else []))
            if not accepted:
                await there.say("ann", "bob", Invite(head=HEAD, offer=SDP))
            assert (await there.post({}))[0] == 204
            await there.say(name, to, signal)
            assert (await there.post({}))[0] == 404

    run(scenario)


def test_who_was_not_called_cannot_get_in_nor_end_a_call() -> None:
    async def scenario() -> None:
        async with room() as there:
            await there.call("bob")
            for signal in (Accept(call=CALL, answer=SDP), Invite(head=HEAD, offer=SDP), End(call=CALL)):
                await there.say("cat", "ann", signal)
                await there.say("cat", "bob", signal)
                assert (await there.post({}, to="cat@localhost"))[0] == 404
            assert (await there.post({}, to="bob@localhost"))[0] == 204
            await there.say("bob", "cat", Invite(head=HEAD, offer=SDP))
            await there.say("cat", "bob", Accept(call=CALL, answer=SDP))
            assert (await there.post({}, to="cat@localhost"))[0] == 204, "somebody in the call let her in"

    run(scenario)


def test_other_device_that_says_no_takes_nobody_out_of_a_call() -> None:
    async def scenario() -> None:
        async with room() as there, online(settings(there.server, "bob")) as (other, _, _):
            await there.call("bob")
            other.send(User("ann@localhost"), HEAD, Decline(call=CALL))
            await flushed(other)
            assert (await there.post({}, to="bob@localhost"))[0] == 204
            await there.say("bob", "ann", Decline(call=CALL))
            assert (await there.post({}, to="bob@localhost"))[0] == 404

    run(scenario)


def test_signal_to_who_is_away_for_a_moment_is_kept() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            WireProxy(server.port) as proxy,
            online(settings(server)) as (ann, ann_told, _),
            online(settings(server, "bob", port=proxy.port)) as (bob, bob_told, _),
        ):
            there = Room(server, {"ann": ann, "bob": bob}, {"ann": ann_told, "bob": bob_told})
            await there.call("bob")
            await bob_told.next(Arrived)
            proxy.cut()
            await bob_told.next(LinkBroke)
            assert (await there.post({"data": "hi"}, to="bob@localhost"))[0] == 204
            bob.dial()
            assert (await bob_told.next(LinkUp)).resumed
            assert [message.data for message in await there.told("bob")] == ["hi"]

    run(scenario)


def test_calls_without_end_displace_only_their_callers() -> None:
    async def scenario() -> None:
        async with room() as there:
            await there.call("bob")
            for number in range(40):
                other = replace(HEAD, call=CallId(str(number)), caller=User("cat@localhost"))
                there.links["cat"].send(User("bob@localhost"), other, Invite(head=other, offer=SDP))
            await flushed(there.links["cat"])
            assert (await there.post({}, call="0"))[0] == 404
            assert (await there.post({}, call="39"))[0] == 204
            assert (await there.post({}, to="bob@localhost"))[0] == 204

    run(scenario)


MODULE = "<moduleIdentifier>WebRTCVideoChat</moduleIdentifier>"
INVITE = f"{MODULE}<signalType>call</signalType><sessionID>x</sessionID>"
ODD = [
    ("", INVITE),
    (" to='localhost'", INVITE),
    (" to='bob@localhost'", ""),
    (" to='bob@localhost'", MODULE),
    (" to='bob@localhost'", f"{MODULE}<signalType><call/></signalType><sessionID>x</sessionID>"),
]


def test_odd_stanzas_do_not_trouble_the_server() -> None:
    async def scenario() -> None:
        async with DevServer() as server, stranger(settings(server)) as ann:
            for to, params in ODD:
                ann.write(f"<message type='headline'{to}><extraParams>{params}</extraParams></message>")
            await flushed(ann)
            assert server.place is not None
            assert "error" not in (server.place / "prosody.log").read_text("utf-8")

    run(scenario)
