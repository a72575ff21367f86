"""Reading and writing XML elements, and what of an application's info XML can carry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring
from xml.sax.saxutils import escape, quoteattr

from qbcall.core.model import Info
from qbcall.errors import InvalidArgument

CLIENT = "jabber:client"
"""Namespace of stanzas between client and server (RFC 6120, section 4.8.2)."""

MAX_INFO_KEYS = 60
"""Keys of one info that is sent. Receivers take a few more, since dialects add keys of their own."""
MAX_INFO_BYTES = 16_000
"""Keys and values of one info that is sent, in UTF-8. Some servers limit stanzas to 64 kB, and an SDP is in it."""
MESSAGE_KEYS = ("sigType", "sigData", "sigId", "sigSeq", "sigReceipt")
"""Keys that make a message of the application out of an update."""
RECEIPT_KEY = "sigAck"
"""Key that makes a receipt out of an update."""
RECEPTION_KEY = "sigReception"
"""Key that makes a report of what is received out of an update."""
KNOWN_KEY = "sigKnown"
"""Key that makes a question whether a call is known, or the answer no, out of an update."""
RESERVED = dict.fromkeys((*MESSAGE_KEYS, RECEIPT_KEY, RECEPTION_KEY, KNOWN_KEY), "such an update for a signal") | {
    "delay": "such a message for a late one"
}
"""Keys that no info may have, and what receivers would take it for."""

_OURS = f"{{{CLIENT}}}"
_TO_ESCAPE = re.compile("[&<>]")
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Everything but `Char` of XML 1.0, section 2.2."""


def local_name(element: Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def children(element: Element, name: str) -> Iterator[Element]:
    """The children of this name, whatever their namespace."""
    return (child for child in element if local_name(child) == name)


class Fields(dict[str, Element]):
    """The children of an element by their names, whatever their namespaces; of those with one name the first."""

    def __init__(self, parent: Element) -> None:
        super().__init__((local_name(child), child) for child in reversed(parent))

    def text(self, name: str) -> str:
        """The text of the child of this name; empty where there is none."""
        found = self.get(name)
        return "" if found is None else found.text or ""


def add(parent: Element, name: str, text: str | None = None) -> Element:
    """Append a child in the namespace of client stanzas."""
    element = SubElement(parent, f"{{{CLIENT}}}{name}")
    element.text = text
    return element


def write(element: Element) -> str:
    """A client stanza as it is sent. All of it must be in that namespace, as `add` makes it."""
    parts: list[str] = []
    _write(element, parts)
    return "".join(parts)


def _write(element: Element, parts: list[str]) -> None:
    name = element.tag.removeprefix(_OURS)
    parts.append(f"<{name}")
    for key, value in element.items():
        parts.append(f" {key}={quoteattr(value)}")
    text = element.text or ""
    parts.append(f">{escape(text) if _TO_ESCAPE.search(text) else text}")
    for child in element:
        _write(child, parts)
    parts.append(f"</{name}>")


def utf8_size(text: str) -> int:
    """Bytes of a text in UTF-8; anything else than Unicode counts one byte."""
    return len(text.encode(errors="replace"))


def unwritable(text: str) -> str:
    """The first character that XML cannot carry, escaped or not; empty: there is none."""
    found = _NOT_IN_XML.search(text)
    return found[0] if found else ""


def check_info(info: Info | None) -> Info:
    """The info as it will be sent, a copy; None is nothing to say. Call it before anything is sent.

    Refused is what would not arrive exactly as it is.

    A carriage return is refused because XML turns it into a line feed on the way (XML 1.0, section 2.11): a server
    that writes the stanza anew writes it unescaped, as Prosody does.

    Raises:
        TypeError: no mapping, or a key or value is not text.
        InvalidArgument: a key is no XML name (of XML 1.0, without colon) or reserved, a character cannot be carried,
            or there is too much of it. The message names the key.
    """
    if info is None:
        return {}
    if not isinstance(info, Mapping):
        raise TypeError(f"info must be a mapping of text to text, not {info!r}")
    for key, value in info.items():
        if not isinstance(key, str):
            raise TypeError(f"info: the key {key!r} must be text")
        if not isinstance(value, str):
            raise TypeError(f"info: the value of {key!r} must be text, not {value!r}")
        _check_key(key)
        _check_value(key, value)
    if len(info) > MAX_INFO_KEYS:
        raise InvalidArgument(f"info has {len(info)} keys, at most {MAX_INFO_KEYS}")
    size = sum(utf8_size(key) + utf8_size(value) for key, value in info.items())
    if size > MAX_INFO_BYTES:
        raise InvalidArgument(f"info has {size} bytes of keys and values, at most {MAX_INFO_BYTES}")
    return dict(info)


def _check_key(key: str) -> None:
    if not _is_name(key):
        raise InvalidArgument(
            f"info: the key {key!r} is not an XML name (letters, digits, '_', '-', '.'; a letter first)"
        )
    if key in RESERVED:
        raise InvalidArgument(f"info: the key {key!r} is reserved: receivers take {RESERVED[key]}")


def _check_value(key: str, value: str) -> None:
    if wrong := unwritable(value):
        raise InvalidArgument(f"info: the value of {key!r} has {wrong!r} in it, which XML cannot carry")
    if "\r" in value:
        raise InvalidArgument(f"info: the value of {key!r} has '\\r' in it, which XML turns into '\\n'; use '\\n'")


def _is_name(key: str) -> bool:
    """Whether this is an element name for expat, the parser of slixmpp and Prosody; the tables of others differ."""
    if unwritable(key):
        return False
    try:
        element = fromstring(f"<{key}/>")  # noqa: S314 - our own text, and a name cannot hold an entity
    except ParseError:
        return False
    return element.tag == key and not element.attrib and not len(element)
