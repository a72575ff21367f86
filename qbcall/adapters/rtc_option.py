"""How a description says that its side takes a DTLS handshake out of connectivity checks; see `rtc_handshake`."""

from __future__ import annotations

import re

OPTION = "qbcall-dtls1"
"""One of `a=ice-options` (RFC 8839, section 5.6); who does not know it passes over it."""


def says(sdp: str) -> bool:
    """Whether who wrote this description takes a handshake out of checks; who makes none itself does not."""
    if re.search(r"^a=ice-lite\s*$", sdp, re.MULTILINE):
        return False
    return any(OPTION in options.split() for options in re.findall("^a=ice-options:(.*)$", sdp, re.MULTILINE))


def saying(sdp: str) -> str:
    """The description that says so."""
    return re.sub("^m=", f"a=ice-options:{OPTION}\r\nm=", sdp, count=1, flags=re.MULTILINE)
