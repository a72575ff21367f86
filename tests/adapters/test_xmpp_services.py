"""STUN and TURN servers that a chat server names (XEP-0215)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import cast
from xml.etree.ElementTree import Element, SubElement

import pytest
from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Iq

from qbcall.adapters import xmpp_services
from qbcall.adapters.rtc_addresses import IceServer
from qbcall.adapters.xmpp import XmppLink
from qbcall.adapters.xmpp_services import MAX_SERVICES, MIN_INTERVAL, RETRY_INTERVAL, ask, pause, read_services
from qbcall.core.inputs import LinkBroke, LinkUp
from qbcall.devserver import DevServer
from qbcall.devserver_files import ExternalService
from tests.adapters import xmpp_room as room
from tests.adapters.inbox import Inbox
from tests.adapters.xmpp_room import PATIENCE, run, stranger
from tests.media import virtual_clock
from tests.prosody import NEEDS_PROSODY, settings

NAMESPACE = "urn:xmpp:extdisco:2"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TURN = {"type": "turn", "host": "turn.example.org", "username": "ann", "password": "pw"}
SECRET = "shared with the TURN server"
RELAY = ExternalService(type="turn", host="127.0.0.1", port=3478, secret=SECRET, ttl=600)
STUN = ExternalService(type="stun", host="127.0.0.1", port=3478)


def answer(*services: dict[str, str]) -> Element:
    iq = Element("{jabber:client}iq", type="result")
    told = SubElement(iq, f"{{{NAMESPACE}}}services")
    for service in services:
        SubElement(told, f"{{{NAMESPACE}}}service", service)
    return iq


def urls(servers: Iterable[IceServer]) -> list[str]:
    return [url for server in servers for url in server.urls]


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "url"),
    [
        ({"type": "stun", "host": "stun.example.org"}, "stun:stun.example.org:3478"),
        ({"type": "stun", "host": "192.0.2.1", "port": "3479", "transport": "udp"}, "stun:192.0.2.1:3479"),
        ({"type": "stuns", "host": "stun.example.org"}, "stuns:stun.example.org:5349"),
        (TURN, "turn:turn.example.org:3478?transport=udp"),
        (TURN | {"transport": "TCP", "port": "80"}, "turn:turn.example.org:80?transport=tcp"),
        (TURN | {"type": "turns"}, "turns:turn.example.org:5349?transport=tcp"),
        (TURN | {"type": "turns", "transport": "udp"}, "turns:turn.example.org:5349?transport=udp"),
    ],
)
def test_service_becomes_the_url_of_its_type(service: dict[str, str], url: str) -> None:
    services = read_services(answer(service))
    assert urls(services.servers) == [url]
    assert not services.ignored


def test_credentials_belong_to_relays_only() -> None:
    services = read_services(answer(TURN, TURN | {"type": "stun"}))
    found = {server.urls[0].partition(":")[0]: (server.username, server.credential) for server in services.servers}
    assert found == {"turn": ("ann", "pw"), "stun": (None, None)}


def test_servers_come_in_the_order_of_preference() -> None:
    """The first STUN and the first TURN server are the ones that aiortc uses."""
    named = [("turns", "tcp"), ("turn", "tcp"), ("stuns", "tcp"), ("turn", "udp"), ("stun", "udp")]
    services = read_services(answer(*(TURN | {"type": kind, "transport": how} for kind, how in named)))
    assert [url.partition(":")[0] + url[-3:] for url in urls(services.servers)] == [
        "stun478",
        "turnudp",
        "turntcp",
        "turnstcp",
        "stuns349",
    ]


def test_first_of_equals_stays_first() -> None:
    services = read_services(answer(TURN | {"host": "near"}, TURN | {"host": "far"}))
    assert [url.split(":")[1] for url in urls(services.servers)] == ["near", "far"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"host": ""}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "turn.example.org?transport=tcp"}, "host"),
        ({"host": "user@turn.example.org"}, "host"),
        ({"host": "x" * 254}, "host"),
        ({"host": "2001:db8::1"}, "host"),
        ({"port": "0"}, "port"),
        ({"port": "65536"}, "port"),
        ({"port": "-1"}, "port"),
        ({"port": "٣٤٧٨"}, "port"),
        ({"port": "3478 "}, "port"),
        ({"port": "9" * 5000}, "port"),
        ({"transport": "sctp"}, "transport"),
        ({"type": "stun", "transport": "tcp"}, "transport"),
        ({"username": ""}, "credentials"),
        ({"password": ""}, "credentials"),
        ({"username": "", "password": "", "restricted": "1"}, "credentials"),
        ({"username": "ä" * 255}, "credentials"),
        ({"expires": "soon"}, "expires"),
        ({"expires": "2026-03-01T12:00:00"}, "expires"),
    ],
)
def test_garbage_is_ignored_and_counted(changed: dict[str, str], reason: str) -> None:
    services = read_services(answer(TURN | changed, TURN | {"host": "good"}))
    assert urls(services.servers) == ["turn:good:3478?transport=udp"]
    assert services.ignored == {reason: 1}


def test_other_services_are_passed_over() -> None:
    services = read_services(answer({"type": "ftp", "host": "ftp.example.org"}, {}))
    assert services.servers == ()
    assert not services.ignored


def test_answer_without_services_names_none() -> None:
    assert read_services(Element("{jabber:client}iq")).servers == ()
    foreign = Element("{jabber:client}iq")
    SubElement(SubElement(foreign, "services"), "service", TURN)
    assert read_services(foreign).servers == ()


def test_services_beyond_the_limit_are_ignored() -> None:
    services = read_services(answer(*[TURN] * 1000))
    assert len(services.servers) == MAX_SERVICES
    assert services.ignored == {"too many": 1000 - MAX_SERVICES}


def test_first_expiry_counts() -> None:
    """XEP-0082: with fractions of a second, and in any time zone."""
    texts = ["2026-03-01T14:00:00Z", "2026-03-01T14:00:00.5+02:00", "2026-03-01T13:00:00Z"]
    services = read_services(answer(TURN, *(TURN | {"expires": text} for text in texts)))
    assert services.expires == NOW + timedelta(seconds=0.5)
    assert read_services(answer(TURN)).expires is None


def test_expiry_of_what_cannot_be_used_does_not_count() -> None:
    bad = TURN | {"host": "", "expires": "2026-03-01T12:00:00Z"}
    assert read_services(answer(TURN, bad)).expires is None


@pytest.mark.parametrize(
    ("left", "seconds"), [(1000.0, 800.0), (20.0, MIN_INTERVAL), (0.0, MIN_INTERVAL), (-86400.0, MIN_INTERVAL)]
)
def test_question_is_repeated_before_the_expiry_but_not_often(left: float, seconds: float) -> None:
    assert pause(NOW + timedelta(seconds=left), NOW) == seconds


def test_nothing_that_expires_needs_no_other_question() -> None:
    assert pause(None, NOW) is None


# -- when it is asked, on a virtual clock ----------------------------------------------------------------------------


def iq_of(xml: Element | None = None) -> Iq:
    iq: Iq = Iq(xml=xml)  # type: ignore[no-untyped-call]  # not annotated
    return iq


def failed(kind: str) -> Exception:
    iq = iq_of()
    iq["type"] = "error"
    iq["error"]["type"] = kind
    iq["error"]["condition"] = "internal-server-error"
    error: Exception = IqError(iq)  # type: ignore[no-untyped-call]  # not annotated
    return error


def unanswered() -> Exception:
    error: Exception = IqTimeout(iq_of())  # type: ignore[no-untyped-call]  # not annotated
    return error


def expiring(seconds: float) -> Iq:
    return iq_of(answer(TURN | {"expires": (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()}))


def asked_at(monkeypatch: pytest.MonkeyPatch, *outcomes: Iq | Exception) -> tuple[list[float], list[int]]:
    """Seconds at which it is asked if these are the answers, and how many servers are told; the last ends it."""
    times: list[float] = []
    told: list[int] = []

    async def scenario(loop: virtual_clock.VirtualClockLoop) -> None:
        left = iter(outcomes)
        started = loop.now

        def answered(_: ClientXMPP) -> asyncio.Future[Iq]:
            reply: asyncio.Future[Iq] = loop.create_future()
            times.append(loop.now - started)
            outcome = next(left)
            if isinstance(outcome, Exception):
                reply.set_exception(outcome)
            else:
                reply.set_result(outcome)
            return reply

        monkeypatch.setattr(xmpp_services, "ask", answered)
        no_stream = cast(ClientXMPP, None)  # only `ask` uses it
        await xmpp_services.watch_services(no_stream, lambda servers: told.append(len(servers)))

    virtual_clock.run(scenario)
    return times, told


def test_question_is_asked_again_at_80_percent_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times, told = asked_at(monkeypatch, expiring(1000), expiring(100), expiring(1), iq_of(answer(TURN, TURN)))
    assert times == pytest.approx([0, 800, 880, 910], abs=0.5)
    assert told == [1, 1, 1, 2]


def test_server_that_cannot_answer_now_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    times, told = asked_at(monkeypatch, failed("wait"), unanswered(), iq_of(answer(TURN)))
    assert times == [0, RETRY_INTERVAL, 2 * RETRY_INTERVAL]
    assert told == [1]


def test_server_that_has_no_services_any_more_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    times, told = asked_at(monkeypatch, expiring(100), failed("cancel"))
    assert times == pytest.approx([0, 80], abs=0.5)
    assert told == [1, 0]


# -- with a real server ----------------------------------------------------------------------------------------------


class Told:
    """What the link tells, one answer after the other."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Sequence[IceServer]] = asyncio.Queue()

    def __call__(self, servers: tuple[IceServer, ...]) -> None:
        self.answers.put_nowait(servers)

    async def next(self) -> Sequence[IceServer]:
        return await asyncio.wait_for(self.answers.get(), PATIENCE)


