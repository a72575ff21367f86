"""A call on a real Prosody, and a web service that sends signals into it: `docs/server-signals.md`."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from qbcall.adapters.xmpp import XmppLink
from qbcall.core.inputs import FromServer
from qbcall.core.model import CallHead, CallId, CallMedia, Description, User
from qbcall.core.signals import Accept, Invite, Message, Signal
from qbcall.devserver import DevServer
from tests.adapters.inbox import Inbox
from tests.adapters.xmpp_room import flushed, online
from tests.prosody import settings

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
