"""Whether a password can be shown to any server: SASL prepares it (SASLprep, RFC 4013), and forbids some characters.

slixmpp prepares it in the middle of a login, where the cause of a failure is lost.
"""

from __future__ import annotations

from slixmpp.util.sasl.client import saslprep
from slixmpp.util.stringprep_profiles import StringPrepError


def fault_of(password: str) -> str:
    """Why no server can take it; empty: nothing speaks against it. It does not show the password."""
    if _is_prepared(password):
        return ""
    for place, character in enumerate(password, 1):
        if not _is_prepared(character):
            return f"character {place}, U+{ord(character):04X}, is not allowed in passwords (RFC 4013, section 2.3)"
    return "mixes letters that are written from the left and from the right (RFC 4013, section 2.4)"


def _is_prepared(text: str) -> bool:
    try:
        saslprep(text)
    except StringPrepError:
        return False
    return True
