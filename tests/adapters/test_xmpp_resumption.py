"""A link that broke and is dialed again goes on with its session where the server kept it (XEP-0198, section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from qbcall.adapters.xmpp import XmppLink
from qbcall.core.inputs import Arrived, Confirmed, LinkBroke, LinkUp
from qbcall.core.model import Device
from qbcall.core.signals import End, Update
from qbcall.devserver import DevServer
from qbcall.errors import LinkDown
from tests.adapters.inbox import Inbox
from tests.adapters.wire_proxy import Fault, Kind, WireProxy
from tests.adapters.xmpp_room import ANN, BOB, HEAD, flushed, online, run, stranger
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = NEEDS_PROSODY

END = End(call=HEAD.call)


def numbered(count: int) -> list[Update]:
    return [Update(call=HEAD.call, info={"n": str(n)}) for n in range(count)]


@asynccontextmanager
async def behind_proxy(server: DevServer, **changed: Any) -> AsyncIterator[tuple[WireProxy, XmppLink, Inbox, Device]]:
    """Ann is online through a proxy."""
    async with (
        WireProxy(server.port) as proxy,
        online(replace(settings(server, port=proxy.port), **changed)) as (ann, told, device),
    ):
        yield proxy, ann, told, device


@pytest.mark.parametrize("stream_management", [False, True])
def test_black_hole_is_noticed_within_5_s_after_something_was_sent(stream_management: bool) -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            behind_proxy(server, stream_management=stream_management) as (proxy, ann, told, _),
        ):
            proxy.swallow()
            ann.send(BOB, HEAD, END, 1)
            broke = await told.next(LinkBroke, patience=5.0)
            assert isinstance(broke.reason, LinkDown)
            assert "did not answer" in str(broke.reason)
            assert not broke.fatal

    run(scenario)


def test_idle_black_hole_is_noticed_within_15_s() -> None:
    """CH-004, CH-005."""

    async def scenario() -> None:
        async with DevServer() as server, behind_proxy(server) as (proxy, _, told, _):
            proxy.swallow()
            broke = await told.next(LinkBroke, patience=15.0)
            assert isinstance(broke.reason, LinkDown)
            assert not broke.fatal

    run(scenario)


@pytest.mark.parametrize("black_hole", [False, True])
def test_resumption_brings_what_others_sent_meanwhile_in_order(black_hole: bool) -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            behind_proxy(server, answer_timeout=0.3) as (proxy, ann, told, device),
            online(settings(server, "bob")) as (bob, heard, _),
        ):
            proxy.refusing = True
            if black_hole:
                proxy.swallow()
                ann.send(BOB, HEAD, END)
            else:
                proxy.cut()
            assert not (await told.next(LinkBroke)).fatal
            for update in numbered(20):
                bob.send(ANN, HEAD, update)
            await flushed(bob)
            ann.dial()
            assert not (await told.next(LinkBroke)).fatal, "nobody listens"
            proxy.refusing = False
            ann.dial()
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=True)
            for update in numbered(20):
                assert (await told.next(Arrived)).signal == update
            ann.send(BOB, HEAD, END, 1)
            assert (await told.next(Confirmed)).ticket == 1
            assert (await heard.next(Arrived)).device == device
            await flushed(ann)
            assert told.unread == heard.unread == []

    run(scenario)


def test_resumption_again_and_again() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            behind_proxy(server) as (proxy, ann, told, device),
            online(settings(server, "bob")) as (bob, heard, _),
        ):
            for ticket, update in enumerate(numbered(5), 1):
                proxy.cut()
                await told.next(LinkBroke)
                bob.send(ANN, HEAD, update)
                await flushed(bob)
                ann.dial()
                assert await told.next(LinkUp) == LinkUp(device=device, resumed=True)
                assert (await told.next(Arrived)).signal == update
                ann.send(BOB, HEAD, update, ticket)
                assert (await told.next(Confirmed)).ticket == ticket
                assert (await heard.next(Arrived)).signal == update

    run(scenario)


def test_session_in_which_the_server_is_deaf_is_given_up() -> None:
    """Prosody 0.12 after a stanza that was cut: it takes what follows for a part of it."""

    async def scenario() -> None:
        async with (
            DevServer() as server,
            behind_proxy(server) as (proxy, ann, told, device),
            online(settings(server, "bob")) as (_, heard, _),
        ):
            proxy.faults = iter([Fault(Kind.CUT, 2500)])
            proxy.cut()
            await told.next(LinkBroke)
            ann.dial()
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=True)
            ann.send(BOB, HEAD, Update(call=HEAD.call, info={"x": "x" * 3000}))
            await told.next(LinkBroke)
            ann.dial()
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=True)
            ann.send(BOB, HEAD, END, 1)
            broke = await told.next(LinkBroke, patience=3.0)
            assert not broke.fatal
            ann.dial()
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=False)
            ann.send(BOB, HEAD, END, 2)
            assert (await told.next(Confirmed)).ticket == 2
            assert (await heard.next(Arrived)).signal == END

    run(scenario)


def test_what_the_server_had_when_the_link_broke_is_confirmed_before_it_is_up_again() -> None:
    """Otherwise the core would send it twice."""

    async def scenario() -> None:
        async with (
            DevServer() as server,
            behind_proxy(server) as (proxy, ann, told, device),
            online(settings(server, "bob")) as (_, heard, _),
        ):
            proxy.swallow(upwards=False)
            for ticket, update in enumerate(numbered(5), 1):
                ann.send(BOB, HEAD, update, ticket)
            for update in numbered(5):
                assert (await heard.next(Arrived)).signal == update
            proxy.cut()
            await told.next(LinkBroke)
            ann.dial()
            assert (await told.next(Confirmed)).ticket == 5
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=True)
            await flushed(ann)
            assert told.unread == heard.unread == []

    run(scenario)


async def both_directions_work(ann: XmppLink, told: Inbox, server: DevServer) -> None:
    async with online(settings(server, "bob")) as (bob, heard, _):
        ann.send(BOB, HEAD, END, 99)
        assert (await told.next(Confirmed)).ticket == 99
        assert (await heard.next(Arrived)).signal == END
        bob.send(ANN, HEAD, END)
        assert (await told.next(Arrived)).signal == END


def test_killed_server_knows_nothing_of_the_session_and_the_login_is_new() -> None:
    """VR-007, CH-006."""

    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (ann, told, device):
            await server.kill()
            await told.next(LinkBroke)
            await server.restart()
            ann.dial()
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=False)
            await both_directions_work(ann, told, server)

    run(scenario)


def test_session_that_the_server_gave_up_is_followed_by_a_new_login() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            assert server.place
            config = server.place / "prosody.cfg.lua"
            text = config.read_text(encoding="utf-8")
            assert "smacks_hibernation_time = 30" in text
            config.write_text(text.replace("smacks_hibernation_time = 30", "smacks_hibernation_time = 1"))
            await server.restart()
            async with (
                behind_proxy(server) as (proxy, ann, told, device),
                stranger(settings(server, "bob")) as bob,
            ):
                proxy.refusing = True
                proxy.cut()
                await told.next(LinkBroke)
                bob.write(f"<iq to='{device}' type='get' id='gone'><ping xmlns='urn:xmpp:ping'/></iq>")
                async with asyncio.timeout(10):
                    # Prosody answers for a session that hibernates once it gives it up.
                    while not [xml for xml in bob.seen if xml.get("id") == "gone"]:
                        await bob.round_trip()
                proxy.refusing = False
                ann.dial()
                assert await told.next(LinkUp) == LinkUp(device=device, resumed=False)
                proxy.cut()
                await told.next(LinkBroke)
                ann.dial()
                assert await told.next(LinkUp) == LinkUp(device=device, resumed=True), "the new one"

    run(scenario)


def test_dropped_link_is_not_resumed() -> None:
    async def scenario() -> None:
        async with DevServer() as server, behind_proxy(server) as (proxy, ann, told, device):
            ann.drop()
            ann.dial()
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=False)
            proxy.cut()
            await told.next(LinkBroke)
            ann.drop()
            ann.dial()
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=False)

    run(scenario)


def test_without_stream_management_the_login_is_new() -> None:
    async def scenario() -> None:
        async with DevServer() as server, behind_proxy(server, stream_management=False) as (proxy, ann, told, device):
            proxy.cut()
            await told.next(LinkBroke)
            ann.dial()
            assert await told.next(LinkUp) == LinkUp(device=device, resumed=False)
            await both_directions_work(ann, told, server)

    run(scenario)


INFO = "http://jabber.org/protocol/disco#info"


def test_resumed_link_answers_requests_as_before() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            behind_proxy(server) as (proxy, ann, told, device),
            stranger(settings(server, "bob")) as bob,
        ):
            proxy.cut()
            await told.next(LinkBroke)
            ann.dial()
            assert (await told.next(LinkUp)).resumed
            await flushed(ann)
            bob.write(f"<iq to='{device}' type='get' id='p1'><query xmlns='{INFO}'/></iq>")
            await flushed(bob, ann, bob)
            (answer,) = [xml for xml in bob.seen if xml.get("id") == "p1"]
            assert {found.get("var") for found in answer.iter(f"{{{INFO}}}feature")} == {INFO, "urn:xmpp:ping"}

    run(scenario)
