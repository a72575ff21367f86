"""Signals of the chat server into calls, over HTTP to those who are in them."""

from __future__ import annotations

import asyncio
import json

from qbcall.devserver import DevServer
from tests.adapters.xmpp_room import run
from tests.prosody import NEEDS_PROSODY
from tests.signals_room import CALL, request, room, said

pytestmark = NEEDS_PROSODY


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


def test_user_who_is_not_connected_is_404() -> None:
    """VZ-003."""

    async def scenario() -> None:
        async with room() as there:
            await there.call("bob")
            await there.links["bob"].close()
            assert (await there.post({}, to="bob@localhost"))[0] == 404
            assert (await there.post({}))[0] == 204, "ann is"
            await there.links["ann"].close()
            assert (await there.post({}))[0] == 404

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
