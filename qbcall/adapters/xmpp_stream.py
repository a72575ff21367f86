"""One connection to a chat server, from dialing to its end: RFC 6120 with slixmpp, made safe."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from xml.etree.ElementTree import Element, SubElement

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Message, Presence, StreamFeatures
from slixmpp.xmlstream import StanzaBase
from slixmpp.xmlstream.xmlstream import NotConnectedError

from qbcall.adapters.xmpp_safety import is_distrust, unsafe
from qbcall.adapters.xmpp_scram import MECHANISMS, PLAIN, check_challenge
from qbcall.adapters.xmpp_settings import CLIENT_PORT, DIRECT_TLS_PORT, XmppSettings, is_loopback
from qbcall.core.model import Device
from qbcall.errors import AuthError, InsecureLink, LinkDown, LinkError, ServerUnreachable

log = logging.getLogger("qbcall.adapters.xmpp")

MAX_STANZA_BYTES = 524_288
"""Twice what servers let through by default; more without the end of a stanza is an attempt to fill the memory."""
PING_INTERVAL = 5.0
"""Seconds from the answer to a ping to the next ping: TCP alone notices a dead link after many minutes."""
PING_TIMEOUT = 5.0
"""Seconds until an unanswered ping means that the link is dead."""
LEAVE_TIMEOUT = 2.0
"""Seconds that the server may take to end its stream after we ended ours."""
MAX_OWN_DEVICES = 20
"""More devices of one user are not told what this one does."""
ROUNDS_TO_CLOSE = 3
"""Rounds of the event loop that an aborted transport takes to close its socket: one, with TLS two; and one spare."""
PING = "{urn:xmpp:ping}ping"
"""XEP-0199."""
CHALLENGE = "{urn:ietf:params:xml:ns:xmpp-sasl}challenge"

REFUSED = {"not-authorized", "account-disabled", "credentials-expired", "invalid-authzid"}
"""SASL conditions (RFC 6120, section 6.5) that another mechanism or another attempt does not change."""


class XmppStream(ClientXMPP):
    """One login; used once. Tells at most one `up`, and one `ended` unless it is left.

    Nothing that arrives makes slixmpp answer an error to a message: messages go to `heard` and nowhere else, presence
    goes nowhere, so no subscription request is answered.
    """

    def __init__(
        self,
        settings: XmppSettings,
        resource: str,
        *,
        up: Callable[[Device], None],
        heard: Callable[[Element], None],
        ended: Callable[[LinkError, bool], None],
    ) -> None:
        super().__init__(
            f"{settings.jid}/{resource}",
            settings.password,
            plugin_config={
                "feature_mechanisms": {
                    "use_mechs": {*MECHANISMS, PLAIN} if settings.sasl_plain else set(MECHANISMS),
                    "unencrypted_scram": settings.plaintext,
                }
            },
        )
        self._settings = settings
        self._tell_up = up
        self._tell_heard = heard
        self._tell_ended = ended
        self.own_devices: set[Device] = set()
        """Other devices of this user that are online."""
        self._over = False
        self._is_up = False
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._own_tasks: set[asyncio.Task[None]] = set()
        self._refused: Exception | str = "no answer"
        self._pending_bytes = 0
        self._limit: asyncio.TimerHandle | None = None
        self.whitespace_keepalive = False
        self.auto_authorize = None
        # It answers the push of a stranger with an error that slixmpp 1.17 cannot write; rosters are not used here.
        self.remove_handler("Roster Update")
        self.register_plugin("xep_0199", {"keepalive": False})
        self.add_filter("in", self._take)
        for event, told in {
            "connection_failed": self._on_connection_failed,
            "reconnect_delay": self._on_no_connection,
            "ssl_invalid_chain": self._on_untrusted,
            "failed_auth": self._on_failed_auth,
            "failed_all_auth": self._on_failed_all_auth,
            "stream_error": self._on_stream_error,
            "session_start": self._on_session_start,
            "disconnected": self._on_disconnected,
        }.items():
            self.add_event_handler(event, told)

    # -- from outside ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect and log in."""
        settings = self._settings
        host = settings.address
        if settings.plaintext and not is_loopback(host or ""):
            self.fail(InsecureLink(f"{host}: without TLS only a server on loopback is used"), fatal=True)
            return
        try:
            self.ssl_context = ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:
            self.fail(InsecureLink(f"ca_file {str(settings.ca_file)!r} cannot be used: {error}"), fatal=True)
            return
        port = settings.port or CLIENT_PORT
        self.enable_plaintext = settings.plaintext
        self.enable_direct_tls = not settings.plaintext and (host is None or port == DIRECT_TLS_PORT)
        self.enable_starttls = not settings.plaintext and (host is None or port != DIRECT_TLS_PORT)
        patience = settings.login_timeout
        self._limit = self.loop.call_later(patience, self._on_too_slow)
        self.connect(host, port) if host else self.connect()

    def write(self, element_text: str) -> None:
        """Write a stanza; nothing if the connection just ended."""
        try:
            self.send_raw(element_text)
        except NotConnectedError:
            log.debug("a stanza was not sent: the connection has ended")

    async def round_trip(self, patience: float = PING_TIMEOUT) -> float:
        """Seconds that a ping (XEP-0199) to the server takes.

        Raises:
            LinkDown: there was no answer within `patience` seconds, or the connection ended.
        """
        if self._over:
            raise LinkDown("the connection has ended")
        iq = self.make_iq_get(ito=self.boundjid.domain)
        SubElement(iq.xml, PING)
        started = time.monotonic()
        reply: asyncio.Future[None] = iq.send(timeout=patience)  # type: ignore[no-untyped-call]  # not annotated
        try:
            await asyncio.wait({reply, self._end}, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done():
                raise LinkDown("the connection ended")
            await reply
        except IqError:
            pass  # An answer, too.
        except IqTimeout:
            raise LinkDown(f"the server did not answer within {patience:g} s") from None
        finally:
            reply.cancel()
        return time.monotonic() - started

    async def leave(self) -> None:
        """Log out, or stop logging in; afterwards nothing of it is left, and nothing is told."""
        self._over = True
        if self.is_connected() and self._is_up:
            await self.disconnect(LEAVE_TIMEOUT)
        await self._clean_up()

    def fail(self, reason: LinkError, *, fatal: bool) -> None:
        """End at once, and tell why."""
        if self._over:
            return
        self._over = True
        self._stop()
        self._tell_ended(reason, fatal)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _stop(self) -> list[asyncio.Future[None]]:
        """Cancel everything; gives back what takes a moment to end."""
        if self._limit is not None:
            self._limit.cancel()
        if not self._end.done():
            self._end.set_result(None)
        stopping: list[asyncio.Future[None] | None] = [
            self._run_out_filters,
            self._current_connection_attempt,
            *self._own_tasks,
        ]
        self.cancel_connection_attempt()
        self.abort()
        for name in tuple(self.scheduled_events):
            self.cancel_schedule(name)
        current = asyncio.current_task()
        ending = [task for task in stopping if task is not None and task is not current and not task.done()]
        for task in ending:
            task.cancel()
        return ending

    async def _clean_up(self) -> None:
        await asyncio.gather(*self._stop(), return_exceptions=True)
        for _ in range(ROUNDS_TO_CLOSE):
            await asyncio.sleep(0)

    # -- what arrives ------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes | str) -> None:
        """Called by the transport. Counts the bytes since the last whole stanza, for which slixmpp has no limit."""
        if self._over and not self._is_up:
            return
        self._pending_bytes += len(data)
        try:
            super().data_received(data)
        except Exception as error:  # slixmpp lets some pass, on which asyncio would log and close
            log.debug("what the server sent cannot be used", exc_info=True)
            self.fail(LinkDown(f"what the server sent cannot be used: {type(error).__name__}"), fatal=False)
        if self._pending_bytes > MAX_STANZA_BYTES:
            self.fail(LinkDown(f"the server sent a stanza of more than {MAX_STANZA_BYTES} bytes"), fatal=False)

    def incoming_filter(self, xml: Element) -> Element:
        """Called by slixmpp for each whole stanza."""
        self._pending_bytes = 0
        return xml

    def _take(self, stanza: StanzaBase) -> StanzaBase | None:
        """Decide about every stanza before slixmpp's own rooms see it; None: they do not."""
        if self._over:
            return None
        if isinstance(stanza, Message):
            if self._is_up:
                self._tell_heard(stanza.xml)
            return None
        if isinstance(stanza, Presence):
            self._note_device(stanza)
            return None
        if stanza.xml.tag == CHALLENGE:
            try:
                check_challenge(stanza["value"])
            except InsecureLink as error:
                self.fail(error, fatal=True)
                return None
        return stanza

    def _note_device(self, presence: Presence) -> None:
        """Keep in mind which other devices of this user are there: the server tells each of all (RFC 6121, 4.2.2)."""
        device = presence["from"]
        if device.bare != self.boundjid.bare or device.full in (device.bare, self.boundjid.full):
            return
        if presence.xml.get("type") is None and len(self.own_devices) < MAX_OWN_DEVICES:
            self.own_devices.add(Device(device.full))
        elif presence.xml.get("type") == "unavailable":
            self.own_devices.discard(Device(device.full))

    # -- logging in --------------------------------------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken now."""
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is not None

    @property
    def peer(self) -> str:
        """Address that is connected to; empty while there is none."""
        found = self.transport.get_extra_info("peername") if self.transport is not None else None
        return str(found[0]) if found else ""

    async def get_dns_records(self, domain: str, port: int | None = None) -> list[tuple[str, str, str, int]]:
        """As slixmpp, but TLS from the first byte is tried only where DNS tells so, since others never answer it."""
        records = await super().get_dns_records(domain, port)
        found = [(service or "xmpp-client", host, address, at) for service, host, address, at in records]
        return found or [("xmpp-client", domain, domain, CLIENT_PORT)]

    async def _handle_stream_features(self, features: StreamFeatures) -> bool | None:
        """As slixmpp, but only the safe way on: it would go on without TLS, and log in without a password."""
        if self._over:
            return True
        reason = unsafe(
            plaintext=self._settings.plaintext,
            sasl_plain=self._settings.sasl_plain,
            encrypted=self.encrypted,
            authenticated=self.authenticated,
            peer=self.peer,
            offered=set(features["features"]),
            mechanisms=set(features["mechanisms"]) if "mechanisms" in features["features"] else set(),
        )
        if reason:
            self.fail(InsecureLink(reason), fatal=True)
            return True
        task = asyncio.current_task()
        assert task is not None, "slixmpp makes a task of it"
        # Binding waits for an answer: whatever happens to it, it ends with the stream.
        self._own_tasks.add(task)
        try:
            return await super()._handle_stream_features(features)
        finally:
            self._own_tasks.discard(task)

    def _on_connection_failed(self, error: object) -> None:
        self._refused = error if isinstance(error, Exception) else str(error)
        if is_distrust(error):
            self._on_untrusted(error)

    def _on_no_connection(self, _: object) -> None:
        self.fail(ServerUnreachable(f"{self._settings.server}: {self._refused}"), fatal=False)

    def _on_too_slow(self) -> None:
        patience = f"{self._settings.login_timeout:g}"
        self.fail(ServerUnreachable(f"{self._settings.server}: not logged in within {patience} s"), fatal=False)

    def _on_untrusted(self, error: object) -> None:
        if is_distrust(error):
            self.fail(InsecureLink(f"TLS failed: {error}"), fatal=True)
        else:
            self.fail(ServerUnreachable(f"the connection ended within the TLS handshake: {error}"), fatal=False)

    def _on_failed_auth(self, failure: StanzaBase) -> None:
        condition = str(failure["condition"])
        if condition in REFUSED:
            self.fail(AuthError(f"{self._settings.jid}: the server refused the credentials: {condition}"), fatal=True)
        elif condition == "temporary-auth-failure":
            self.fail(ServerUnreachable("the server cannot check credentials now"), fatal=False)

    def _on_failed_all_auth(self, _: object) -> None:
        self.fail(AuthError(f"{self._settings.jid}: no login was accepted"), fatal=True)

    def _on_session_start(self, _: object) -> None:
        if self._over:
            return
        if not self.authenticated:
            self.fail(InsecureLink("the server started a session without a login"), fatal=True)
            return
        task = asyncio.ensure_future(self._live())
        self._own_tasks.add(task)
        task.add_done_callback(self._own_tasks.discard)

    async def _live(self) -> None:
        """Become reachable, then watch the link."""
        # Without presence, no message to all devices arrives here (RFC 6121, section 8.5.2).
        self.send_presence()
        try:
            # The server works in order: with its answer, it has seen the presence.
            await self.round_trip(self._settings.login_timeout)
            if self._limit is not None:
                self._limit.cancel()
            self._is_up = True
            self._tell_up(Device(self.boundjid.full))
            while True:
                await asyncio.sleep(PING_INTERVAL)
                await self.round_trip(PING_TIMEOUT)
        except LinkDown as error:
            self.fail(error, fatal=False)

    # -- losing it ---------------------------------------------------------------------------------------------------

    def _on_stream_error(self, error: StanzaBase) -> None:
        condition = str(error["condition"])
        if condition == "conflict":
            self.fail(LinkDown("conflict: the same device logged in elsewhere"), fatal=True)
        else:
            kind = LinkDown if self._is_up else ServerUnreachable
            self.fail(kind(f"the server ended the stream: {condition}"), fatal=False)

    def _on_disconnected(self, reason: object) -> None:
        if is_distrust(reason) and not self._is_up:
            self._on_untrusted(reason)
            return
        kind = LinkDown if self._is_up else ServerUnreachable
        self.fail(kind(f"the connection ended: {reason or 'closed'}"), fatal=False)
