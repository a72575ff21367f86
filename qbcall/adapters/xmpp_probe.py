"""One login to look around: how far it comes, and what the chat server offers. For `qbcall doctor`."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element, SubElement

from slixmpp import ClientXMPP, InvalidJID
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Iq, Message, Presence, StreamFeatures
from slixmpp.xmlstream import StanzaBase
from slixmpp.xmlstream.resolver import default_resolver, get_SRV

from qbcall.adapters.rtc_addresses import IceServer
from qbcall.adapters.xmpp_acks import SM
from qbcall.adapters.xmpp_login import XmppLogin
from qbcall.adapters.xmpp_services import ask, read_services
from qbcall.adapters.xmpp_settings import CLIENT_PORT, XmppSettings
from qbcall.errors import AuthError, LinkError

ANSWER_TIMEOUT = 5.0
"""Seconds that the server may take to answer a question."""
LEAVE_TIMEOUT = 1.0
"""Seconds that the server may take to end its stream after we ended ours."""
SERVICES = ["xmpps-client", "xmpp-client"]
"""Names in DNS (XEP-0368; RFC 6120, section 3.2.1)."""
INFO = "{http://jabber.org/protocol/disco#info}"
"""XEP-0030."""
PING = "{urn:xmpp:ping}"
"""XEP-0199."""
TIME = "{urn:xmpp:time}"
"""XEP-0202."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chat server is said to be."""

    service: str
    """`xmpp-client`, `xmpps-client` (TLS from the first byte), or empty: not from an SRV record."""
    host: str
    port: int


@dataclass(kw_only=True)
class Findings:
    """How far a login came, and what it saw."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds from the beginning until it was `connected`, spoke `tls`, was in (`login`)."""
    peer: str = ""
    """Address that was connected to."""
    tls: str = ""
    """Version; empty: it was not spoken."""
    expires: datetime | None = None
    """When the certificate expires."""
    error: LinkError | None = None
    """What ended it before it was in."""
    distrust: ssl.SSLError | None = None
    """What TLS failed for, if `error` is about that."""
    stream_management: bool = False
    """XEP-0198."""
    features: frozenset[str] | None = None
    """What the server says it has (XEP-0030); None: it did not answer."""
    round_trip: float | None = None
    """Seconds."""
    services: tuple[IceServer, ...] | None = None
    """STUN and TURN servers that it names (XEP-0215); None: it does not have that."""
    unusable: dict[str, int] = field(default_factory=dict)
    """Services that it names and that cannot be used, by the reason."""
    skew: float | None = None
    """Seconds by which this machine's clock is ahead of the server's (XEP-0202); None: it does not tell its time."""


async def locate(settings: XmppSettings) -> list[Place]:
    """Where the server is: as configured, or as DNS says (SRV records, else the domain itself)."""
    if settings.address is not None:
        return [Place("", settings.address, settings.port or CLIENT_PORT)]
    resolver = default_resolver(asyncio.get_running_loop())
    records = await get_SRV(settings.domain, CLIENT_PORT, SERVICES, resolver=resolver) if resolver else []
    found = [Place(service, host, port) for service, host, port in records if service]
    return found or [Place("", settings.domain, CLIENT_PORT)]


async def probe(settings: XmppSettings) -> Findings:
    """Log in as calls do, ask, log out. No presence is sent: nobody calls this device."""
    try:
        one = _Probe(settings)
    except InvalidJID as error:
        return Findings(error=AuthError(f"{settings.jid}: {error}"))
    try:
        one.start()
        await one.done
    finally:
        await one.leave()
    return one.found