@asynccontextmanager
async def linked(server: DevServer) -> AsyncIterator[tuple[XmppLink, Inbox, Told]]:
    """A link that is up."""
    told = Told()
    async with room.linked(settings(server), told) as (link, inbox):
        link.dial()
        await inbox.next(LinkUp)
        yield link, inbox, told


@NEEDS_PROSODY
def test_servers_are_there_once_the_link_is_up() -> None:
    """A call that is made at once must have them; credentials are those of coturn's `use-auth-secret`."""

    async def scenario() -> None:
        async with DevServer(external_services=[RELAY, STUN]) as server, linked(server) as (_, _, told):
            stun, turn = told.answers.get_nowait()
            assert (*stun.urls, *turn.urls) == ("stun:127.0.0.1:3478", "turn:127.0.0.1:3478?transport=udp")
            assert turn.username is not None
            assert 0 < int(turn.username) - datetime.now(UTC).timestamp() <= 600
            digest = hmac.digest(SECRET.encode(), turn.username.encode(), hashlib.sha1)
            assert turn.credential == base64.b64encode(digest).decode()

    run(scenario)


@NEEDS_PROSODY
def test_fixed_credentials_are_told_as_they_are() -> None:
    relay = ExternalService(
        type="turns", host="turn.example.org", port=443, transport="tcp", username="u", password='"]]'
    )

    async def scenario() -> None:
        async with DevServer(external_services=[relay]) as server, linked(server) as (_, _, told):
            [turn] = told.answers.get_nowait()
            assert turn.urls == ("turns:turn.example.org:443?transport=tcp",)
            assert (turn.username, turn.credential) == ("u", '"]]')

    run(scenario)


