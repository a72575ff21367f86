"""Which way to a session is safe, decided before a credential is used."""

from __future__ import annotations

import ssl
from collections.abc import Set

from qbcall.adapters.xmpp_scram import MECHANISMS, PLAIN
from qbcall.adapters.xmpp_settings import is_loopback


def is_distrust(error: object) -> bool:
    """Whether TLS failed for its own reasons, the certificate for one, and not because the connection ended."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def unsafe(
    *,
    plaintext: bool,
    sasl_plain: bool,
    encrypted: bool,
    authenticated: bool,
    peer: str,
    offered: Set[str],
    mechanisms: Set[str],
) -> str:
    """Why login must not go on with the stream features of a server (RFC 6120, section 4.3.2), or empty.

    `plaintext` and `sasl_plain` are what was asked for; `encrypted` and `peer`, an address, are what there is.
    """
    if not encrypted:
        if not plaintext:
            return "" if "starttls" in offered else "the server offers no TLS"
        if not is_loopback(peer):
            return f"{peer}: without TLS only a server on loopback is used"
    if authenticated or mechanisms & MECHANISMS or (sasl_plain and encrypted and PLAIN in mechanisms):
        return ""
    if "starttls" in offered and not mechanisms:
        return "the server wants TLS, but login without TLS was asked for"
    return f"the server offers no SCRAM to log in, but {', '.join(sorted(mechanisms)) or 'nothing'}"
