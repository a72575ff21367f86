"""Addresses of users as people and other clients write them (RFC 7622)."""

from __future__ import annotations

from functools import lru_cache

from qbcall.core.model import User
from qbcall.errors import InvalidArgument

MAX_PART_BYTES = 1023
"""Of a localpart or a domain, in UTF-8: RFC 7622, sections 3.2 and 3.3."""
NOT_IN_LOCALPART = frozenset("\"&'/:<>@")
"""RFC 7622, section 3.3.1."""
NOT_IN_DOMAIN = frozenset("\"&'<>@\\,;!?#%")
"""No host name or IP literal has them; they are typing errors."""


SHOWN = 80
"""Characters of a wrong JID that a message quotes: it may have come from afar."""


@lru_cache(maxsize=1024)
def bare_jid(text: str) -> User:
    """The user with this bare JID, in lower case.

    Raises:
        InvalidArgument: it is no bare JID; says what is wrong with it.
    """
    localpart, at, domain = text.partition("@")
    shown = repr(text[:SHOWN])
    if not at:
        raise InvalidArgument(f"user {shown} is not a JID: it has no '@' (name@domain)")
    if "/" in domain:
        raise InvalidArgument(f"user {shown} names one device: leave out '/' and the rest, calls go to all devices")
    _check_part(shown, "name before '@'", localpart, NOT_IN_LOCALPART)
    _check_part(shown, "domain after '@'", domain, NOT_IN_DOMAIN)
    return User(f"{localpart}@{domain}".lower())


def _check_part(jid: str, what: str, part: str, forbidden: frozenset[str]) -> None:
    if not part:
        raise InvalidArgument(f"user {jid} is not a JID: the {what} is empty")
    for character in part:
        if character in forbidden or character.isspace() or not character.isprintable():
            raise InvalidArgument(f"user {jid} is not a JID: the {what} has {character!r} in it")
    # Measured in lower case, which is what is kept and can be longer.
    size = len(part.lower().encode())
    if size > MAX_PART_BYTES:
        raise InvalidArgument(f"user {jid} is not a JID: the {what} has {size} bytes, at most {MAX_PART_BYTES}")
