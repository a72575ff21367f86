"""Links to a real server, and servers and clients that misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any
from xml.etree.ElementTree import Element

from qbcall.adapters.xmpp import XmppLink, XmppSettings
from qbcall.adapters.xmpp_services import TellServers
from qbcall.adapters.xmpp_stream import XmppStream
from qbcall.core.inputs import Contacts, Input, LinkBroke, LinkUp
from qbcall.core.model import CallHead, CallId, CallMedia, Device, User
from qbcall.dialects.quickblox import QuickBlox
from qbcall.errors import LinkError
from tests.adapters.inbox import Inbox

PATIENCE = 20.0
ANN, BOB = User("ann@localhost"), User("bob@localhost")
HEAD = CallHead(call=CallId("one"), caller=ANN, callees=(BOB,), media=CallMedia.VIDEO)
LOCAL = XmppSettings(jid="ann@localhost", password="right", host="127.0.0.1", plaintext=True)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario, and see that no task of it is left, and that nothing was raised that only the loop hears of."""
    unheard: list[dict[str, Any]] = []

    async def whole() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        async with asyncio.timeout(2 * PATIENCE):
            await scenario()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(whole())
    assert not unheard, unheard


@asynccontextmanager
async def linked(
    settings: XmppSettings, services: TellServers | None = None
) -> AsyncIterator[tuple[XmppLink, Inbox]]:
    """A link that has not dialed yet; closed at the end. What it tells about contacts is left out."""
    inbox = Inbox()

    def post(what: Input) -> None:
        if not isinstance(what, Contacts):
            inbox(what)

    link = XmppLink(settings, QuickBlox(User(settings.jid)), post, services)
    try:
        yield link, inbox
    finally:
        await link.close()


@asynccontextmanager
async def online(settings: XmppSettings) -> AsyncIterator[tuple[XmppLink, Inbox, Device]]:
    """A link that is up."""
    async with linked(settings) as (link, inbox):
        link.dial()
        yield link, inbox, (await inbox.next(LinkUp)).device


async def refusal(wanted: XmppSettings) -> LinkBroke:
    """The one thing that is posted when a login fails."""
    async with linked(wanted) as (link, inbox):
        link.dial()
        broke = await inbox.next(LinkBroke)
    assert inbox.unread == []
    return broke


async def flushed(*links: XmppLink | XmppStream) -> None:
    """Everything that was written before has arrived: the server works in order."""
    for link in links:
        await link.round_trip()


class Stranger(XmppStream):
    """A client that writes what it wants, and remembers every stanza it gets."""

    def __init__(self, settings: XmppSettings) -> None:
        self.seen: list[Element] = []
        self.ready: asyncio.Future[LinkUp] = asyncio.get_running_loop().create_future()
        super().__init__(
            settings,
            "stranger",
            up=self.ready.set_result,
            heard=lambda _: None,
            confirmed=lambda _: None,
            contacts=lambda _: None,
            ended=self._lost,
        )

    def _lost(self, reason: LinkError, fatal: bool) -> None:
        if not self.ready.done():
            self.ready.set_exception(reason)

    def incoming_filter(self, xml: Element) -> Element:
        self.seen.append(xml)
        return super().incoming_filter(xml)


@asynccontextmanager
async def stranger(settings: XmppSettings) -> AsyncIterator[Stranger]:
    """A stranger who is online."""
    one = Stranger(settings)
    try:
        one.start()
        await one.ready
        yield one
    finally:
        await one.leave()


HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='x'>"
PROCEED = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


def features(*mechanisms: str, starttls: bool = False) -> str:
    offered = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" if starttls else ""
    if mechanisms:
        names = "".join(f"<mechanism>{name}</mechanism>" for name in mechanisms)
        offered += f"<mechanisms xmlns='{SASL}'>{names}</mechanisms>"
    return f"<stream:features>{offered}</stream:features>"


class Impostor:
    """A server that answers each thing it hears with the next of its lines."""

    def __init__(self, lines: Sequence[str | Callable[[str], str]], tls: ssl.SSLContext | None) -> None:
        self.heard: list[str] = []
        """What the client wrote, in pieces."""
        self.port = 0
        self._lines = lines
        self._tls = tls

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = iter(self._lines)
        try:
            while data := await reader.read(65_536):
                text = data.decode("utf-8", "replace")
                self.heard.append(text)
                line = next(lines, "")
                answer = line if isinstance(line, str) else line(text)
                writer.write(answer.encode())
                await writer.drain()
                if self._tls and PROCEED in answer:
                    await writer.start_tls(self._tls)
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def impostor(
    *lines: str | Callable[[str], str], tls: ssl.SSLContext | None = None, direct: bool = False
) -> AsyncIterator[Impostor]:
    """A misbehaving server on loopback; with a context, it speaks TLS after `PROCEED`, or from the first byte."""
    one = Impostor(lines, tls)
    served: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.ensure_future(one.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls if direct else None)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*served)
