"""What aiortc's receiver does with a packet, in one step: it never waits, and need not be waited for.

aiortc's own way leads through a chain of coroutines, notes who was heard (nobody asks for it here), and
looks at each millisecond of the last second to tell the bit rate. The reports and the list of streams stay aiortc's:
it sends what is to be sent from them.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Protocol

from aiortc import RTCRtpReceiver
from aiortc.codecs import depayload
from aiortc.rate import AimdRateControl
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtpPacket, pack_remb_fci, unwrap_rtx
from aiortc.utils import uint16_gt

from qbcall.adapters.rtc_estimate import Estimate

log = logging.getLogger("qbcall.adapters.rtc")


REPETITION = "/rtx"
"""End of the MIME type of what only repeats packets (RFC 4588, section 8). aiortc's `is_rtx` puts a name together
first, which is too much for each packet."""


class Buffer(Protocol):
    """Where packets go."""

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """One came."""


class Counter(Protocol):
    """Counts packets."""

    def admit(self, packet: RtpPacket) -> bool:
        """Count it; whether it is to be looked at."""

    def note(self, packet: RtpPacket) -> None:
        """It was looked at."""


def count(stream: StreamStatistics, packet: RtpPacket, came: float) -> None:
    """As aiortc counts, but by the time in seconds at which it came, not that at which it is read (RFC 3550, A.8)."""
    number, latest, before = packet.sequence_number, stream.max_seq, stream._last_timestamp
    stream.packets_received += 1
    if stream.base_seq is None:
        stream.base_seq = number
    if latest is not None and not uint16_gt(number, latest):
        return
    stream.cycles += (latest is not None and number < latest) << 16
    stream.max_seq = number
    arrival = int(came * stream._clockrate)
    if before is not None and packet.timestamp != before and stream._last_arrival is not None:
        apart = abs(arrival - stream._last_arrival - (packet.timestamp - before))
        stream._jitter_q4 += apart - ((stream._jitter_q4 + 8) >> 4)
    stream._last_arrival, stream._last_timestamp = arrival, packet.timestamp


class Reception:
    """Takes the packets of one receiver."""

    def __init__(
        self, receiver: RTCRtpReceiver, counter: Counter, buffer: Buffer, report: Callable[[RtcpPsfbPacket], None]
    ) -> None:
        """`report` sends the peer what it may send (REMB)."""
        known = vars(receiver)
        self._receiver = receiver
        self._counter = counter
        self._buffer = buffer
        self._report = report
        self._codecs = known[_CODECS]
        self._streams: dict[int, StreamStatistics] = known[_STREAMS]
        self._repetitions = known[_REPETITIONS]
        self._estimate = None if known[_ESTIMATOR] is None else Estimate()

    def take(self, packet: RtpPacket, came: float) -> None:
        """One came, at this time in seconds.

        Raises:
            ValueError: it makes no sense.
        """
        if not self._counter.admit(packet) or not self._receiver._enabled:
            return
        sent = packet.extensions.abs_send_time
        if sent is not None and self._estimate is not None:
            size = len(packet.payload) + packet.padding_size
            told = self._estimate.add(sent, int(came * 1000), size, packet.ssrc)
            if told is not None:
                self._tell(*told)
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            return
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            stream = self._streams[packet.ssrc] = StreamStatistics(codec.clockRate)
        count(stream, packet, came)
        self._counter.note(packet)
        if codec.mimeType[-len(REPETITION) :].lower() == REPETITION:
            original = self._original(packet, codec.parameters.get("apt"))
            if original is None:
                return
            packet, codec = original, self._codecs[original.payload_type]
        vars(packet)["_data"] = depayload(codec, packet.payload) if packet.payload else b""
        self._buffer.add(packet)

    def _tell(self, bits: int, ssrcs: list[int]) -> None:
        """Have the peer told what it may send."""
        own = vars(self._receiver)[_OWN]
        if own is not None:
            fci = pack_remb_fci(bits, ssrcs)
            self._report(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=own, media_ssrc=0, fci=fci))

    def _original(self, packet: RtpPacket, payload_type: object) -> RtpPacket | None:
        """What is repeated in it (RFC 4588, section 4); None: that cannot be told."""
        ssrc = self._repetitions.get(packet.ssrc)
        if ssrc is None or len(packet.payload) < 2 or payload_type not in self._codecs:
            return None
        assert isinstance(payload_type, int), "codecs are known by their payload types"
        return unwrap_rtx(packet, payload_type=payload_type, ssrc=ssrc)


_CODECS, _STREAMS, _REPETITIONS, _ESTIMATOR, _OWN = (
    f"_RTCRtpReceiver__{name}"
    for name in ("codecs", "remote_streams", "rtx_ssrc", "remote_bitrate_estimator", "rtcp_ssrc")
)


def is_known(receiver: type[RTCRtpReceiver]) -> bool:
    """Whether aiortc's receiver takes packets as in aiortc 1.16, the one that we know."""
    try:
        return all(
            names <= set(function.__code__.co_names)
            for function, names in (
                (
                    receiver._handle_rtp_packet,
                    {_CODECS, _STREAMS, _REPETITIONS, _ESTIMATOR, _OWN, "_enabled"},
                ),
                (
                    StreamStatistics.add,
                    {
                        *("max_seq", "base_seq", "cycles", "packets_received"),
                        *("_clockrate", "_jitter_q4", "_last_arrival", "_last_timestamp"),
                    },
                ),
            )
        ) and all(
            list(inspect.signature(function).parameters) == parameters
            for function, parameters in (
                (AimdRateControl.update, ["self", "bandwidth_usage", "estimated_throughput", "now_ms"]),
                (StreamStatistics.__init__, ["self", "clockrate"]),
                (depayload, ["codec", "payload"]),
                (unwrap_rtx, ["rtx", "payload_type", "ssrc"]),
            )
        )
    except (AttributeError, TypeError, ValueError):
        return False


KNOWN = is_known(RTCRtpReceiver)
"""Whether packets can be taken in one step; else aiortc takes them in its own way."""
if not KNOWN:
    log.warning("aiortc takes packets otherwise than aiortc 1.16: media costs more to receive")