@NEEDS_PROSODY
def test_server_without_xep_0215_names_none() -> None:
    async def scenario() -> None:
        async with DevServer() as server, linked(server) as (link, inbox, told):
            assert told.answers.get_nowait() == ()
            await link.round_trip()
            assert inbox.unread == []
            assert told.answers.empty()

    run(scenario)


@NEEDS_PROSODY
def test_server_that_does_not_answer_delays_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmpp_services, "ask", lambda _: asyncio.get_running_loop().create_future())

    async def scenario() -> None:
        async with DevServer() as server, linked(server) as (_, _, told):
            assert told.answers.empty()

    run(scenario)


@NEEDS_PROSODY
def test_what_expires_is_asked_for_again_on_the_same_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmpp_services, "MIN_INTERVAL", 0.1)
    relay = ExternalService(type="turn", host="127.0.0.1", port=3478, secret=SECRET, ttl=1)

    async def scenario() -> None:
        async with DevServer(external_services=[relay]) as server, linked(server) as (_, inbox, told):
            names: set[str | None] = set()
            while len(names) < 2:
                [turn] = await told.next()
                names.add(turn.username)
            assert inbox.unread == []

    run(scenario)


@NEEDS_PROSODY
def test_each_login_asks_again() -> None:
    async def scenario() -> None:
        async with DevServer(external_services=[STUN]) as server, linked(server) as (link, inbox, told):
            assert len(await told.next()) == 1
            await server.restart()
            await inbox.next(LinkBroke)
            link.dial()
            await inbox.next(LinkUp)
            assert len(told.answers.get_nowait()) == 1

    run(scenario)


@NEEDS_PROSODY
@pytest.mark.parametrize(
    ("sender", "taken"), [("bob@localhost/x", 3478), ("localhost.example.org", 3478), ("localhost", 1)]
)
def test_only_the_own_server_answers(sender: str, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even who knows the id of the question; the answer of the server comes second here."""
    forged = (
        f"<iq type='result' id='known' from='{sender}'><services xmlns='{NAMESPACE}'>"
        "<service type='stun' host='127.0.0.1' port='1'/></services></iq>"
    )

    async def scenario() -> None:
        async with DevServer(external_services=[STUN]) as server, stranger(settings(server)) as stream:
            monkeypatch.setattr(stream, "new_id", lambda: "known")
            reply = ask(stream)
            stream.data_received(forged.encode())
            answer = await asyncio.wait_for(reply, PATIENCE)
            assert urls(read_services(answer.xml).servers) == [f"stun:127.0.0.1:{taken}"]

    run(scenario)
