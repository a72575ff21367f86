"""What of a DTLS handshake goes with the connectivity checks of ICE, while these still look for a path.

In the usual order a round trip of checks comes first, and then two of DTLS 1.2. Between two qbcalls a check carries a
datagram of the handshake in an attribute of our own, so that both run at once. It is the idea of the IETF draft "STUN
Protocol for Embedding DTLS"; the names are ours, because that draft may still change.

Nothing but checks goes to an address that did not consent (RFC 7675), as ever.
"""

from __future__ import annotations

from aioice import stun

NAME = "QBCALL-DTLS"
TYPE = 0xE6D1
"""Of the attribute: who does not know it passes over it (RFC 8489, section 14: from 0x8000 on)."""
LONGEST_DATAGRAM = 1200
"""Bytes that are carried; qbcall's largest flight has 800."""
LONGEST_CHECK = 1400
"""Bytes of a whole check: it must pass everywhere in one piece."""
OVERHEAD = 4 + stun.INTEGRITY_LENGTH + stun.FINGERPRINT_LENGTH
"""Bytes that come to a check besides the datagram: the attribute's head, and what proves its origin."""
MOST_CHECKS = 16
"""Checks that carry one datagram, not counting what is sent again: they may go to addresses where nobody is."""
MOST_TAKEN = 64
"""Datagrams that are taken out of the checks of one path."""
DTLS = range(20, 64)
"""First byte of a datagram of DTLS (RFC 7983, section 7)."""
HANDSHAKE = (20, 22)
"""First byte of a datagram of its handshake: ChangeCipherSpec or Handshake (RFC 5246, section 6.2.1)."""


class Handshake:
    """What this side has to say in one path, and what it took out of checks."""

    def __init__(self) -> None:
        self.said: bytes | None = None
        """What the peer is not known to have: the last datagram, until something comes back."""
        self.arrived = False
        """A check that carried it was answered."""
        self._checks = 0
        self._heard: set[bytes] = set()

    def say(self, datagram: bytes) -> None:
        """This is to be told now; it replaces what was told before."""
        self.said, self.arrived, self._checks = datagram, False, 0

    def came(self) -> None:
        """Something came back."""
        self.said = None

    def takes(self, datagram: bytes) -> bool:
        """Whether what a check carried is to be used: once, and no more than a handshake may need."""
        usable = datagram[:1] and datagram[0] in DTLS and len(datagram) <= LONGEST_DATAGRAM
        return bool(usable) and self.is_new(datagram)

    def is_new(self, datagram: bytes) -> bool:
        """Whether the peer says something that it did not say before."""
        if datagram in self._heard or len(self._heard) >= MOST_TAKEN:
            return False
        self._heard.add(datagram)
        return True

    def load(self, request: stun.Message) -> None:
        """Have a check carry what is to be told, if it can."""
        if self.said is None or self._checks >= MOST_CHECKS or len(self.said) > LONGEST_DATAGRAM:
            return
        if len(bytes(request)) + OVERHEAD + len(self.said) + 3 <= LONGEST_CHECK:
            self._checks += 1
            request.attributes[NAME] = self.said

    def answered(self, request: stun.Message) -> None:
        """The peer has got a check."""
        if self.said is not None and request.attributes.get(NAME) == self.said:
            self.arrived = True


def _unpack(value: bytes) -> bytes:
    """Of one that is too long nothing is kept: a check may wait until the answer is there."""
    return value if len(value) <= LONGEST_DATAGRAM else b""


def _pack(value: bytes) -> bytes:
    return value


# aioice drops attributes that are not in its tables, and writes none.
_ENTRY = (TYPE, NAME, _pack, _unpack)
_KNOWN = (
    stun.ATTRIBUTES_BY_TYPE.get(0x0013)
    == stun.ATTRIBUTES_BY_NAME.get("DATA")
    == (0x0013, "DATA", stun.pack_bytes, stun.unpack_bytes),
    stun.ATTRIBUTES_BY_TYPE.get(TYPE, _ENTRY)[1] == NAME,
    "ATTRIBUTES_BY_TYPE" in stun.parse_message.__code__.co_names,
    "ATTRIBUTES_BY_NAME" in stun.Message.__bytes__.__code__.co_names,
    (stun.INTEGRITY_LENGTH, stun.FINGERPRINT_LENGTH) == (24, 8),
)
if not all(_KNOWN):
    raise ImportError("attributes of checks are read otherwise than in aioice 0.13: a handshake cannot go with them")
stun.ATTRIBUTES_BY_TYPE[TYPE] = stun.ATTRIBUTES_BY_NAME[NAME] = _ENTRY
