"""Connecting while it rings, between qbcalls: not a part of QuickBlox's signalling, whose clients pass over it.

| where | what | means |
| --- | --- | --- |
| `call` | `<preconnect>1</preconnect>` | the caller answers early offers |
| `update` | `<reason>preconnect</reason>`, `<sessionDescription>` as to reconnect | an early offer, or its answer |
| `accept` | `<preconnect>ID</preconnect>` | over the connection of that early offer, which is repeated as `<sdp>` |
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from qbcall.dialects.xml import Fields, add
from qbcall.errors import Malformed

REASON = "preconnect"
MAX_EARLY_ID = 256
"""Characters of the id of an early offer; ours have 36."""


def read_takes_early(params: Fields) -> bool:
    """Whether the caller answers early offers."""
    return params.text(REASON).strip() == "1"


def read_early(params: Fields) -> str:
    """Id of the early offer that an accept names, or empty.

    Raises:
        Malformed: it is too long.
    """
    found = params.text(REASON).strip()
    if len(found) > MAX_EARLY_ID:
        raise Malformed(f"{REASON}: {len(found)} characters, at most {MAX_EARLY_ID}")
    return found


def write_early(params: Element, said: str | bool) -> None:
    """Write either, if there is anything to say."""
    if said:
        add(params, REASON, "1" if said is True else said)
