"""The recorded stanzas in `tests/vectors/quickblox`, and an independent look at their fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

from qbcall.dialects.xml import CLIENT, write

FOLDER = Path(__file__).parent.parent / "vectors" / "quickblox"
NAMES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
APP = "-77@localhost"


@dataclass(frozen=True)
class Line:
    """One recorded stanza; `tests/vectors/README.md` says more."""

    peer: str
    direction: str
    xml: str

    @property
    def message(self) -> Element:
        return fromstring(self.xml)


def lines(name: str) -> Iterator[Line]:
    with (FOLDER / f"{name}.jsonl").open(encoding="utf-8") as file:
        for text in file:
            entry = json.loads(text)
            yield Line(entry["peer"], entry["dir"], entry["xml"])


def over_the_wire(message: Element) -> Element:
    """What a receiver reads of the element in a stream (RFC 6120, section 4.8.2)."""
    return fromstring(f"<stream xmlns='{CLIENT}'>{write(message)}</stream>")[0]


def fields(message: Element) -> dict[str, object]:
    """The fields in a message by name, without namespaces and order; nested values of user info as JSON."""
    for element in message.iter():
        element.tag = element.tag.rpartition("}")[2]
    params = message.find("extraParams")
    assert params is not None
    found: dict[str, object] = {item.tag: item.text for item in params}
    if (listed := params.find("opponentsIDs")) is not None:
        found["opponentsIDs"] = sorted(item.text or "" for item in listed)
    if (listed := params.find("iceCandidates")) is not None:
        found["iceCandidates"] = [{part.tag: part.text for part in item} for item in listed]
    if (description := params.find("sessionDescription")) is not None:
        found["sessionDescription"] = {part.tag: part.text for part in description}
    if (info := params.find("userInfo")) is not None:
        found["userInfo"] = {item.tag: _flat(item) for item in info}
    return found


def _flat(item: Element) -> str:
    return json.dumps({part.tag: part.text for part in item}) if len(item) else item.text or ""
