"""The contacts of the account: the roster (RFC 6121, section 2), read at each login and followed from then on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from qbcall.core.model import User
from qbcall.dialects.jid import bare_jid
from qbcall.errors import InvalidArgument

ROSTER = "jabber:iq:roster"
MAX_ROSTER_BYTES = 4_194_304
"""Of an answer; some 40 000 contacts."""
SUBSCRIBED = {"from", "to", "both"}
"""One of the two has agreed that the other sees its presence; `none` is a request at most."""


class Roster:
    """Asks one connection's server for the contacts, and understands its pushes."""

    def __init__(self, *, write: Callable[[str], object], tell: Callable[[frozenset[User]], None]) -> None:
        """`tell` takes all contacts, after the answer and after each change; none where the server has no rosters."""
        self._write = write
        self._tell = tell
        self._id = secrets.token_hex(8)
        """Of the question; no peer can know it."""
        self._account = ""
        self._contacts: frozenset[User] | None = None

    def ask(self, account: str) -> None:
        """Write the question; `account` is the bare JID that the server knows this connection by."""
        self._account = account
        self._write(f"<iq type='get' id='{self._id}'><query xmlns='{ROSTER}'/></iq>")

    def takes(self, iq: Element) -> bool:
        """Whether an IQ is about the roster and comes from the server, so that it needs no other care."""
        kind, name = iq.get("type"), iq.get("id", "")
        if kind in ("result", "error") and name == self._id:
            if self._contacts is None:
                self._change(_changed(frozenset(), _items(iq)))
            return True
        # Section 2.1.6: a push of anybody else is forged.
        if kind != "set" or not _has_query(iq) or iq.get("from", self._account) != self._account:
            return False
        self._write(f"<iq type='result' id={quoteattr(name)}/>")
        if self._contacts is not None:
            self._change(_changed(self._contacts, _items(iq)))
        return True

    def _change(self, contacts: frozenset[User]) -> None:
        if contacts != self._contacts:
            self._contacts = contacts
            self._tell(contacts)


def _has_query(iq: Element) -> bool:
    return iq.find(f"{{{ROSTER}}}query") is not None


def _items(iq: Element) -> Iterable[Element]:
    return iq.iterfind(f"{{{ROSTER}}}query/{{{ROSTER}}}item")


def _changed(contacts: frozenset[User], items: Iterable[Element]) -> frozenset[User]:
    """The contacts after these items; one whose JID is no user's, e.g. a gateway's, is passed over."""
    found = set(contacts)
    for item in items:
        try:
            user = bare_jid(item.get("jid", ""))
        except InvalidArgument:
            continue
        if item.get("subscription") in SUBSCRIBED:
            found.add(user)
        else:
            found.discard(user)
    return frozenset(found)
