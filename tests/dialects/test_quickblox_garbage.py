"""No stanza makes the reader raise anything but Malformed."""

from __future__ import annotations

import copy
import json
from xml.etree.ElementTree import Element, ParseError, fromstring

from hypothesis import given, settings
from hypothesis import strategies as st

from qbcall.core.model import User
from qbcall.core.signals import Invite, Signal
from qbcall.dialects.quickblox import QuickBlox
from qbcall.errors import Malformed
from tests.dialects.transcripts import APP, NAMES, fields, lines

READERS = [QuickBlox(User(f"1001{APP}")), QuickBlox(User("alice@example.org"))]
NASTY = [
    "",
    " ",
    "\n",
    "0",
    "-1",
    "1e9",
    "NaN",
    "٣",
    "9" * 5000,
    "a@",
    "@",
    "a@b/c",
    "\x85",
    "null",
    "<x/>",
    "é" * 40_000,
]


def one_of_each_kind() -> list[str]:
    """Recorded stanzas: one of each set of fields, or else hypothesis would see little but candidates."""
    found: dict[str, str] = {}
    for name in NAMES:
        for line in lines(name):
            if line.direction == "in" and "<extraParams>" in line.xml:
                there = fields(line.message)
                found.setdefault(f"{there['signalType']} {sorted(there)}", line.xml)
    return list(found.values())


STANZAS = one_of_each_kind()
TEXTS = st.sampled_from(NASTY) | st.text(max_size=20)
TAGS = sorted({element.tag for xml in STANZAS for element in fromstring(xml).iter()})


@st.composite
def mutated(draw: st.DrawFn) -> Element:
    """A recorded stanza, with some elements lost, doubled, renamed, emptied, filled or moved."""
    message = fromstring(draw(st.sampled_from(STANZAS)))
    for _ in range(draw(st.integers(1, 4))):
        element = draw(st.sampled_from(list(message.iter())))
        match draw(st.sampled_from(["text", "tag", "attribute", "lose", "double", "move"])):
            case "text":
                element.text = draw(TEXTS)
            case "tag":
                element.tag = draw(st.sampled_from(TAGS) | st.just("{other:ns}x"))
            case "attribute":
                element.set("type", draw(TEXTS))
            case "lose" if len(element):
                element.remove(draw(st.sampled_from(list(element))))
            case "double" if len(element):
                inner = copy.deepcopy(draw(st.sampled_from(list(element))))
                element.extend([inner] * draw(st.integers(1, 70)))
            case _:
                message.append(copy.deepcopy(element))
    return message


def assert_survives(message: Element) -> None:
    for reader in READERS:
        try:
            signal = reader.decode(message)
        except Malformed as error:
            field, colon, problem = str(error).partition(": ")
            assert field.isidentifier()
            assert colon
            assert 0 < len(problem) < 500
        else:
            assert signal is None or isinstance(signal, Signal)


def test_stanzas_of_every_kind_are_mutated() -> None:
    kinds = {str(fields(fromstring(xml))["signalType"]) for xml in STANZAS}
    assert kinds == {"call", "accept", "reject", "hangUp", "iceCandidates", "update", "iceRestart"}


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_mutated_stanza_gives_signal_or_nothing_or_malformed(message: Element) -> None:
    """QB-049."""
    assert_survives(message)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(STANZAS), st.data())
def test_stanza_with_changed_characters_gives_signal_or_nothing_or_malformed(xml: str, data: st.DataObject) -> None:
    """QB-049."""
    at = data.draw(st.integers(0, len(xml)))
    cut = data.draw(st.integers(0, 30))
    changed = xml[:at] + data.draw(TEXTS) + xml[at + cut :]
    try:
        message = fromstring(changed.encode(errors="replace"))
    except ParseError:
        return
    assert_survives(message)


VALUES = st.recursive(
    st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_nested_info_becomes_json_text(value: object) -> None:
    message = fromstring(STANZAS[0])
    info = message[0].find("{jabber:client}userInfo")
    assert info is not None
    info[:] = [built("top", value)]
    signal = READERS[0].decode(message)
    assert isinstance(signal, Invite)
    assert signal.info["top"] == (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def built(name: str, value: object) -> Element:
    element = Element(name)
    if isinstance(value, dict):
        element.extend([built(key, inner) for key, inner in value.items()])
    else:
        element.text = str(value)
    return element
