"""RTP packets as they are written and read hundreds of times a second (RFC 3550, section 5.1; RFC 8285, section 4.2).

In the packets of one stream the same header extensions stand at the same places. aiortc puts them together and takes
them apart one by one, for any that there may be; so it is asked here for the form of a packet, and for packets of
unusual forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from aiortc.rtp import RTP_HISTORY_SIZE, HeaderExtensions, HeaderExtensionsMap, RtpPacket

CHANGING = Struct("!BHL")
"""Marker with payload type, sequence number and time stamp, behind the first byte."""
START = Struct("!BBHLLHH")
"""A header with extensions but without contributing sources: up to the length of the extensions."""
USUAL, ONE_BYTE = 0x90, 0xBEDE
"""First byte of such a packet without padding, and what extensions with headers of one byte begin with."""
TIME = 3
"""Bytes of the time when a packet was sent."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is the same in all packets of a stream, and where the rest goes."""

    head: bytes
    sent_at: int
    """Where it says when it was sent; 0: it does not."""
    level_at: int
    """Where it says how loud it is; 0: it does not."""


class Writer:
    """Writes the packets of one stream."""

    def __init__(self, payload_type: int, ssrc: int, mid: str | None, extensions: HeaderExtensionsMap) -> None:
        self._packet = RtpPacket(payload_type=payload_type, ssrc=ssrc)
        self._packet.extensions.mid = mid
        self._extensions = extensions
        self._forms: dict[bool, Form] = {}
        """By whether it is told how loud they are."""

    def write(self, number: int, stamp: int, payload: bytes, *, last: bool, sent: int, level: int | None) -> bytes:
        """A packet.

        Args:
            number: its sequence number.
            stamp: its time stamp.
            payload: what is in it.
            last: of its picture.
            sent: when it is sent, in 2**-18 s, of which 24 bits are told.
            level: how many dB it is below the loudest (RFC 6464); None: not told.
        """
        form = self._forms.get(level is not None) or self._form(tells_level=level is not None)
        data = bytearray(form.head)
        CHANGING.pack_into(data, 1, self._packet.payload_type | last << 7, number, stamp)
        if form.sent_at:
            data[form.sent_at : form.sent_at + TIME] = (sent % 2**24).to_bytes(TIME, "big")
        if form.level_at:
            data[form.level_at] = level or 0
        data += payload
        return bytes(data)

    def _form(self, *, tells_level: bool) -> Form:
        """See where packets differ that differ in one thing."""
        low, high = ((False, 0), (False, 127)) if tells_level else (None, None)
        head, later, softer = (self._head(0, low), self._head(2**24 - 1, low), self._head(0, high))
        form = self._forms[tells_level] = Form(head, _difference(head, later), _difference(head, softer))
        return form

    def _head(self, sent: int, level: tuple[bool, int] | None) -> bytes:
        self._packet.extensions.abs_send_time, self._packet.extensions.audio_level = sent, level
        return self._packet.serialize(self._extensions)


def _difference(one: bytes, other: bytes) -> int:
    """Where they begin to differ; 0: nowhere."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), 0)


class History:
    """The latest packets of a stream, in the place of aiortc's: read only if one has to be repeated."""

    def __init__(self, extensions: HeaderExtensionsMap) -> None:
        self._extensions = extensions
        self._kept: dict[int, bytes] = {}

    def keep(self, number: int, data: bytes) -> None:
        """A packet with this sequence number was sent."""
        self._kept[number % RTP_HISTORY_SIZE] = data

    def get(self, place: int) -> RtpPacket | None:
        """The packet at this place; None: there is none."""
        data = self._kept.get(place)
        return None if data is None else RtpPacket.parse(data, self._extensions)


def read(data: bytes, extensions: HeaderExtensionsMap) -> RtpPacket:
    """A packet; of its header extensions those that tell when it was sent and how loud it is.

    Raises:
        ValueError: it is none.
    """
    return _usual(data, vars(extensions)[IDS]) or RtpPacket.parse(data, extensions)


def _usual(data: bytes, ids: HeaderExtensions) -> RtpPacket | None:
    """A packet of the usual form; None: it is of another, or none."""
    if len(data) < START.size or data[0] != USUAL:
        return None
    _, second, number, stamp, ssrc, profile, words = START.unpack_from(data)
    place, end = START.size, START.size + 4 * words
    if profile != ONE_BYTE or end > len(data):
        return None
    packet = RtpPacket(second & 0x7F, second >> 7, number, stamp, ssrc, data[end:])
    while place < end:
        head = data[place]
        after = place + 1 if head == 0 else place + 2 + (head & 0x0F)
        kind = head >> 4
        if kind == 0:
            pass
        elif kind == ids.abs_send_time and after == place + 1 + TIME:
            packet.extensions.abs_send_time = int.from_bytes(data[place + 1 : after], "big")
        elif kind == ids.audio_level and after == place + 2:
            level = data[place + 1]
            packet.extensions.audio_level = (level >= 0x80, level & 0x7F)
        elif kind in (ids.abs_send_time, ids.audio_level):
            return None
        place = after
    return packet if place == end else None


IDS = "_HeaderExtensionsMap__ids"
KNOWN = {IDS, "abs_send_time", "audio_level"} <= set(HeaderExtensionsMap.get.__code__.co_names)
"""Whether aiortc keeps the numbers of extensions as in aiortc 1.16, the one that we know."""
