"""Asks the chat server for STUN and TURN servers: External Service Discovery (XEP-0215)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Iq

from qbcall.adapters.rtc_addresses import IceServer
from qbcall.errors import InvalidArgument

log = logging.getLogger("qbcall.adapters.xmpp")

EXTDISCO = "{urn:xmpp:extdisco:2}"
MAX_SERVICES = 16
"""That are used of one answer."""
MAX_CREDENTIAL = 508
"""Bytes of a user name (RFC 8489, section 14.3), and of a password."""
ANSWER_TIMEOUT = 10.0
"""Seconds that the server may take to answer."""
ASK_AGAIN = 0.8
"""Part of the time until the first expiry, after which the server is asked again."""
MIN_INTERVAL = 30.0
"""Seconds between two questions at least, however soon something expires."""
RETRY_INTERVAL = 60.0
"""Seconds until a question that was not answered is asked again."""
PORTS = {"stun": 3478, "turn": 3478, "stuns": 5349, "turns": 5349}
"""Where a service listens if its port is not told (RFC 7064, RFC 7065)."""
PREFERENCE = (
    ("stun", "udp"),
    ("turn", "udp"),
    ("turn", "tcp"),
    ("turns", "tcp"),
    ("turns", "udp"),
    ("stuns", "tcp"),
)
"""Types with their transports. Earlier ones come first: media over TCP waits for every lost packet. aioice does not
know the last two. The first transport of a type is the one that is meant if none is told."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")

TellServers = Callable[[tuple[IceServer, ...]], None]
"""Takes the servers of the latest answer, in the order of preference; none: the chat server names none."""


@dataclass(frozen=True, slots=True)
class Services:
    """What an answer names."""

    servers: tuple[IceServer, ...]
    expires: datetime | None
    """When the first of them expires; None: none does."""
    ignored: Counter[str]
    """Services that cannot be used, by the reason."""


def watch_services(stream: ClientXMPP, tell: TellServers) -> asyncio.Task[None]:
    """Ask now, and again before what was named expires, until the task is cancelled.

    The question is written before this returns. Servers answer in order, so the answer is there before that of
    whatever is asked next: a login that ends with a ping has its servers, and waits for nothing more.
    """
    return asyncio.get_running_loop().create_task(_watch(stream, tell, ask(stream)))


def ask(stream: ClientXMPP) -> asyncio.Future[Iq]:
    """Write the question to the server of the account; slixmpp takes an answer with its id from no user."""
    iq = stream.make_iq_get(ito=stream.boundjid.domain)
    SubElement(iq.xml, f"{EXTDISCO}services")
    reply: asyncio.Future[Iq] = iq.send(timeout=ANSWER_TIMEOUT)  # type: ignore[no-untyped-call]  # not annotated
    return reply


def read_services(answer: Element) -> Services:
    """The STUN and TURN servers in an answer. Other services, e.g. for files, are passed over."""
    found: list[tuple[int, IceServer]] = []
    expiries: list[datetime] = []
    ignored: Counter[str] = Counter()
    for service in answer.iterfind(f"{EXTDISCO}services/{EXTDISCO}service"):
        if service.get("type") not in PORTS:
            continue
        if len(found) == MAX_SERVICES:
            ignored["too many"] += 1
            continue
        try:
            expiry = _expiry(service)
            found.append(_server(service))
        except Unusable as reason:
            ignored[str(reason)] += 1
            continue
        if expiry is not None:
            expiries.append(expiry)
    found.sort(key=lambda ranked: ranked[0])
    return Services(tuple(server for _, server in found), min(expiries, default=None), ignored)


def pause(expires: datetime | None, now: datetime) -> float | None:
    """Seconds until the server is asked again; None: no more on this connection.

    What has expired by this machine's clock is used all the same: the server just named it, so one clock is wrong.
    """
    return None if expires is None else max(MIN_INTERVAL, ASK_AGAIN * (expires - now).total_seconds())


class Unusable(Exception):
    """A service that cannot be used: what is wrong with it."""


async def _watch(stream: ClientXMPP, tell: TellServers, reply: asyncio.Future[Iq]) -> None:
    while (seconds := await _hear(reply, tell)) is not None:
        await asyncio.sleep(seconds)
        reply = ask(stream)


async def _hear(reply: asyncio.Future[Iq], tell: TellServers) -> float | None:
    """Tell what is answered; gives back the seconds until the next question, None: no more on this connection."""
    try:
        answer = await reply
    except IqTimeout:
        return RETRY_INTERVAL
    except IqError as error:
        log.debug("the chat server names no STUN or TURN servers: %s", error.condition)
        if error.etype == "wait":
            return RETRY_INTERVAL
        tell(())
        return None
    services = read_services(answer.xml)
    if services.ignored:
        log.info("STUN and TURN servers that cannot be used: %s", dict(services.ignored))
    tell(services.servers)
    return pause(services.expires, datetime.now(UTC))


def _server(service: Element) -> tuple[int, IceServer]:
    """A server, and its place in the order of preference."""
    kind = service.get("type", "")
    usual = next(transport for known, transport in PREFERENCE if known == kind)
    transport = service.get("transport", usual).lower()
    if (kind, transport) not in PREFERENCE:
        raise Unusable("transport")
    place = f"{kind}:{_host(service)}:{_port(service)}"
    username, password = _credentials(service)
    relay = kind.startswith("turn")
    try:
        server = IceServer(
            urls=(f"{place}?transport={transport}" if relay else place,),
            username=username if relay else None,
            credential=password if relay else None,
        )
    except InvalidArgument:  # aiortc has no IPv6 in its URLs
        raise Unusable("host") from None
    return PREFERENCE.index((kind, transport)), server


def _host(service: Element) -> str:
    """As it is written in an URL (RFC 3986, section 3.2.2)."""
    host = service.get("host", "")
    try:
        return f"[{ipaddress.IPv6Address(host.strip('[]'))}]"
    except ValueError:
        pass
    if not _NAME.fullmatch(host):
        raise Unusable("host")
    return host


def _port(service: Element) -> int:
    text = service.get("port")
    if text is None:
        return PORTS[service.get("type", "")]
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise Unusable("port")
    return int(text)


def _credentials(service: Element) -> tuple[str | None, str | None]:
    """User name and password, or neither.

    A service that needs some, but names none, wants another question (XEP-0215, section 3.3), which no server of
    today makes necessary.
    """
    username, password = service.get("username") or None, service.get("password") or None
    if any(len(text.encode()) > MAX_CREDENTIAL for text in (username, password) if text):
        raise Unusable("credentials")
    if (username is None) != (password is None):
        raise Unusable("credentials")
    if username is None and service.get("restricted") in ("1", "true"):
        raise Unusable("credentials")
    return username, password


def _expiry(service: Element) -> datetime | None:
    """When the credentials expire (XEP-0082)."""
    text = service.get("expires")
    if text is None:
        return None
    try:
        expiry = datetime.fromisoformat(text)
    except ValueError:
        raise Unusable("expires") from None
    if expiry.tzinfo is None:
        raise Unusable("expires")
    return expiry
