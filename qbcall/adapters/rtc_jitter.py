"""Received pictures, given out as soon as they are complete, and none that builds on what is missing. Pure.

aiortc gives a picture out when the first packet of the next one comes: each is late by one interval, 67 ms at 15
pictures per second. But the last packet of a picture says that it is the last (RFC 3550, section 5.1; RFC 7741,
section 4.1 for VP8; RFC 6184, section 5.1 for H264). After a loss it keeps what follows until 512 packets wait: the
picture stands still for seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiortc.rtp import RtpPacket

from qbcall.adapters.rtc_missing import Missing
from qbcall.adapters.rtc_sequence import Strays, distance

CAPACITY = 512
"""Packets that wait; as many as in aiortc's own buffer for pictures."""
MOST_MISSING = 40
"""Packets that are worth asking for: a complete picture has about as many."""
SILENCE = 0.5
"""Seconds without any packet after which the path was down: what was lost then is old."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One that can be decoded, if those before it were."""

    payload_type: int
    timestamp: int
    data: bytes


class PictureBuffer:
    """Puts packets in order, and gives out each picture when its last packet and all before it are there.

    That is the packet with the marker; pictures of peers that set none end where the next one begins. What is missing
    is waited for (`missing`), but not for long: then nothing comes out until there is a complete picture.
    """

    def __init__(self, begins: Callable[[int, bytes], bool], opens: Callable[[int, bytes], bool]) -> None:
        """Both are asked about data of a payload type.

        Args:
            begins: whether a decoder can begin with this picture.
            opens: whether this is the first packet of such a picture.
        """
        self.missing = Missing()
        self.incomplete = True
        """Nothing can be decoded before a complete picture comes."""
        self.dropped = 0
        """Whole pictures that could not be decoded, as what they build on is missing."""
        self._begins = begins
        self._opens = opens
        self._held: dict[int, RtpPacket] = {}
        self._next = self._newest = -1
        self._heard_at = 0.0
        self._strays = Strays()

    def add(self, packet: RtpPacket, now: float) -> list[Picture]:
        """A packet came: the pictures that can be decoded now."""
        number = packet.sequence_number
        if self._next < 0:
            self._restart(number)
        if self._strays.hold(distance(number, self._next)):
            if not self._strays.begins_again:
                return []
            self._restart(number)
        self._note(number, now)
        self._held[number] = packet
        pictures = self._release()
        if len(self.missing) and self._seek(packet):
            pictures += self._release()
        if len(self._held) > CAPACITY or len(self.missing) > MOST_MISSING:
            self._restart((self._newest + 1) % 2**16)
        return pictures

    def tend(self, now: float) -> list[Picture]:
        """Wait no more for what is missing for too long; the pictures that can be decoded then."""
        overdue = self.missing.overdue(now)
        if not overdue:
            return []
        last = max(overdue, key=self._ahead)
        self._skip_to(min((number for number in self._held if distance(number, last) > 0), key=self._ahead))
        self.incomplete = True
        return self._release()

    # -- order -------------------------------------------------------------------------------------------------------

    def _note(self, number: int, now: float) -> None:
        """See what is missing before it."""
        ahead = distance(number, self._newest)
        pause, self._heard_at = now - self._heard_at, now
        if ahead <= 0:
            self.missing.came(number, now)
            return
        if ahead - 1 > MOST_MISSING or (ahead > 1 and pause > SILENCE):
            self._restart(number)
        self.missing.note(((self._newest + step) % 2**16 for step in range(1, distance(number, self._newest))), now)
        self._newest = number

    def _restart(self, number: int) -> None:
        """Go on with this packet."""
        self._held.clear()
        self.missing.clear()
        self._next, self._newest = number, (number - 1) % 2**16
        self._strays.clear()
        self.incomplete = True

    def _ahead(self, number: int) -> int:
        return distance(number, self._next)

    def _skip_to(self, number: int) -> None:
        """Wait for nothing before it."""
        for old in [old for old in self._held if distance(old, number) < 0]:
            del self._held[old]
        self.missing.forget([old for old in self.missing.numbers if distance(old, number) < 0])
        self._next = number

    # -- pictures ----------------------------------------------------------------------------------------------------

    def _release(self) -> list[Picture]:
        """Those that are next. A packet that was late may complete several."""
        pictures: list[Picture] = []
        while packets := self._ready():
            for packet in packets:
                del self._held[packet.sequence_number]
            self._next = (packets[-1].sequence_number + 1) % 2**16
            data = b"".join(map(data_of, packets))
            if data and self._can_follow(packets[0].payload_type, data):
                pictures.append(Picture(packets[0].payload_type, packets[0].timestamp, data))
            else:
                self.dropped += bool(data)
        return pictures

    def _can_follow(self, payload_type: int, data: bytes) -> bool:
        if self.incomplete and self._begins(payload_type, data):
            self.incomplete = False
        return not self.incomplete

    def _ready(self) -> list[RtpPacket]:
        """What can leave the buffer: the packets of its first picture, or an empty one; nothing: it is incomplete."""
        packets: list[RtpPacket] = []
        for packet in self._from(self._next):
            if packets and packet.timestamp != packets[0].timestamp:
                return packets
            packets.append(packet)
            if packet.marker or not data_of(packets[0]):
                return packets  # padding has the time stamp of the picture before it, which may have left already
        return []

    def _from(self, number: int) -> Iterator[RtpPacket]:
        """The packets up to the first that is missing."""
        while (packet := self._held.get(number)) is not None:
            yield packet
            number = (number + 1) % 2**16

    def _before(self, packet: RtpPacket) -> RtpPacket | None:
        return self._held.get((packet.sequence_number - 1) % 2**16)

    def _seek(self, packet: RtpPacket) -> bool:
        """Go on with the picture that this packet belongs to, if it is complete in itself and all of it is there."""
        first, before = packet, self._before(packet)
        while before is not None and before.timestamp == packet.timestamp:
            first, before = before, self._before(before)
        if not self._opens(first.payload_type, data_of(first)):
            return False
        for one in self._from(first.sequence_number):
            if one.marker or one.timestamp != packet.timestamp:
                self._skip_to(first.sequence_number)
                self.incomplete = True
                return True
        return False


def data_of(packet: RtpPacket) -> bytes:
    """The part of the picture that is in it; nothing: it is padding."""
    data: bytes = vars(packet)["_data"]  # where aiortc's receiver puts it
    return data
