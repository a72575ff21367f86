"""Measures one peer connection: what aiortc counts, and what it does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import av
import numpy as np
from aiortc import RTCIceTransport, RTCRtpReceiver, RTCRtpTransceiver
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpSrPacket, RtpPacket
from aiortc.stats import (
    RTCInboundRtpStreamStats,
    RTCOutboundRtpStreamStats,
    RTCRemoteInboundRtpStreamStats,
    RTCStatsReport,
)

from qbcall.adapters.rtc_tracks import FrameCount
from qbcall.adapters.rtc_viewer import Received
from qbcall.core.model import Counts, MediaKind, StatsReport, StreamStats

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Codec:
    """One line `a=rtpmap` (RFC 8866, section 6.6)."""

    name: str
    clock_rate: int
    """Units of RTP time stamps in a second; jitter is told in them."""


MOST_STREAMS = 16
"""SSRCs of one kind of media in one connection: a peer has one or two, and others when it begins again."""


class ReceivedPackets:
    """Counts what one receiver gets: aiortc counts no bytes per kind, and tells repetitions' numbers instead.

    aiortc keeps counts for each SSRC without limit, and sends reports on all of them: most of many are left out.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.packets = 0
        """RTP packets, repeated ones too."""
        self.bytes = 0
        """Their payload."""
        self.payload_type: int | None = None
        """Of the latest packet (RFC 3550, section 5.1); says which codec the peer uses."""
        self.heard: Callable[[RtcpSrPacket], None] = lambda _: None
        """Told of each report of the sender."""
        self._streams: set[int] = set()
        self._receiver = receiver
        self._reports = self._announced = 0
        self._ended = False
        self._take = receiver._handle_rtp_packet
        self._take_report = receiver._handle_rtcp_packet
        receiver._handle_rtp_packet = self._count  # type: ignore[method-assign]  # the only place there is; see below
        receiver._handle_rtcp_packet = self._note  # type: ignore[method-assign]  # as above

    def counts(self, frames: int) -> Counts:
        """All until now, with the frames that came out of it."""
        return Counts(
            packets=self.packets, frames=frames, reports=self._reports, announced=self._announced, ended=self._ended
        )

    async def _count(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.ssrc not in self._streams:
            if len(self._streams) >= MOST_STREAMS:
                self._receiver.transport._rtp_router.ssrc_table.pop(packet.ssrc, None)
                return
            self._streams.add(packet.ssrc)
        self.packets += 1
        self.bytes += len(packet.payload)
        self.payload_type = packet.payload_type
        self._ended = False
        await self._take(packet, arrival_time_ms=arrival_time_ms)

    async def _note(self, packet: AnyRtcpPacket) -> None:
        match packet:
            case RtcpSrPacket():
                self._reports += 1
                self._announced = packet.sender_info.packet_count
                self.heard(packet)
            case RtcpByePacket():
                self._ended = True
        await self._take_report(packet)


@dataclass(frozen=True, slots=True)
class SentStream:
    """One kind of media that goes to the peer."""

    transceiver: RTCRtpTransceiver
    count: FrameCount
    codec: Codec | None

    def read(self) -> StreamStats:
        """The counters now, without rates."""
        stats = settled(self.transceiver.sender.getStats())
        told = pick(stats, RTCRemoteInboundRtpStreamStats)
        stream = replace(frames_of(self.count), codec=self.codec.name if self.codec else None)
        for sent in pick(stats, RTCOutboundRtpStreamStats):
            stream = replace(stream, packets=sent.packetsSent, bytes=sent.bytesSent)
        for heard in told:
            jitter = heard.jitter / self.codec.clock_rate if self.codec else None
            stream = replace(stream, packets_lost=heard.packetsLost, jitter=jitter)
        return stream

    @property
    def round_trip(self) -> float | None:
        """Seconds, from the peer's receiver reports (RFC 3550, section 6.4.1)."""
        told = pick(settled(self.transceiver.sender.getStats()), RTCRemoteInboundRtpStreamStats)
        return next((heard.roundTripTime for heard in told), None)


@dataclass(frozen=True, slots=True)
class ReceivedStream:
    """One kind of media that comes from the peer."""

    transceiver: RTCRtpTransceiver
    received: Received
    packets: ReceivedPackets
    codecs: Mapping[int, Codec]
    """By payload type, as they were agreed."""

    def read(self) -> StreamStats:
        """The counters now, without rates."""
        codec = None if self.packets.payload_type is None else self.codecs.get(self.packets.payload_type)
        stream = replace(
            frames_received(self.received),
            packets=self.packets.packets,
            bytes=self.packets.bytes,
            codec=codec.name if codec else None,
        )
        for heard in pick(settled(self.transceiver.receiver.getStats()), RTCInboundRtpStreamStats):
            jitter = heard.jitter / codec.clock_rate if codec else None
            stream = replace(stream, packets_lost=heard.packetsLost, jitter=jitter)
        return stream


def with_rates(now: StatsReport, before: StatsReport, seconds: float) -> StatsReport:
    """The report with bit rates and frame rates over the time since another one."""
    if seconds <= 0:
        return now
    return replace(
        now,
        sent={kind: _rated(stream, before.sent.get(kind), seconds) for kind, stream in now.sent.items()},
        received={kind: _rated(stream, before.received.get(kind), seconds) for kind, stream in now.received.items()},
    )


def added(before: StatsReport, now: StatsReport) -> StatsReport:
    """The state now, with the counts of the connections before."""
    return StatsReport(
        round_trip=now.round_trip,
        local_candidate=now.local_candidate or before.local_candidate,
        remote_candidate=now.remote_candidate or before.remote_candidate,
        sent=_added(before.sent, now.sent),
        received=_added(before.received, now.received),
    )


COUNTS = ("packets", "bytes", "packets_lost", "frames", "frames_decoded")
LASTING = ("codec", "width", "height")


def _added(
    before: Mapping[MediaKind, StreamStats], now: Mapping[MediaKind, StreamStats]
) -> Mapping[MediaKind, StreamStats]:
    streams = {**before, **now}
    for kind in before.keys() & now.keys():
        old, new = before[kind], now[kind]
        told = {name: (getattr(old, name), getattr(new, name)) for name in (*COUNTS, *LASTING)}
        sums = {name: both[0] + both[1] for name, both in told.items() if name in COUNTS and None not in both}
        kept = {name: was for name, (was, value) in told.items() if value is None}
        streams[kind] = replace(new, **kept, **sums)
    return streams


def _rated(now: StreamStats, before: StreamStats | None, seconds: float) -> StreamStats:
    was = before or StreamStats()
    return replace(
        now,
        bitrate=None if now.bytes is None else 8 * (now.bytes - (was.bytes or 0)) / seconds,
        fps=None if now.frames is None else (now.frames - (was.frames or 0)) / seconds,
    )


def frames_of(count: FrameCount) -> StreamStats:
    """What the frames themselves tell."""
    match count.latest:
        case av.VideoFrame() as picture:
            return StreamStats(frames=count.frames, width=picture.width, height=picture.height)
        case av.AudioFrame() as block:
            return StreamStats(frames=count.frames, audio_level=level(block))
        case _:
            return StreamStats(frames=count.frames)


def frames_received(received: Received) -> StreamStats:
    """What the frames themselves tell, and while nobody wants them decoded, what was said about them."""
    stream = replace(frames_of(received), frames_decoded=received.decoded)
    if received.kind is MediaKind.AUDIO:
        return stream if received.latest else replace(stream, audio_level=received.level)
    width, height = received.size or (None, None)
    return stream if received.latest else replace(stream, width=width, height=height)


def level(block: av.AudioFrame) -> float:
    """Root mean square of all samples, 0 to 1."""
    samples = block.to_ndarray()
    full = np.iinfo(np.int16).max if samples.dtype == np.int16 else 1  # aiortc's decoders give 16 bits
    return float(np.sqrt(np.mean(np.square(samples / full)))) if samples.size else 0.0


def candidate_types(transport: RTCIceTransport) -> tuple[str, str] | None:
    """Types of the local and the remote candidate in use: `host`, `srflx`, `prflx` or `relay`; None: no path now."""
    for pair in transport._connection._nominated.values():  # aiortc has no candidate pair statistics
        return pair.local_candidate.type, pair.remote_candidate.type
    return None


def pick(stats: RTCStatsReport, wanted: type[T]) -> list[T]:
    """The entries of this class."""
    return [entry for entry in stats.values() if isinstance(entry, wanted)]


def settled(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, as aiortc's `getStats` of one sender or receiver.

    Raises:
        RuntimeError: it waits.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine that should be done at once waits")


def kinds_of(streams: Iterable[SentStream | ReceivedStream]) -> dict[MediaKind, StreamStats]:
    """What each measures, by kind."""
    return {MediaKind(stream.transceiver.kind): stream.read() for stream in streams}


# aiortc's statistics lack the bytes that came in: they are counted where its transport hands packets over.
if list(inspect.signature(RTCRtpReceiver._handle_rtp_packet).parameters) != ["self", "packet", "arrival_time_ms"]:
    raise ImportError(
        "aiortc.RTCRtpReceiver._handle_rtp_packet is not as in aiortc 1.16: received bytes are not counted"
    )
# Nor does it tell how many reports of a sender came, and that a sender said goodbye.
if list(inspect.signature(RTCRtpReceiver._handle_rtcp_packet).parameters) != ["self", "packet"]:
    raise ImportError(
        "aiortc.RTCRtpReceiver._handle_rtcp_packet is not as in aiortc 1.16: a pause looks like a fault"
    )
