"""One connection to a chat server until it is logged in, and its end: RFC 6120 with slixmpp, made safe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
import sys
from collections.abc import Callable
from xml.etree.ElementTree import Element

from slixmpp import ClientXMPP
from slixmpp.stanza import StreamFeatures
from slixmpp.util.sasl.client import SASLMutualAuthFailed
from slixmpp.util.sasl.mechanisms import SCRAM
from slixmpp.xmlstream import StanzaBase

from qbcall.adapters.xmpp_safety import is_distrust, unsafe
from qbcall.adapters.xmpp_scram import MECHANISMS, PLAIN, check_challenge, salt_ahead
from qbcall.adapters.xmpp_settings import CLIENT_PORT, DIRECT_TLS_PORT, XmppSettings, is_loopback
from qbcall.errors import AuthError, InsecureLink, LinkDown, LinkError, ServerUnreachable

log = logging.getLogger("qbcall.adapters.xmpp")

MAX_STANZA_BYTES = 524_288
"""Twice what servers let through by default; more without the end of a stanza is an attempt to fill the memory."""
ROUNDS_TO_CLOSE = 3
"""Rounds of the event loop that an aborted transport takes to close its socket: one, with TLS two; and one spare."""
CHALLENGE = "{urn:ietf:params:xml:ns:xmpp-sasl}challenge"
FORBIDDEN_START = re.compile(rb"\s*(<\?[^>]*>\s*)*<!")
"""A document type, whose entities would grow what follows, or a comment before the stream: RFC 6120, section 11.1."""
FOR_LOGIN = (
    "{urn:ietf:params:xml:ns:xmpp-sasl}",
    "{urn:ietf:params:xml:ns:xmpp-tls}",
    "{http://etherx.jabber.org/streams}features",
)
"""What the tags begin with that a server uses until the login is finished, and never again."""

REFUSED = {"not-authorized", "account-disabled", "credentials-expired", "invalid-authzid"}
"""SASL conditions (RFC 6120, section 6.5) that another mechanism or another attempt does not change."""


class XmppLogin(ClientXMPP):
    """A connection that is used once: connects, checks TLS, proves the password. Tells at most one `ended`."""

    def __init__(self, settings: XmppSettings, resource: str, ended: Callable[[LinkError, bool], None]) -> None:
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
        self._tell_ended = ended
        self._over = False
        self._was_cut = False
        self._salted: SCRAM | None = None
        """For which a challenge was taken care of."""
        self._is_up = False
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._own_tasks: set[asyncio.Task[None]] = set()
        self._refused: Exception | str = "no answer"
        self._pending_bytes = 0
        self._start = b""
        """Of the stream, until its first element."""
        self._max_bytes = MAX_STANZA_BYTES
        self._limit: asyncio.TimerHandle | None = None
        self.add_filter("in", self._take)
        for event, told in {
            "connection_failed": self._on_connection_failed,
            "reconnect_delay": self._on_no_connection,
            "ssl_invalid_chain": self._on_untrusted,
            "failed_auth": self._on_failed_auth,
            "failed_all_auth": self._on_failed_all_auth,
            "stream_error": self._on_stream_error,
            "disconnected": self._on_disconnected,
        }.items():
            self.add_event_handler(event, told)

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
        self._limit = self.loop.call_later(settings.login_timeout, self._on_too_slow)
        self.connect(host, port) if host else self.connect()

    # -- the end -----------------------------------------------------------------------------------------------------

    def fail(self, reason: LinkError, *, fatal: bool, was_cut: bool = False) -> None:
        """End at once, and tell why. With `was_cut` it is the network's doing: nobody ended the session."""
        if self._over:
            return
        self._over = True
        self._was_cut = was_cut
        self._stop()
        self._tell_ended(reason, fatal)

    def disconnect(
        self, wait: float = 2.0, reason: str | None = None, ignore_send_queue: bool = False
    ) -> asyncio.Future[None]:
        """Called by slixmpp when it gives up. It would go on for `wait` seconds, and write to what may have ended."""
        error = sys.exc_info()[1]  # slixmpp calls this where it deals with one, and does not pass it on
        if isinstance(error, SASLMutualAuthFailed):
            self.fail(InsecureLink("the server does not prove that it knows the password"), fatal=True)
        else:
            kind = type(error).__name__ if error else "no way to go on"
            self.fail(LinkDown(f"what the server sent cannot be used: {kind}"), fatal=False)
        return self._end

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
        self._start = b"" if self.xml_depth else self._start + (data.encode() if isinstance(data, str) else data)
        if FORBIDDEN_START.match(self._start):
            self.fail(LinkDown("the server sent a document type or a comment"), fatal=False)
            return
        try:
            super().data_received(data)
        except Exception as error:  # slixmpp lets some pass, on which asyncio would log and close
            log.debug("what the server sent cannot be used", exc_info=True)
            self.fail(LinkDown(f"what the server sent cannot be used: {type(error).__name__}"), fatal=False)
        if self._pending_bytes > self._max_bytes:
            self.fail(LinkDown(f"the server sent a stanza of more than {self._max_bytes} bytes"), fatal=False)

    def incoming_filter(self, xml: Element) -> Element:
        """Called by slixmpp for each whole stanza."""
        self._pending_bytes = 0
        return xml

    def _take(self, stanza: StanzaBase) -> StanzaBase | None:
        """Decide about every stanza before slixmpp's own rooms see it; None: they do not."""
        if self._over or (self._is_up and stanza.xml.tag.startswith(FOR_LOGIN)):
            return None
        if stanza.xml.tag == CHALLENGE:
            try:
                check_challenge(stanza["value"])
            except InsecureLink as error:
                self.fail(error, fatal=True)
                return None
            return self._prepared(stanza)
        return stanza

    def _prepared(self, challenge: StanzaBase) -> StanzaBase | None:
        """The challenge, if its answer takes no time; otherwise it comes again when that is so."""
        mechanism = self.plugin["feature_mechanisms"].mech
        if not isinstance(mechanism, SCRAM) or mechanism.step != 1 or mechanism is self._salted:
            return challenge
        self._salted = mechanism
        task = asyncio.ensure_future(self._answer(mechanism, challenge))
        self._own_tasks.add(task)
        task.add_done_callback(self._own_tasks.discard)
        return None

    async def _answer(self, mechanism: SCRAM, challenge: StanzaBase) -> None:
        with contextlib.suppress(ValueError):  # no base64: slixmpp refuses it, too
            await salt_ahead(mechanism, challenge["value"])
        if not self._over:
            self.recv_stanza(challenge)

    # -- what is safe ------------------------------------------------------------------------------------------------

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
            return await self._go_on(features)
        finally:
            self._own_tasks.discard(task)

    async def _go_on(self, features: StreamFeatures) -> bool | None:
        """Use the features, which are safe."""
        return await super()._handle_stream_features(features)

    # -- what goes wrong ---------------------------------------------------------------------------------------------

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
        # A text tells what slixmpp has read: the end of the stream, and with it of the session.
        was_cut = not isinstance(reason, str)
        self.fail(kind(f"the connection ended: {reason or 'closed'}"), fatal=False, was_cut=was_cut)
