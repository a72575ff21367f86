"""Signals of the chat server into calls: over HTTP to those who are in them, and never from anybody else."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from qbcall.adapters.xmpp import XmppLink
from qbcall.core.inputs import Arrived, FromServer
from qbcall.core.model import CallHead, CallId, CallMedia, Description, User
from qbcall.core.signals import Accept, Decline, End, Invite, Message, Signal
from qbcall.devserver import DevServer
from tests.adapters.inbox import Inbox
from tests.adapters.xmpp_room import flushed, online, run, stranger
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = NEEDS_PROSODY

CALL = CallId("8103d5a3 / ä")
"""Odd on purpose: it must be escaped in a path."""
NAMES = ("ann", "bob", "cat")
SDP = Description("v=0\n")
HEAD = CallHead(
    call=CALL,
    caller=User("ann@localhost"),
    callees=(User("bob@localhost"), User("cat@localhost")),
    media=CallMedia.AUDIO,
)


@dataclass
class Room:
    """A server, and its users online."""

    server: DevServer
    links: dict[str, XmppLink]
    inboxes: dict[str, Inbox]

    async def say(self, name: str, to: str, signal: Signal) -> None:
        """One user sends a signal to another one, and it arrived."""
        self.links[name].send(User(f"{to}@localhost"), HEAD, signal)
        await flushed(self.links[name], self.links[to])

    async def call(self, *callees: str) -> None:
        """Ann calls, and they accept."""
        for name in callees:
            await self.say("ann", name, Invite(head=HEAD, offer=SDP))
        for name in callees:
            await self.say(name, "ann", Accept(call=CALL, answer=SDP))

    def log(self) -> str:
        """What the server logged."""
        assert self.server.place is not None
        return (self.server.place / "prosody.log").read_text("utf-8")

    async def told(self, name: str) -> list[Message]:
        """What the server said to a user so far."""
        await flushed(self.links[name])
        return [what.message for what in self.inboxes[name].all(FromServer)]

    async def post(self, body: object, to: str | None = None, call: str = CALL, **headers: str) -> tuple[int, str]:
        """Status and body of the answer; what is no text is sent as JSON."""
        path = "/".join(quote(part, safe="") for part in (call, *([to] if to is not None else [])))
        data = (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")
        sent = {"Authorization": f"Bearer {self.server.signals_token}", **headers}
        return await asyncio.to_thread(request, "POST", f"{self.server.signals_url}/{path}", data, sent)


def request(method: str, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    try:
        connection.request(method, where.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@asynccontextmanager
async def room() -> AsyncIterator[Room]:
    async with (
        DevServer(NAMES) as server,
        online(settings(server, "ann")) as (ann, ann_told, _),
        online(settings(server, "bob")) as (bob, bob_told, _),
        online(settings(server, "cat")) as (cat, cat_told, _),
    ):
        links, inboxes = (ann, bob, cat), (ann_told, bob_told, cat_told)
        yield Room(server, dict(zip(NAMES, links, strict=True)), dict(zip(NAMES, inboxes, strict=True)))


def said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.type, message.data) for message in messages]


def test_signal_to_all_arrives_as_the_servers() -> None:
    """VZ-001, VZ-005: 204 without body."""

    async def scenario() -> None:
        async with room() as there:
            await there.call("bob")
            assert await there.post({"type": "chat", "data": "hi"}) == (204, "")
            assert await there.post({}) == (204, "")
            (first, second), of_ann = await there.told("bob"), await there.told("ann")
            assert of_ann == [first, second]
            assert said(of_ann) == [("chat", "hi"), ("", "")]
            assert (first.call, first.seq) == (CALL, None)
            assert first.id != second.id
            assert await there.told("cat") == []

    run(scenario)


def test_signal_to_one_arrives_there_only() -> None:
    """VZ-002."""

    async def scenario() -> None:
        async with room() as there:
            await there.call("bob", "cat")
            assert await there.post({"data": "hi"}, to="bob@localhost") == (204, "")
            assert said(await there.told("bob")) == [("", "hi")]
            assert await there.told("ann") == await there.told("cat") == []

    run(scenario)


DATA = {
    "marks": "<&>\"' ]]> &#13; \\",
    "line_ends": ' "a"\r\nb\rc\n\td\\ ',
    "emoji": "😀 é\x85\u2028\ufeff",
    "longest": "é" * 4096,
    "longest_escaped": '\r"' * 4096,
    "empty": "",
}


def test_data_arrives_character_for_character() -> None:
    """VS-007, VS-009, VS-010, for signals of the server; also the longest type."""

    async def scenario() -> None:
        async with room() as there:
            await there.call("bob")
            for data in DATA.values():
                assert await there.post({"type": "Aa0-_~" + "t" * 122, "data": data}) == (204, "")
                assert await there.post(json.dumps({"data": data}, ensure_ascii=False)) == (204, "")
            got = [message.data for message in await there.told("bob")]
            assert got == [data for data in DATA.values() for _ in range(2)]

    run(scenario)


REFUSED: dict[str, tuple[int, object]] = {
    "data too long": (413, {"data": "x" * 8193}),
    "data too long in bytes": (413, {"data": "é" * 4097}),
    "type too long": (413, {"type": "t" * 129}),
    "body too long": (413, "{" + " " * 70_000 + "}"),
    "data is judged first": (413, {"type": "a b", "data": "x" * 8193}),
    "no body": (400, ""),
    "no JSON": (400, "{"),
    "garbage behind": (400, "{} x"),
    "deep": (400, "[" * 60_000),
    "list": (400, []),
    "list of text": (400, ["type"]),
    "null": (400, "null"),
    "number": (400, "7"),
    "unknown property": (400, {"typ": "chat"}),
    "type no text": (400, {"type": 7}),
    "data no text": (400, {"data": {"a": "b"}}),
    "data null": (400, {"data": None}),
    "type with a space": (400, {"type": "a b"}),
    "type with a dot": (400, {"type": "a.b"}),
    "type with a letter of elsewhere": (400, {"type": "é"}),
    "data with a control": (400, {"data": "a\x00b"}),
    "data with another control": (400, '{"data": "\x0b"}'),
    "data with no character": (400, {"data": "\uffff"}),
    "data with half a character": (400, '{"data": "\\ud800"}'),
    "data that is no UTF-8": (400, '{"data": "\ud800"}'),
    "hidden list": (400, '{"__array": 7}'),
}


def test_wrong_body_is_refused() -> None:
    """VZ-004, VZ-005."""

    async def scenario() -> None:
        async with room() as there:
            await there.call("bob")
            answers = {name: await there.post(body) for name, (_, body) in REFUSED.items()}
            assert {name: code for name, (code, _) in answers.items()} == {
                n: code for n, (code, _) in REFUSED.items()
            }
            assert all(why.endswith("\n") for _, why in answers.values())
            assert await there.told("bob") == []
            assert "error" not in there.log()

    run(scenario)


def test_unknown_call_or_user_is_404() -> None:
    """VZ-003."""

    async def scenario() -> None:
        async with room() as there:
            assert (await there.post({}))[0] == 404, "nobody called"
            await there.call("bob")
            for to in ("cat@localhost", "bob", "", "@", "bob@localhost/phone"):
                assert (await there.post({}, to=to))[0] == 404, to
            for call in ("", CALL.upper(), "x", f"{CALL}/bob@localhost/more"):
                assert (await there.post({}, call=call))[0] == 404, call
            assert (await there.post({}, to="BOB@localhost"))[0] == 204
            assert len(await there.told("bob")) == 1

    run(scenario)


def test_without_the_token_is_403() -> None:
    """VZ-005."""

    async def scenario() -> None:
        async with room() as there:
            await there.call("bob")
            token = there.server.signals_token
            for wrong in ("", token, "Bearer", "Bearer ", "Bearer x", f"Bearer {token[:-1]}", f"Basic {token}"):
                assert (await there.post({}, Authorization=wrong))[0] == 403, wrong
            assert (await there.post({}, Authorization=f"bearer {token}"))[0] == 204
            from_afar = {"X-Forwarded-For": "192.0.2.1"}
            assert (await there.post({}, **from_afar))[0] == 403, "a proxy on this machine lets somebody else in"
            assert (await there.post({}, call="x", Authorization="Bearer x"))[0] == 403, "calls are not told"
            assert len(await there.told("bob")) == 1

    run(scenario)


def test_other_methods_are_not_served() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            headers = {"Authorization": f"Bearer {server.signals_token}", "Origin": "https://example.org"}
            for method in ("GET", "PUT", "DELETE", "OPTIONS"):
                status, _ = await asyncio.to_thread(request, method, f"{server.signals_url}/x", b"", headers)
                assert status in (404, 405), method

    run(scenario)


# -- who is in a call ------------------------------------------------------------------------------------------------


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


# -- nobody else is the server ---------------------------------------------------------------------------------------

FORGED = (
    "<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>update</signalType>"
    "<sessionID>one</sessionID><userInfo><sigType>chat</sigType><sigData>{}</sigData></userInfo></extraParams>"
)


def test_client_cannot_pass_for_the_server() -> None:
    """VZ-006."""

    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, heard, device),
            stranger(settings(server)) as ann,
        ):
            senders = (
                "localhost",
                "LOCALHOST",
                "localhost/x",
                "@localhost",
                "",
                "bob@localhost",
                "signals.localhost",
            )
            for number, sender in enumerate(senders):
                for to in (device, "bob@localhost"):
                    body = FORGED.format(number)
                    ann.write(f"<message from='{sender}' to='{to}' type='headline' id='x'>{body}</message>")
            await flushed(ann, bob)
            arrived = heard.all(Arrived)
            assert heard.all(FromServer) == []
            assert all(what.sender == "ann@localhost" for what in arrived)
            shown: list[Any] = [what.signal for what in arrived]
            assert [message.data for message in shown] == [str(n) for n in range(len(senders)) for _ in range(2)]

    run(scenario)
