"""The chat link over XMPP; satisfies `qbcall.adapters.ports.ChatLink`."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from xml.etree.ElementTree import Element

from slixmpp import InvalidJID
from slixmpp.xmlstream import tostring

from qbcall.adapters.xmpp_settings import XmppSettings
from qbcall.adapters.xmpp_stream import XmppStream
from qbcall.core.inputs import Arrived, LinkBroke, LinkUp, Post
from qbcall.core.model import CallHead, Device, User
from qbcall.core.signals import Signal
from qbcall.dialects import Dialect
from qbcall.dialects.jid import bare_jid
from qbcall.dialects.xml import CLIENT
from qbcall.errors import AuthError, InvalidArgument, LinkDown, LinkError, Malformed

__all__ = ["XmppLink", "XmppSettings"]

log = logging.getLogger("qbcall.adapters.xmpp")

DELAY = "{urn:xmpp:delay}delay"
"""XEP-0203: the message waited somewhere, and the call it is about has gone on without it."""
RESOURCE_BYTES = 8
"""Of randomness: two devices of one account with the same name would throw each other out."""


class XmppLink:
    """One device of one account. Each `dial` is a new connection with the same resource; it never dials by itself."""

    def __init__(self, settings: XmppSettings, dialect: Dialect, post: Post) -> None:
        self.ignored: Counter[str] = Counter()
        """Messages that were ignored, by the reason."""
        self._settings = settings
        self._dialect = dialect
        self._post = post
        self._resource = settings.resource or f"qbcall-{secrets.token_hex(RESOURCE_BYTES)}"
        self._stream: XmppStream | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    # -- ChatLink ----------------------------------------------------------------------------------------------------

    def dial(self) -> None:
        """Connect and log in; `LinkUp` or `LinkBroke` is posted once it is decided."""
        self.drop()
        self._dialing = asyncio.get_running_loop().create_task(self._dial())

    def drop(self) -> None:
        """Log out, or stop logging in; nothing is posted for it."""
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        if self._stream is not None:
            self._leave(self._stream)

    def send(self, to: User, head: CallHead, signal: Signal) -> None:
        """Write a signal to all devices of a user, but this one. What cannot be written is logged."""
        if self._stream is None:
            log.debug("not connected: a %s was not sent", type(signal).__name__)
            return
        # Prosody discards a headline to the own bare JID.
        addresses = sorted(self._stream.own_devices) if to == self._settings.jid else [to]
        for address in addresses:
            try:
                text = tostring(self._dialect.encode(User(address), head, signal), xmlns=CLIENT)
            except (InvalidArgument, TypeError, ValueError) as error:
                log.error("a %s cannot be written: %s", type(signal).__name__, error)
                return
            self._stream.write(text)

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
                up=lambda device: self._post(LinkUp(device=device)),
                heard=self._heard,
                ended=self._ended,
            )
        except InvalidJID as error:
            self._post(LinkBroke(reason=AuthError(f"{self._settings.jid}: {error}"), fatal=True))
            return
        self._stream.start()

    def _ended(self, reason: LinkError, fatal: bool) -> None:
        if self._stream is not None:
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

    def _read(self, message: Element) -> Arrived | str:
        """What arrived, or why it is ignored."""
        kind = message.get("type", "normal")
        if kind != "headline":
            return "an error" if kind == "error" else "not a headline"
        device = message.get("from", "")
        try:
            sender = bare_jid(device.partition("/")[0])
        except InvalidArgument:
            return "not from a user"
        if self._stream is not None and device == self._stream.boundjid.full:
            return "from this device"
        if next(message.iter(DELAY), None) is not None:
            return "delayed"
        try:
            signal = self._dialect.decode(message)
        except Malformed as error:
            log.debug("malformed signal: %s", error)
            return f"malformed {str(error).partition(':')[0]}"
        return "not a signal" if signal is None else Arrived(sender=sender, device=Device(device), signal=signal)
