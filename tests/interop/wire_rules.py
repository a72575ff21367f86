"""What every message of qbcall to a user of the QuickBlox SDK must be like, or else the SDK stops to listen.

Strophe, the XMPP library in the SDK, takes a handler away when it throws; that of call signals comes back only with a
new login. What makes it throw: a headline without `extraParams`; `iceCandidates` without a candidate; a call without
`opponentsIDs`; one more call of one callee to another after it was accepted. White space between elements becomes a
user `NaN` or an empty candidate there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from tests.interop.wire import Signal

COMMON = ("moduleIdentifier", "signalType", "sessionID", "callType", "callerID", "platform")
"""Fields of every signal; and `opponentsIDs`."""
DESCRIBED = {"call", "accept"}
"""Signals that carry an SDP."""
ID = re.compile("[0-9a-f]{24}")


def faults(message: Element) -> Iterator[str]:
    """What is wrong with one message."""
    if message.get("type") != "headline":
        yield f"type {message.get('type')}"
    if not ID.fullmatch(message.get("id", "")):
        yield f"id {message.get('id')}"
    params = message.find("{*}extraParams")
    if params is None:
        yield "no extraParams"
        return
    yield from (f"no {name}" for name in COMMON if not params.findtext(f"{{*}}{name}"))
    if not [item for item in params.iterfind("{*}opponentsIDs/{*}opponentID") if (item.text or "").isdecimal()]:
        yield "no opponentsIDs"
    kind = params.findtext("{*}signalType", "")
    if kind in DESCRIBED and not params.findtext("{*}sdp", "").startswith("v=0"):
        yield f"{kind} without an SDP"
    if kind == "iceCandidates" and not params.findtext("{*}iceCandidates/{*}iceCandidate/{*}candidate"):
        yield "no candidate"
    yield from _white_space(message)


def _white_space(message: Element) -> Iterator[str]:
    for element in message.iter():
        if len(element) and element.text:
            yield f"text before the elements in {element.tag}"
        if element is not message and element.tail:
            yield f"text after {element.tag}"


def repeated_after_accept(signals: Iterable[Signal]) -> Iterator[Signal]:
    """Calls of one callee to another that came after the other accepted.

    Args:
        signals: of one browser, in their order.
    """
    accepted: set[tuple[str, int]] = set()
    for signal in signals:
        link = (signal.session, signal.user)
        if signal.sent and signal.kind == "accept":
            accepted.add(link)
        if (
            not signal.sent
            and signal.kind == "call"
            and link in accepted
            and f">{signal.user}</callerID" not in signal.stanza
        ):
            yield signal
