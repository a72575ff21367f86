"""What broken clients send: recorded stanzas aimed at a running call, and what random faults make of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from random import Random
from xml.etree.ElementTree import Element, SubElement, fromstring

from qbcall.core.model import CallHead
from tests.dialects.transcripts import NAMES, lines

CLIENT = "{jabber:client}"
RECORDED = [line.xml for name in NAMES for line in lines(name) if line.direction == "in"]
RESTARTS = [xml for xml in RECORDED if "<reason>reconnect</reason>" in xml]
"""Fresh offers and answers."""
NASTY = ("", " ", "\n", "0", "-1", "1e9", "NaN", "٣", "9" * 5000, "a@", "@", "a@b/c", "\x85", "null", "<x/>", "]]>")
HUGE = ("é" * 40_000, "v=0\r\n" + "a=x\r\n" * 14_000, "v=0\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\n" * 1500)
"""More than 64 kB each."""
TYPES = ("error", "normal", "chat", "groupchat", "headline", "nonsense", "")
KINDS = ("call", "accept", "reject", "hangUp", "iceCandidates", "update", "iceRestart", "CALL", "", "x" * 300)
NAMESPACES = ("urn:other", "jabber:server", "http://jabber.org/protocol/muc", "urn:xmpp:carbons:2")
MOST_FAULTS = 4
MOST_ELEMENTS = 2000
"""A stanza that has more is not made worse: faults that repeat what others repeated would fill the memory."""


def aimed(xml: str, head: CallHead) -> Element:
    """A recorded stanza, as if it belonged to a call.

    Args:
        xml: the stanza; whom it comes from and goes to is taken away.
        head: of the call.
    """
    message = fromstring(xml)
    for name in ("from", "to"):
        message.attrib.pop(name, None)
    words = {"sessionID": str(head.call), "callerID": _number(head.caller), "opponentID": _number(head.callees[0])}
    for element in message.iter():
        element.text = words.get(element.tag.rpartition("}")[2], element.text)
    return message


def _number(user: str) -> str:
    return user.partition("-")[0]


def broken(message: Element, rng: Random) -> Element:
    """The stanza with one fault or some."""
    message = copy.deepcopy(message)
    for _ in range(rng.randint(1, MOST_FAULTS)):
        if not _is_large(message):
            rng.choice(FAULTS)(message, rng)
    return message


def _is_large(message: Element) -> bool:
    return sum(1 for _ in message.iter()) > MOST_ELEMENTS


def _some(message: Element, rng: Random) -> Element:
    return rng.choice(list(message.iter()))


def _lose(message: Element, rng: Random) -> None:
    parent = _some(message, rng)
    if len(parent):
        parent.remove(rng.choice(list(parent)))


def _double(message: Element, rng: Random) -> None:
    parent = _some(message, rng)
    if len(parent):
        parent.extend([copy.deepcopy(rng.choice(list(parent)))] * rng.choice([1, 2, 70]))


def _fill(message: Element, rng: Random) -> None:
    leaves = [element for element in message.iter() if not len(element)]
    rng.choice(leaves).text = rng.choice(NASTY if rng.random() < 0.9 else HUGE)


def _scribble(message: Element, rng: Random) -> None:
    """Change some characters of a text, e.g. of an SDP."""
    with_text = [element for element in message.iter() if element.text]
    if with_text:
        element = rng.choice(with_text)
        text = element.text or ""
        at = rng.randrange(len(text))
        noise = "".join(chr(rng.randrange(0x20, 0x7F)) for _ in range(rng.randrange(8)))
        element.text = text[:at] + noise + text[at + rng.randrange(40) :]


def _move(message: Element, rng: Random) -> None:
    _some(message, rng).append(copy.deepcopy(_some(message, rng)))


def _rename(message: Element, rng: Random) -> None:
    inner = list(message.iter())[1:]
    if inner:
        rng.choice(inner).tag = rng.choice(inner).tag


def _renamespace(message: Element, rng: Random) -> None:
    inner = list(message.iter())[1:]
    if inner:
        element = rng.choice(inner)
        element.tag = f"{{{rng.choice(NAMESPACES)}}}{element.tag.rpartition('}')[2]}"


def _retype(message: Element, rng: Random) -> None:
    message.set("type", rng.choice(TYPES))


def _delay(message: Element, rng: Random) -> None:
    stamp = rng.choice(["2020-01-01T00:00:00Z", "", "nonsense"])
    SubElement(_some(message, rng), "{urn:xmpp:delay}delay", {"stamp": stamp})


def _rekind(message: Element, rng: Random) -> None:
    for element in message.iter(f"{CLIENT}signalType"):
        element.text = rng.choice(KINDS)


def _many_candidates(message: Element, rng: Random) -> None:
    for listed in list(message.iter(f"{CLIENT}iceCandidates")):  # they may lie within one another
        if not _is_large(message):
            listed.extend([copy.deepcopy(inner) for inner in listed] * 60)


def _nest(message: Element, rng: Random) -> None:
    inner = _some(message, rng)
    for _ in range(rng.choice([2, 100])):
        inner = SubElement(inner, f"{CLIENT}userInfo")


FAULTS: tuple[Callable[[Element, Random], None], ...] = (
    _lose,
    _double,
    _fill,
    _scribble,
    _scribble,
    _move,
    _rename,
    _renamespace,
    _retype,
    _delay,
    _rekind,
    _many_candidates,
    _nest,
)


def nonsense(head: CallHead, rng: Random, count: int, recorded: Sequence[str] = RECORDED) -> Iterator[Element]:
    """Every recorded stanza, aimed at the call; then so many broken ones, aimed or not."""
    for xml in recorded:
        yield aimed(xml, head)
    for _ in range(count):
        xml = rng.choice(recorded)
        yield broken(aimed(xml, head) if rng.random() < 0.8 else _elsewhere(xml), rng)


def _elsewhere(xml: str) -> Element:
    message = fromstring(xml)
    for name in ("from", "to"):
        message.attrib.pop(name, None)
    return message
