"""What aiortc's receiver does with a packet, in one step: it never waits, and need not be waited for.

aiortc's own way leads through a chain of coroutines, notes who was heard (nobody asks for it here), and
looks at each millisecond of the last second to tell the bit rate. The reports, the estimate of the bit rate and
the list of streams stay aiortc's: it sends what is to be sent from them.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from aiortc import RTCRtpReceiver
from aiortc.codecs import depayload, is_rtx
from aiortc.rate import MIN_FRAME_PERIOD_HISTORY_LENGTH, OveruseEstimator, RateCounter, RemoteBitrateEstimator
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtpPacket, pack_remb_fci, unwrap_rtx

log = logging.getLogger("qbcall.adapters.rtc")

WINDOW = 1000
"""Milliseconds over which the bit rate is told; as in aiortc."""


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


class Rate:
    """Bits per second over the last second, in the place of aiortc's `RateCounter`."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, int]] = deque()
        """When, in milliseconds, and how many bytes."""
        self._bytes = 0
        self._since: int | None = None

    def add(self, value: int, now_ms: int) -> None:
        """So many bytes came."""
        if self._since is None:
            self._since = now_ms
        self._forget(now_ms)
        self._parts.append((now_ms, value))
        self._bytes += value

    def rate(self, now_ms: int) -> int | None:
        """None: nothing came, or all at once."""
        if self._since is None:
            return None
        self._forget(now_ms)
        window = now_ms - self._since + 1
        return round(8000 * self._bytes / window) if self._parts and window > 1 else None

    def reset(self) -> None:
        """Begin again."""
        self._parts.clear()
        self._bytes, self._since = 0, None

    def _forget(self, now_ms: int) -> None:
        start = now_ms - WINDOW + 1
        if self._since is not None and self._since < start:
            self._since = start
        while self._parts and self._parts[0][0] < start:
            self._bytes -= self._parts.popleft()[1]


class Estimator(OveruseEstimator):
    """aiortc's, which looks for the least of the latest 60 intervals one by one, with each picture."""

    def update_min_frame_period(self, ts_delta: float) -> float:
        """The least interval; see `OveruseEstimator`."""
        latest = self.ts_delta_hist
        if len(latest) >= MIN_FRAME_PERIOD_HISTORY_LENGTH:
            latest.pop(0)
        latest.append(ts_delta)
        return min(latest)


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
        self._streams = known[_STREAMS]
        self._repetitions = known[_REPETITIONS]
        self._estimator: RemoteBitrateEstimator | None = known[_ESTIMATOR]
        if self._estimator is not None:
            self._estimator.incoming_bitrate = Rate()
            self._estimator.estimator = Estimator()

    def take(self, packet: RtpPacket, arrived: int) -> None:
        """One came, at this time in milliseconds.

        Raises:
            ValueError: it makes no sense.
        """
        if not self._counter.admit(packet) or not self._receiver._enabled:
            return
        if self._estimator is not None and packet.extensions.abs_send_time is not None:
            self._estimate(self._estimator, packet, packet.extensions.abs_send_time, arrived)
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            return
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            stream = self._streams[packet.ssrc] = StreamStatistics(codec.clockRate)
        stream.add(packet)
        self._counter.note(packet)
        if is_rtx(codec):
            original = self._original(packet, codec.parameters.get("apt"))
            if original is None:
                return
            packet, codec = original, self._codecs[original.payload_type]
        vars(packet)["_data"] = depayload(codec, packet.payload) if packet.payload else b""
        self._buffer.add(packet)

    def _estimate(self, estimator: RemoteBitrateEstimator, packet: RtpPacket, sent: int, arrived: int) -> None:
        size = len(packet.payload) + packet.padding_size
        told = estimator.add(abs_send_time=sent, arrival_time_ms=arrived, payload_size=size, ssrc=packet.ssrc)
        ssrc = vars(self._receiver)[_OWN]
        if told is not None and ssrc is not None:
            self._report(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=ssrc, media_ssrc=0, fci=pack_remb_fci(*told)))

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
        return {_CODECS, _STREAMS, _REPETITIONS, _ESTIMATOR, _OWN, "_enabled"} <= set(
            receiver._handle_rtp_packet.__code__.co_names
        ) and all(
            list(inspect.signature(function).parameters) == parameters
            for function, parameters in (
                (RemoteBitrateEstimator.add, ["self", "arrival_time_ms", "abs_send_time", "payload_size", "ssrc"]),
                (RateCounter.add, ["self", "value", "now_ms"]),
                (RateCounter.rate, ["self", "now_ms"]),
                (RateCounter.reset, ["self"]),
                (OveruseEstimator.update_min_frame_period, ["self", "ts_delta"]),
                (StreamStatistics.__init__, ["self", "clockrate"]),
                (StreamStatistics.add, ["self", "packet"]),
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
