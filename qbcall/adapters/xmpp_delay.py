"""Whether a message that waited on its way (XEP-0203) still matters.

A server keeps what arrives for a session whose connection broke, and hands it over after the resumption with a stamp.
"""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from qbcall.core.signals import Invite, Signal

DELAY = "{urn:xmpp:delay}delay"
RING_TIME = 60.0
"""Seconds; who invited then has given up by now (QuickBlox: answer interval)."""
MAX_AGE = 600.0
"""Seconds of everything else. Servers keep sessions for 10 minutes at most, and a call left alone is over."""
CLOCKS_DIFFER = 10.0
"""Seconds that the clock of a server may differ from this machine's; stamps have whole seconds, too."""


def too_late(message: Element, signal: Signal, now: datetime | None = None) -> bool:
    """Whether one of the stamps of a message is too old for the signal in it, of the future, or unreadable."""
    limit = RING_TIME if isinstance(signal, Invite) else MAX_AGE
    at = now or datetime.now(UTC)
    ages = [_age(stamp.get("stamp", ""), at) for stamp in message.iter(DELAY)]
    return not all(age is not None and -CLOCKS_DIFFER <= age <= limit + CLOCKS_DIFFER for age in ages)


def _age(stamp: str, now: datetime) -> float | None:
    """Seconds since a moment (XEP-0082); None: it is none, or of an unknown time zone."""
    try:
        return (now - datetime.fromisoformat(stamp)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
