"""Receivers of aiortc that decode what is wanted.

aiortc's receiver keeps what belongs to one connection: reports, the estimate of the bit rate, requests for packets.
Of its own buffer, queue and thread nothing is used: they decode all that comes in, whether anybody looks or not, and
keep what is not taken without limit (17 MB/s at 640x480).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Protocol

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtcpPsfbPacket, RtpPacket

from qbcall.adapters import rtc_reception
from qbcall.adapters.rtc_arrival import Taker
from qbcall.adapters.rtc_format import Format
from qbcall.adapters.rtc_pictures import Pictures
from qbcall.adapters.rtc_reception import Reception
from qbcall.adapters.rtc_sound import Sound
from qbcall.adapters.rtc_stats import ReceivedPackets
from qbcall.adapters.rtc_thread import Worker
from qbcall.adapters.rtc_tracks import Asked, IncomingTrack
from qbcall.adapters.rtc_viewer import Received, Viewer
from qbcall.core.model import Counts, MediaKind
from qbcall.errors import SinkError
from qbcall.media.encoded import EncodedSink

log = logging.getLogger("qbcall.adapters.rtc")


class Intake(Protocol):
    """Where the packets of one kind of media go."""

    def wake(self) -> None:
        """Somebody may want to see or hear it from now on."""

    def close(self) -> None:
        """Deliver nothing more."""


class Buffer(Intake, Protocol):
    """An intake in the place of aiortc's own buffer."""

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """A packet came. Aiortc is neither to ask for anything nor to decode it."""


@dataclass(frozen=True, slots=True)
class Inlet:
    """Where one receiver's media comes in."""

    packets: ReceivedPackets
    received: Received
    intake: Intake
    taker: Taker | None
    """Takes packets in one step; None: the receiver is to take them in its own way."""

    @property
    def counts(self) -> Counts:
        """What came in until now."""
        return self.packets.counts(self.received.frames)


Wrap = Callable[[MediaKind, Buffer], Buffer]
"""Puts something before a buffer."""


def bare(kind: MediaKind, buffer: Buffer) -> Buffer:
    """Puts nothing there."""
    return buffer


def receive(receiver: RTCRtpReceiver, viewer: Viewer, wrap: Wrap = bare) -> Inlet:
    """Hand what comes in to the viewer; the receiver must not have received anything yet."""
    packets, received = ReceivedPackets(receiver), Received(MediaKind(receiver.track.kind), viewer)
    packets.heard = received.clock.note
    if not SUITED:
        return Inlet(packets, received, IncomingTrack(receiver.track, received.hand_over), None)
    requests = Requests(receiver, received)
    buffer = wrap(received.kind, _buffer(receiver, received, requests, viewer.thread))
    vars(receiver)[_QUEUE].put(None)  # its thread ends as soon as it starts
    setattr(receiver, _BUFFER, buffer)
    setattr(receiver, _NACKS, None)
    if not rtc_reception.KNOWN:
        return Inlet(packets, received, buffer, None)
    take = Reception(receiver, packets, buffer, requests.report).take
    return Inlet(packets, received, buffer, Taker(take, lambda: received.wanted or received.recorded))


def _buffer(receiver: RTCRtpReceiver, received: Received, requests: Requests, thread: Worker) -> Buffer:
    format = Format(vars(receiver)[_CODECS], TimestampMapper().map)
    if received.kind is MediaKind.VIDEO:
        return Pictures(received, format, thread, requests)
    return Sound(received, format)


class Requests:
    """Asks a peer for what is missing."""

    def __init__(self, receiver: RTCRtpReceiver, received: Received) -> None:
        """What is asked for is counted in `received`."""
        self._receiver = receiver
        self._asked = received.asked = Asked()
        self._sending: set[asyncio.Task[None]] = set()

    def need_picture(self, ssrc: int) -> None:
        """See `rtc_pictures.Feedback`."""
        self._asked.pictures += 1
        self._send(self._receiver._send_rtcp_pli(ssrc))

    def need_packets(self, ssrc: int, numbers: list[int]) -> None:
        """See `rtc_pictures.Feedback`."""
        self._asked.packets += 1
        self._send(self._receiver._send_rtcp_nack(ssrc, numbers))

    def report(self, packet: RtcpPsfbPacket) -> None:
        """Tell the peer how much it may send."""
        self._send(self._receiver._send_rtcp(packet))

    def _send(self, request: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(request, name="qbcall-ask")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


_PREFIX = "_RTCRtpReceiver_"
_BUFFER, _CODECS, _NACKS, _QUEUE = (
    f"{_PREFIX}_{name}" for name in ("jitter_buffer", "codecs", "nack_generator", "decoder_queue")
)
_USED = {
    "_handle_rtp_packet": {_BUFFER, _CODECS, _NACKS, _QUEUE, "add", "_send_rtcp_pli", "_send_rtcp_nack"},
    "receive": {_CODECS, _QUEUE, "decoder_worker"},
}
"""The functions of aiortc's receiver that use what is replaced, and the names that they use."""


def suited() -> bool:
    """Whether aiortc is as this module needs it."""
    functions = {name: vars(RTCRtpReceiver).get(name) for name in _USED}
    return (
        all(
            isinstance(one, FunctionType) and _USED[name] <= set(one.__code__.co_names)
            for name, one in functions.items()
        )
        and list(inspect.signature(JitterBuffer.add).parameters) == ["self", "packet"]
        and list(inspect.signature(RTCRtpReceiver._send_rtcp_pli).parameters) == ["self", "media_ssrc"]
        and list(inspect.signature(RTCRtpReceiver._send_rtcp_nack).parameters) == ["self", "media_ssrc", "lost"]
        and list(inspect.signature(TimestampMapper.map).parameters) == ["self", "timestamp"]
    )


SUITED = suited()
if not SUITED:
    log.warning(
        "aiortc receives otherwise than in aiortc 1.16: everything is decoded, wanted or not, and comes later;"
        " nothing can be recorded as it came"
    )


def check_sink(spec: object, sink: object) -> None:
    """Whether a sink gets what it takes.

    Raises:
        SinkError: it takes media as it came, and this aiortc does not give it.
    """
    if not SUITED and isinstance(sink, EncodedSink) and sink.encoded_kinds:
        raise SinkError(f"{spec}: the installed aiortc gives nothing as it came; aiortc 1.16 does")
