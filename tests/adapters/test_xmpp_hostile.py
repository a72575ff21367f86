"""What a server says after the login may end the link, and nothing else: no hang, no endless memory, no exception."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from qbcall.adapters.xmpp import XmppLink
from qbcall.adapters.xmpp_login import MAX_STANZA_BYTES
from qbcall.core.inputs import Arrived, LinkBroke, LinkUp
from qbcall.core.signals import End
from qbcall.devserver import DevServer
from qbcall.errors import LinkDown
from tests.adapters.inbox import Inbox
from tests.adapters.wire_proxy import WireProxy
from tests.adapters.xmpp_room import ANN, HEAD, flushed, online, run
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = NEEDS_PROSODY

END = End(call=HEAD.call)
REFUSED_WITHIN = 5.0
"""Seconds."""
STREAMS = "http://etherx.jabber.org/streams"
BOMB = "<!DOCTYPE m [<!ENTITY a 'aaaaaaaaaa'>{}]><m>&i;</m>".format(
    "".join(f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in zip("abcdefgh", "bcdefghi", strict=True))
)
"""A billion letters once it is expanded."""


@asynccontextmanager
async def behind_proxy(server: DevServer, **changed: object) -> AsyncIterator[tuple[WireProxy, XmppLink, Inbox]]:
    async with (
        WireProxy(server.port) as proxy,
        online(settings(server, "ann", port=proxy.port, **changed)) as (ann, told, _),
    ):
        yield proxy, ann, told


@pytest.mark.parametrize(
    "said",
    [
        b"<!DOCTYPE message><message/>",
        b"<!DOCTYPE m [<!ENTITY a 'x'>]><message>&a;</message>",
        BOMB.encode(),
        b"<message>&unheard;</message>",
        b"<message></iq>",
        b"<message a='1' a='2'/>",
        b"<message>\x00</message>",
        b"<message>\xff\xfe</message>",
        b"<unbound:message/>",
        b"<?xml version='1.0'?>",
        b"no xml at all <<",
        b"</stream:stream>",
        b"</stream:stream><message/>",
        b"<stream:error/>",
        f"<error xmlns='{STREAMS}'><unheard xmlns='of'/></error>".encode(),
        f"<error xmlns='{STREAMS}'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>".encode(),
        b"<a xmlns='urn:xmpp:sm:3' h='99999'/>",
        b"<message>" + b"x" * MAX_STANZA_BYTES,
        b"<message " + b"".join(b"a%d='' " % number for number in range(80_000)),
        b"<message>" + b"<a>" * 200_000,
        b" " * (MAX_STANZA_BYTES + 100_000),
    ],
    ids=lambda said: said[:24].decode("latin-1"),
)
def test_what_makes_no_stream_ends_the_link_and_the_next_is_good(said: bytes) -> None:
    async def scenario() -> None:
        async with DevServer() as server, behind_proxy(server) as (proxy, ann, told):
            proxy.inject(said)
            broke = await told.next(LinkBroke, REFUSED_WITHIN)
            assert isinstance(broke.reason, LinkDown)
            assert not broke.fatal
            ann.dial()
            await told.next(LinkUp)
            await flushed(ann)
            assert told.unread == []

    run(scenario)


def odd_stanzas() -> Iterator[str]:
    tls = "urn:ietf:params:xml:ns:xmpp-tls"
    sasl, bind, sm = "urn:ietf:params:xml:ns:xmpp-sasl", "urn:ietf:params:xml:ns:xmpp-bind", "urn:xmpp:sm:3"
    for name in ("success", "failure", "challenge", "unheard"):
        yield f"<{name} xmlns='{sasl}'/>"
    for name in ("enabled", "failed", "resumed", "a", "unheard"):
        yield f"<{name} xmlns='{sm}'/>"
        yield f"<{name} xmlns='{sm}' h='-1' id='' resume='x' previd='&lt;'/>"
    for name in ("message", "presence", "iq"):
        for kind in ("", "error", "result", "set", "get", "subscribe", "unheard"):
            yield f"<{name} type='{kind}'/>"
            odd = f"type='{kind}' from='@@/' to='&lt;' id='&quot;&lt;'"
            yield f"<{name} {odd}><query xmlns='jabber:iq:roster'/></{name}>"
    yield f"<proceed xmlns='{tls}'/>"
    yield f"<iq type='result'><bind xmlns='{bind}'><jid>eve@localhost/x</jid></bind></iq>"
    yield "<unheard/>"
    plain = f"<mechanisms xmlns='{sasl}'><mechanism>PLAIN</mechanism></mechanisms>"
    for feature in (plain, f"<bind xmlns='{bind}'/>", f"<starttls xmlns='{tls}'/>", ""):
        yield f"<features xmlns='{STREAMS}'>{feature}</features>"
    yield "<message xmlns='of'/>"
    yield f"<message>{'<a>' * 5000}{'</a>' * 5000}</message>"


def test_odd_stanzas_change_nothing() -> None:
    """Without Stream Management, where Prosody would find that more was counted than it sent."""

    async def scenario() -> None:
        async with (
            DevServer() as server,
            behind_proxy(server, stream_management=False) as (proxy, ann, told),
            online(settings(server, "bob")) as (bob, _, _),
        ):
            for said in odd_stanzas():
                proxy.inject(said.encode())
                await flushed(ann)
                assert told.unread == [], said
            bob.send(ANN, HEAD, END)
            assert (await told.next(Arrived)).signal == END

    run(scenario)
