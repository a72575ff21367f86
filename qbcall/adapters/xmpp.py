"""The chat link over XMPP; satisfies `qbcall.adapters.ports.ChatLink`."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from slixmpp import InvalidJID

from qbcall.adapters.xmpp_acks import Session
from qbcall.adapters.xmpp_delay import too_late
from qbcall.adapters.xmpp_services import TellServers
from qbcall.adapters.xmpp_settings import XmppSettings
from qbcall.adapters.xmpp_stream import XmppStream
from qbcall.core.bucket import TokenBuckets
from qbcall.core.inputs import Arrived, Confirmed, Contacts, FromServer, LinkBroke, Post
from qbcall.core.model import CallHead, Device, User
from qbcall.core.signals import Message, Signal
from qbcall.dialects import Dialect
from qbcall.dialects.jid import bare_jid
from qbcall.dialects.xml import write
from qbcall.errors import AuthError, InvalidArgument, LinkDown, LinkError, Malformed

__all__ = ["XmppLink", "XmppSettings"]

log = logging.getLogger("qbcall.adapters.xmpp")

RESOURCE_BYTES = 8
"""Of randomness: two devices of one account with the same name would throw each other out."""


class XmppLink:
    """One device of one account. Each `dial` is a new connection with the same resource; it never dials by itself."""

    def __init__(
        self, settings: XmppSettings, dialect: Dialect, post: Post, services: TellServers | None = None
    ) -> None:
        """`services` takes the STUN and TURN servers that the server names after a login; None: it is not asked."""
        self.ignored: Counter[str] = Counter()
        """Messages that were ignored, by the reason."""
        self._settings = settings
        self._dialect = dialect
        self._post = post
        self._services = services
        self._resource = settings.resource or f"qbcall-{secrets.token_hex(RESOURCE_BYTES)}"
        self._stream: XmppStream | None = None
        self._buckets = TokenBuckets()
        self._session: Session | None = None
        """Of the stream that was cut last."""
        self._dialing: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    # -- ChatLink ----------------------------------------------------------------------------------------------------

    def dial(self) -> None:
        """Connect and log in; `LinkUp` or `LinkBroke` is posted once it is decided."""
        self._hang_up()
        self._dialing = asyncio.get_running_loop().create_task(self._dial())

    def drop(self) -> None:
        """Log out, or stop logging in; nothing is posted for it."""
        self._hang_up()
        self._session = None

    def _hang_up(self) -> None:
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        if self._stream is not None:
            self._leave(self._stream)

    def send(self, to: User, head: CallHead, signal: Signal, ticket: int | None = None) -> None:
        """Write a signal to all devices of a user; to this account, to the others of its devices.

        What cannot be written is logged, and counts as confirmed.
        """
        if self._stream is None:
            log.debug("not connected: a %s was not sent", type(signal).__name__)
            return
        try:
            texts = list(self._texts(to, self._dialect.encode(to, head, signal)))
        except (InvalidArgument, TypeError, ValueError) as error:
            log.error("a %s cannot be written: %s", type(signal).__name__, error)
            # It would be sent again, and again in vain.
            texts = []
        for text in texts[:-1]:
            self._stream.write(text)
        if texts:
            self._stream.write(texts[-1], ticket)
        else:
            self._stream.skip(ticket)

    def _texts(self, to: User, message: Element) -> Iterator[str]:
        """The stanzas of a message; to this account, one per other device: Prosody drops headlines to oneself."""
        if self._stream is None or to != self._settings.jid:
            yield write(message)
            return
        for device in sorted(self._stream.others):
            message.set("to", device)
            yield write(message)

    async def close(self) -> None:
        """Log out, wait for the end of the stream (2 s at most), and leave no task behind."""
        dialing = self._dialing
        self.drop()
        # Not `gather`, which would cancel the log-outs if this was cancelled.
        ending = [*self._leaving, *([dialing] if dialing else [])]
        if ending:
            await asyncio.wait(ending)

    async def round_trip(self) -> float:
        """Seconds that a ping (XEP-0199) to the server takes.

        Raises:
            LinkDown: there is no link, or no answer.
        """
        if self._stream is None:
            raise LinkDown("not connected")
        return await self._stream.round_trip()

    # -- one connection after the other ------------------------------------------------------------------------------

    async def _dial(self) -> None:
        # The server would take two connections with one resource for a conflict.
        if self._leaving:
            await asyncio.wait(self._leaving)
        try:
            self._stream = XmppStream(
                self._settings,
                self._resource,
                up=self._post,
                heard=self._heard,
                confirmed=lambda ticket: self._post(Confirmed(ticket=ticket)),
                contacts=lambda users: self._post(Contacts(users=users)),
                ended=self._ended,
                services=self._services,
                earlier=self._session,
            )
        except InvalidJID as error:
            self._post(LinkBroke(reason=AuthError(f"{self._settings.jid}: {error}"), fatal=True))
            return
        self._session = None
        self._stream.start()

    def _ended(self, reason: LinkError, fatal: bool) -> None:
        if self._stream is not None:
            self._session = None if fatal else self._stream.session
            self._leave(self._stream)
        self._post(LinkBroke(reason=reason, fatal=fatal))

    def _leave(self, stream: XmppStream) -> None:
        self._stream = None
        task = asyncio.get_running_loop().create_task(stream.leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    # -- what arrives ------------------------------------------------------------------------------------------------

    def _heard(self, message: Element) -> None:
        """Whatever a message holds, it neither raises nor is it answered: an answer could be answered without end."""
        try:
            found = self._read(message)
        except Exception:
            log.exception("a message cannot be read")
            self.ignored["broken"] += 1
            return
        if isinstance(found, str):
            if not self.ignored[found]:
                log.info("ignored a message, and will not tell again: %s", found)
            self.ignored[found] += 1
            return
        self._post(found)

    def _read(self, message: Element) -> Arrived | FromServer | str:
        """What arrived, or why it is ignored."""
        kind = message.get("type", "normal")
        if kind != "headline":
            return "an error" if kind == "error" else "not a headline"
        device = message.get("from", "")
        if device.lower() in self._settings.trusted:
            return self._read_trusted(message)
        try:
            sender = bare_jid(device.partition("/")[0])
        except InvalidArgument:
            return "not from a user"
        if not self._buckets.take(sender, asyncio.get_running_loop().time()):
            return "more than one user may say"
        signal = self._decode(message)
        return signal if isinstance(signal, str) else Arrived(sender=sender, device=Device(device), signal=signal)

    def _read_trusted(self, message: Element) -> FromServer | str:
        """The server takes part in no call: messages are all that it can say."""
        signal = self._decode(message)
        if isinstance(signal, Message):
            return FromServer(message=signal)
        return signal if isinstance(signal, str) else "not a message of the server"

    def _decode(self, message: Element) -> Signal | str:
        try:
            signal = self._dialect.decode(message)
        except Malformed as error:
            log.debug("malformed signal: %s", error)
            return f"malformed {str(error).partition(':')[0]}"
        if signal is None:
            return "not a signal"
        return "delayed" if too_late(message, signal) else signal
