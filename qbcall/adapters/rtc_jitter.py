"""Received pictures, given out as soon as they are complete.

aiortc gives a picture out when the first packet of the next one comes: each is late by one interval, 67 ms at 15
pictures per second. But the last packet of a picture says that it is the last (RFC 3550, section 5.1; RFC 7741,
section 4.1 for VP8; RFC 6184, section 5.1 for H264).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket

from qbcall.adapters.rtc_keyframes import is_keyframe

CAPACITY = 512
"""Packets; as many as in aiortc's own buffer for pictures."""
ASK_INTERVAL = 0.25
"""Seconds between two requests for a picture that needs none before it."""
MOST_WITHOUT_KEYFRAME = 3.0
"""Seconds after which any picture is better than none: the peer sends no such picture, or it is not recognised."""


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


class Pictures:
    """Lets a receiver decode each picture as soon as it is complete; it must not have received anything yet."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        self._codecs, self._clock, self._queue = (vars(receiver)[name] for name in (_CODECS, _CLOCK, _QUEUE))
        self._waits_since: float | None = None
        self._asked_at = 0.0
        setattr(receiver, _BUFFER, PromptBuffer(self._decode))

    def start_anew(self) -> None:
        """After a gap: decode nothing until a picture comes that needs none before it; ask for one if it does not.

        What was lost is not asked for again: the peer has long forgotten most of it, and the rest would be old.
        """
        empty(self._receiver)
        setattr(self._receiver, _LOST_PACKETS, NackGenerator())
        self._waits_since = self._clock_now()

    def _decode(self, payload_type: int, frame: JitterFrame) -> None:
        codec = self._codecs[payload_type]
        if self._waits_since is not None and not is_keyframe(codec.name, frame.data):
            now = self._clock_now()
            if now < self._waits_since + MOST_WITHOUT_KEYFRAME:
                if now >= self._asked_at + ASK_INTERVAL:
                    self._ask(now)
                return
        self._waits_since = None
        frame.timestamp = self._clock.map(frame.timestamp)
        self._queue.put((codec, frame))

    def _ask(self, now: float) -> None:
        """With the next packet, which says of whom; as after an error of the decoder (RFC 4585, section 6.3.1)."""
        self._asked_at = now
        vars(self._receiver)[_ERROR].set()

    def _clock_now(self) -> float:
        return asyncio.get_running_loop().time()


def empty(receiver: RTCRtpReceiver) -> None:
    """After a gap: forget what came before it, and begin with the next packet."""
    buffer: JitterBuffer = vars(receiver)[_BUFFER]
    if buffer._origin is not None:
        buffer.remove(buffer.capacity)
        buffer._origin = None


# aiortc has no setting for this. Its receiver decodes at most one picture for each packet, so that its buffer hands
# them over itself.
_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_CODECS = "_RTCRtpReceiver__codecs"
_CLOCK = "_RTCRtpReceiver__timestamp_mapper"
_QUEUE = "_RTCRtpReceiver__decoder_queue"
_ERROR = "_RTCRtpReceiver__decoder_error"
_LOST_PACKETS = "_RTCRtpReceiver__nack_generator"
_KNOWN = (
    {_BUFFER, _CODECS, _CLOCK, _QUEUE, _ERROR, _LOST_PACKETS}
    <= set(RTCRtpReceiver._handle_rtp_packet.__code__.co_names),
    "_origin" in JitterBuffer.__init__.__code__.co_names,
    list(inspect.signature(JitterBuffer.remove).parameters) == ["self", "count"],
    list(inspect.signature(NackGenerator).parameters) == [],
    list(inspect.signature(JitterBuffer._remove_frame).parameters) == ["self", "sequence_number"],
)
if not all(_KNOWN):
    raise ImportError("aiortc receives otherwise than in aiortc 1.16: pictures would come late")
