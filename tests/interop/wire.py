"""Signals as a browser's chat connection carries them, told apart without the SDK's help."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Signal:
    """One call signal."""

    kind: str
    """`call`, `accept`, `reject`, `hangUp`, `iceCandidates` or `update`."""
    session: str
    user: int
    """Who sent it, or to whom it was sent."""
    sent: bool
    """By the browser; else it received it."""
    at: float
    """Seconds on the event loop's clock."""
    stanza: str


def signal_of(text: str, sent: bool, at: float) -> Signal | None:
    """The signal in a WebSocket frame, which holds one stanza (RFC 7395, section 3.3); None: it is something else."""
    if "WebRTCVideoChat" not in text:
        return None
    stanza = ElementTree.fromstring(text)
    found = {child.tag.rpartition("}")[2]: child.text or "" for child in stanza.iterfind("{*}extraParams/{*}*")}
    user = stanza.get("to" if sent else "from", "")
    return Signal(
        kind=found.get("signalType", ""),
        session=found.get("sessionID", ""),
        user=int(user.partition("-")[0]),
        sent=sent,
        at=at,
        stanza=text,
    )
