"""Nobody but the chat server, and the components that are named, sends signals as the server (VZ-006)."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from typing import Any

from qbcall.core.inputs import Arrived, FromServer
from qbcall.core.model import User
from qbcall.core.signals import Message
from qbcall.devserver import DevServer
from tests.adapters.xmpp_room import HEAD, flushed, online, run, stranger
from tests.component import Component, component
from tests.ejabberd import NEEDS_EJABBERD, Ejabberd
from tests.prosody import NEEDS_PROSODY, settings

FORGED = (
    "<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>update</signalType>"
    "<sessionID>one</sessionID><userInfo><sigType>chat</sigType><sigData>{}</sigData></userInfo></extraParams>"
)


@NEEDS_PROSODY
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


@NEEDS_PROSODY
def test_client_named_like_the_server_cannot_pass_for_it() -> None:
    """VZ-006."""

    async def scenario() -> None:
        async with (
            DevServer(("bob", "localhost")) as server,
            online(settings(server, "bob")) as (bob, heard, _),
            online(settings(server, "localhost", resource="localhost")) as (other, _, device),
        ):
            assert device == "localhost@localhost/localhost"
            said = Message(call=HEAD.call, type="chat", data="hi", id="1", seq=None)
            other.send(User("bob@localhost"), HEAD, said)
            await flushed(other, bob)
            (arrived,) = heard.all(Arrived)
            assert (arrived.sender, arrived.signal) == ("localhost@localhost", said)
            assert heard.all(FromServer) == []

    run(scenario)


SIGNALS, OTHER = "signals.localhost", "other.localhost"


def connected(server: Ejabberd, domain: str) -> AbstractAsyncContextManager[Component]:
    return component(server.host, server.component_ports[domain], domain, server.components[domain])


def message(sender: str, data: str) -> str:
    return f"<message from='{sender}' to='bob@localhost' type='headline' id='x'>{FORGED.format(data)}</message>"


@NEEDS_EJABBERD
def test_component_that_is_named_speaks_for_the_server() -> None:
    """VZ-006: and only with its domain; without a name before it and without a resource behind it."""

    async def scenario() -> None:
        async with (
            Ejabberd(components=(SIGNALS,)) as server,
            online(server.settings("bob", trusted_components=(SIGNALS,))) as (_, heard, _),
            connected(server, SIGNALS) as one,
        ):
            for sender in (SIGNALS, f"{SIGNALS}/{SIGNALS}", f"bot@{SIGNALS}", SIGNALS.upper()):
                one.write(message(sender, sender))
            first, second, third = [await heard.next(kind) for kind in (FromServer, Arrived, FromServer)]
            assert isinstance(first, FromServer)
            assert isinstance(second, Arrived)
            assert isinstance(third, FromServer)
            assert [first.message.data, third.message.data] == [SIGNALS, SIGNALS.upper()]
            assert second.sender == f"bot@{SIGNALS}"

    run(scenario)


@NEEDS_EJABBERD
def test_component_that_is_not_named_cannot_pass_for_the_server() -> None:
    """VZ-006."""

    async def scenario() -> None:
        async with (
            Ejabberd(components=(SIGNALS, OTHER)) as server,
            online(server.settings("bob", trusted_components=(SIGNALS,))) as (bob, heard, _),
        ):
            async with connected(server, OTHER) as other:
                other.write(message(OTHER, "1"))
                other.write(message(f"bot@{OTHER}", "2"))
                assert (await heard.next(Arrived)).sender == f"bot@{OTHER}"
            for forged in ("localhost", SIGNALS):
                async with connected(server, OTHER) as other:
                    other.write(message(forged, "3"))
                    await other.read(re.compile(b"invalid-from"))
            await flushed(bob)
            assert heard.unread == []
            assert bob.ignored == {"not from a user": 1}

    run(scenario)
