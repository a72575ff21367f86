"""One session with a chat server, from dialing to its end: what is written and heard, and a watch on the link."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from xml.etree.ElementTree import Element, SubElement

from slixmpp import JID, ClientXMPP, InvalidJID
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Iq, StreamFeatures
from slixmpp.xmlstream import StanzaBase
from slixmpp.xmlstream.xmlstream import NotConnectedError

from qbcall.adapters.xmpp_acks import SM, SM_ELEMENTS, Acks, Session
from qbcall.adapters.xmpp_login import MAX_STANZA_BYTES, XmppLogin
from qbcall.adapters.xmpp_roster import MAX_ROSTER_BYTES, Roster
from qbcall.adapters.xmpp_services import TellServers, watch_services
from qbcall.adapters.xmpp_settings import XmppSettings
from qbcall.core.inputs import LinkUp
from qbcall.core.model import Device, User
from qbcall.dialects.xml import CLIENT
from qbcall.errors import InsecureLink, LinkDown, LinkError

log = logging.getLogger("qbcall.adapters.xmpp")

if list(signature(ClientXMPP._spawn_event).parameters) != ["self", "xml"]:
    raise ImportError("slixmpp hands stanzas on otherwise than in slixmpp 1.17: no message would be heard")

PING_TIMEOUT = 5.0
"""Seconds that the answer to a ping may take, if not told otherwise."""
LEAVE_TIMEOUT = 2.0
"""Seconds that the server may take to end its stream after we ended ours."""
MAX_OWN_DEVICES = 20
"""More devices of one user are not told what this one does."""
PING = "{urn:xmpp:ping}ping"
"""XEP-0199."""
STANZAS = MESSAGE, PRESENCE, _ = tuple(f"{{{CLIENT}}}{name}" for name in ("message", "presence", "iq"))
"""What is counted by XEP-0198."""


class XmppStream(XmppLogin):
    """One login; used once. Tells at most one `up`, and one `ended` unless it is left; nothing else after that.

    Nothing that arrives makes slixmpp answer an error to a message: messages go to `heard` and nowhere else, and
    presence is taken note of at most, so no subscription request is answered.
    """

    def __init__(
        self,
        settings: XmppSettings,
        resource: str,
        *,
        up: Callable[[LinkUp], None],
        heard: Callable[[Element], None],
        confirmed: Callable[[int], None],
        contacts: Callable[[frozenset[User]], None],
        ended: Callable[[LinkError, bool], None],
        services: TellServers | None = None,
        earlier: Session | None = None,
    ) -> None:
        """`earlier` is the session of a stream that was cut, to go on with if the server agrees."""
        super().__init__(settings, resource, ended)
        self._acks = Acks(
            settings,
            write=self._write,
            confirmed=confirmed,
            broke=lambda reason: self.fail(reason, fatal=False),
            dead=lambda reason: self.fail(reason, fatal=False, was_cut=True),
        )
        self._roster = Roster(write=self._write, tell=contacts)
        self.others: set[str] = set()
        """Full JIDs of the other devices of the account that are online (RFC 6121, section 4.4.2)."""
        self._earlier = earlier
        self._resuming: asyncio.Future[bool] | None = None
        self._manageable = False
        self._tell_services = services
        self._tell_up = up
        self._tell_heard = heard
        self._takers: dict[str, Callable[[Element], None]] = {
            MESSAGE: self._hear,
            PRESENCE: self._note,
            **dict.fromkeys(SM_ELEMENTS, self._manage),
        }
        self.whitespace_keepalive = False
        self.auto_authorize = None
        # It answers the push of a stranger with an error that slixmpp 1.17 cannot write.
        self.remove_handler("Roster Update")
        self.register_plugin("xep_0199", {"keepalive": False})
        self.add_event_handler("session_start", self._on_session_start)

    # -- from outside ------------------------------------------------------------------------------------------------

    def write(self, stanza: str, ticket: int | None = None) -> None:
        """Write one stanza, and see that the server is asked about it; nothing if the connection just ended.

        With a ticket, `confirmed` is told once the server has it and all before it.
        """
        if self._write(stanza):
            self._acks.wrote(len(stanza), ticket)

    def skip(self, ticket: int | None) -> None:
        """Write nothing, and tell the ticket as if it was something."""
        self._acks.wrote(0, ticket)

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
        was_over, self._over = self._over, True
        self._acks.stop()
        if self.is_connected() and self._is_up and not was_over:
            self._acks.answer()
            await ClientXMPP.disconnect(self, LEAVE_TIMEOUT)
        await self._clean_up()

    @property
    def session(self) -> Session | None:
        """What another stream can go on with, once this one has told its end."""
        if not self._is_up:
            return self._earlier
        session = self._acks.session(self.boundjid.full) if self._was_cut else None
        return replace(session, others=frozenset(self.others)) if session else None

    # -- within ------------------------------------------------------------------------------------------------------

    def _stop(self) -> list[asyncio.Future[None]]:
        self._acks.stop()
        return super()._stop()

    def send_raw(self, data: str | bytes) -> None:
        """All that is written to the connection passes here, what slixmpp writes by itself too."""
        super().send_raw(data)
        self._acks.left(data)

    def _write(self, text: str) -> bool:
        try:
            self.send_raw(text)
        except NotConnectedError:
            log.debug("the connection has ended: %s was not sent", text.partition(" ")[0])
            return False
        return True

    def data_received(self, data: bytes | str) -> None:
        """Called by the transport."""
        self._acks.heard()
        super().data_received(data)

    def incoming_filter(self, xml: Element) -> Element:
        """Called by slixmpp for each whole stanza."""
        if xml.tag in STANZAS and not self._over:
            self._acks.entered()
        return super().incoming_filter(xml)

    def _spawn_event(self, xml: Element) -> None:
        """Called by slixmpp for each whole stanza.

        It would make an object of each and ask all its handlers, which takes longer than all that is done here.
        """
        take = self._takers.get(xml.tag)
        if take is None:
            super()._spawn_event(xml)
            return
        self.incoming_filter(xml)
        if not self._over:
            take(xml)

    def _take(self, stanza: StanzaBase) -> StanzaBase | None:
        """Decide about what slixmpp's own rooms are to see; None: they do not."""
        taken = super()._take(stanza)
        return None if isinstance(taken, Iq) and self._is_ours(taken.xml) else taken

    def _hear(self, message: Element) -> None:
        if self.sessionstarted and self.authenticated:
            # Who is heard from is reachable; what comes before the answer to the first ping must not get lost.
            self._go_up()
        if self._is_up:
            self._tell_heard(message)

    def _is_ours(self, iq: Element) -> bool:
        """Whether slixmpp must not see it: it is dealt with, or answering it would raise."""
        try:
            JID(iq.get("from"))
        except InvalidJID:
            return True
        if self._roster.takes(iq):
            self._max_bytes = MAX_STANZA_BYTES
            return True
        return self._acks.answers(iq)

    def _note(self, presence: Element) -> None:
        device = presence.get("from", "")
        if device.partition("/")[0] != self.boundjid.bare or device == self.boundjid.full:
            return
        if presence.get("type") is None and len(self.others) < MAX_OWN_DEVICES:
            self.others.add(device)
        elif presence.get("type") == "unavailable":
            self.others.discard(device)

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
        """Become reachable."""
        if self._manageable:
            self._acks.enable()
        # Before the presence, so that whoever is heard from is known.
        self._ask_roster()
        # Without presence, no message to all devices arrives here (RFC 6121, section 8.5.2).
        self.send_presence()
        self._ask_services()
        try:
            # The server works in order: with its answer, it has seen the presence.
            await self.round_trip(self._settings.login_timeout)
        except LinkDown as error:
            self.fail(error, fatal=False)
            return
        self._go_up()

    def _ask_roster(self) -> None:
        self._max_bytes = MAX_ROSTER_BYTES
        self._roster.ask(self.boundjid.bare)

    def _ask_services(self) -> None:
        if self._tell_services is not None:
            self._own_tasks.add(watch_services(self, self._tell_services))

    def _go_up(self, *, resumed: bool = False) -> None:
        if self._is_up or self._over:
            return
        if self._limit is not None:
            self._limit.cancel()
        self._is_up = True
        self._acks.watch()
        self._tell_up(LinkUp(device=Device(self.boundjid.full), resumed=resumed))

    # -- going on with an earlier session (XEP-0198, section 5) ------------------------------------------------------

    async def _go_on(self, features: StreamFeatures) -> bool | None:
        wanted = self._settings.stream_management and self.authenticated
        self._manageable = wanted and features.xml.find(f"{{{SM}}}sm") is not None
        if self._manageable and self._earlier is not None:
            self._resuming = self.loop.create_future()
            self._acks.resume(self._earlier)
            if await self._resuming:
                return True
        return await super()._go_on(features)

    def _manage(self, element: Element) -> None:
        if self._resuming is None or self._resuming.done() or self._earlier is None:
            self._acks.take(element)
            return
        resumed = self._acks.resumed(self._earlier, element)
        if resumed:
            # At once: what waited follows in the same packet.
            self._come_back(self._earlier)
        self._earlier = None
        self._resuming.set_result(resumed)

    def _come_back(self, session: Session) -> None:
        """Make slixmpp believe that it has bound a resource."""
        self.boundjid = jid = JID(session.jid)
        self.others.update(session.others)
        self.bound = self.sessionstarted = True
        self.event("session_bind", jid)
        self.session_bind_event.set()
        self.event("session_resumed", None)
        self._go_up(resumed=True)
        self._ask_roster()
        self._ask_services()
