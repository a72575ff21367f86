"""Received pictures, given out as soon as they are complete.

aiortc gives a picture out when the first packet of the next one comes: each is late by one interval, 67 ms at 15
pictures per second. But the last packet of a picture says that it is the last (RFC 3550, section 5.1; RFC 7741,
section 4.1 for VP8; RFC 6184, section 5.1 for H264).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

CAPACITY = 512
"""Packets; as many as in aiortc's own buffer for pictures."""


class PromptBuffer(JitterBuffer):
    """Puts packets in order, and gives out each picture when its last packet and all before it are there.

    That is the packet with the marker; pictures of peers that set none end where the next one begins. What is lost
    stays with aiortc: it keeps what follows, and drops the incomplete picture when the buffer is full.
    """

    def __init__(self, deliver: Callable[[int, JitterFrame], None]) -> None:
        """`deliver` takes each picture, with the payload type of its packets."""
        super().__init__(CAPACITY, is_video=True)
        self._deliver = deliver

    def _remove_frame(self, sequence_number: int) -> None:
        """Called after each packet. One that was late may complete several pictures: aiortc would take one only."""
        while packets := self._ready():
            self.remove(len(packets))
            data = b"".join(map(data_of, packets))
            if data:
                self._deliver(packets[0].payload_type, JitterFrame(data, packets[0].timestamp))

    def _ready(self) -> list[RtpPacket]:
        """What can leave the buffer: the packets of its first picture, or an empty one; nothing: it is incomplete."""
        packets: list[RtpPacket] = []
        for packet in self._in_order():
            if packets and packet.timestamp != packets[0].timestamp:
                return packets
            packets.append(packet)
            if packet.marker or not data_of(packets[0]):
                return packets  # padding has the time stamp of the picture before it, which may have left already
        return []

    def _in_order(self) -> Iterator[RtpPacket]:
        """The packets up to the first that is missing."""
        assert self._origin is not None, "a packet was added"
        for offset in range(self.capacity):
            packet = self._packets[(self._origin + offset) % self.capacity]
            if packet is None:
                return
            yield packet


def data_of(packet: RtpPacket) -> bytes:
    """The part of the picture that is in it; nothing: it is padding."""
    data: bytes = vars(packet)["_data"]  # where aiortc's receiver puts it
    return data


# aiortc has no setting for this.
if list(inspect.signature(JitterBuffer._remove_frame).parameters) != ["self", "sequence_number"]:
    raise ImportError("aiortc receives otherwise than in aiortc 1.16: pictures would come late")