class _Probe(XmppLogin):
    def __init__(self, settings: XmppSettings) -> None:
        self.found = Findings()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = time.monotonic()
        super().__init__(settings, f"qbcall-doctor-{secrets.token_hex(4)}", self._note_end)
        self.whitespace_keepalive = False
        # As in `XmppStream`: it answers the push of a stranger with an error that slixmpp 1.17 cannot write.
        self.remove_handler("Roster Update")
        self.add_event_handler("session_start", self._on_session_start)

    async def leave(self) -> None:
        """Log out; nothing of it is left."""
        was_over, self._over = self._over, True
        if self.is_connected() and self.sessionstarted and not was_over:
            await ClientXMPP.disconnect(self, LEAVE_TIMEOUT)
        await self._clean_up()

    # -- what is noted -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport, send_event: bool = True) -> None:
        """Called by asyncio, and with STARTTLS by slixmpp a second time."""
        super().connection_made(transport, send_event)
        self._note("connected")
        self.found.peer = self.peer

    async def _handle_stream_features(self, features: StreamFeatures) -> bool | None:
        if self.encrypted and self.transport is not None and not self.found.tls:
            self._note("tls")
            spoken = self.transport.get_extra_info("ssl_object")
            self.found.tls = str(spoken.version())
            self.found.expires = _expiry(spoken.getpeercert())
        if self.authenticated:
            self.found.stream_management = features.xml.find(f"{{{SM}}}sm") is not None
        return await super()._handle_stream_features(features)

    def _take(self, stanza: StanzaBase) -> StanzaBase | None:
        taken = super()._take(stanza)
        unasked = isinstance(taken, Iq) and taken.xml.get("type") not in ("result", "error")
        return None if unasked or isinstance(taken, (Message, Presence)) else taken

    def _on_untrusted(self, error: object) -> None:
        if isinstance(error, ssl.SSLError) and self.found.distrust is None:
            self.found.distrust = error
        super()._on_untrusted(error)

    def _note(self, stage: str) -> None:
        self.found.seconds.setdefault(stage, time.monotonic() - self._began)

    def _note_end(self, reason: LinkError, _: bool) -> None:
        if self.found.error is None and "login" not in self.found.seconds:
            self.found.error = reason
        if not self.done.done():
            self.done.set_result(None)

    # -- what is asked -----------------------------------------------------------------------------------------------

    def _on_session_start(self, _: object) -> None:
        if self._over or not self.authenticated:
            return
        self._note("login")
        if self._limit is not None:
            self._limit.cancel()
        task = asyncio.ensure_future(self._look_around())
        self._own_tasks.add(task)
        task.add_done_callback(self._own_tasks.discard)

    async def _look_around(self) -> None:
        questions = (self._ping(), self._ask_features(), self._ask_services(), self._ask_time())
        await asyncio.gather(*questions)
        if not self.done.done():
            self.done.set_result(None)

    async def _ping(self) -> None:
        began = time.monotonic()
        if await self._answer_to(self._question(f"{PING}ping")) is not None:
            self.found.round_trip = time.monotonic() - began

    async def _ask_features(self) -> None:
        answer = await self._answer_to(self._question(f"{INFO}query"))
        if answer is not None:
            named = answer.iterfind(f"{INFO}query/{INFO}feature")
            self.found.features = frozenset(one.get("var", "") for one in named)

    async def _ask_services(self) -> None:
        answer = await self._answer_to(ask(self))
        if answer is not None and answer.get("type") == "result":
            services = read_services(answer)
            self.found.services, self.found.unusable = services.servers, dict(services.ignored)

    async def _ask_time(self) -> None:
        began = datetime.now(UTC)
        answer = await self._answer_to(self._question(f"{TIME}time"))
        ended = datetime.now(UTC)
        text = answer.findtext(f"{TIME}time/{TIME}utc") if answer is not None else None
        try:
            told = datetime.fromisoformat(text or "")
        except ValueError:
            return
        if told.tzinfo is not None:
            if told.microsecond == 0:  # cut off: on average, half a second
                told += timedelta(seconds=0.5)
            self.found.skew = (began + (ended - began) / 2 - told).total_seconds()

    def _question(self, tag: str) -> asyncio.Future[Iq]:
        iq = self.make_iq_get(ito=self.boundjid.domain)
        SubElement(iq.xml, tag)
        reply: asyncio.Future[Iq] = iq.send(timeout=ANSWER_TIMEOUT)  # type: ignore[no-untyped-call]  # not annotated
        return reply

    async def _answer_to(self, reply: asyncio.Future[Iq]) -> Element | None:
        """The answer, an error too; None: there was none in time."""
        try:
            answer = (await asyncio.wait_for(reply, ANSWER_TIMEOUT)).xml
        except IqError as error:
            answer = error.iq.xml
        except (IqTimeout, TimeoutError):
            return None
        return answer


def _expiry(certificate: object) -> datetime | None:
    """`notAfter` of a certificate that was verified."""
    text = certificate.get("notAfter") if isinstance(certificate, dict) else None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC) if text else None
