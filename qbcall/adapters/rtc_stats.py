"""Measures one peer connection: what aiortc counts, and what it does not."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from time import monotonic
from typing import TypeVar

import av
import numpy as np
from aiortc import RTCIceTransport, RTCRtpReceiver, RTCRtpTransceiver
from aiortc.codecs import is_rtx
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpSrPacket, RtpPacket
from aiortc.stats import (
    RTCOutboundRtpStreamStats,
    RTCRemoteInboundRtpStreamStats,
    RTCStatsReport,
)

from qbcall.adapters.rtc_settled import settled
from qbcall.adapters.rtc_tracks import Asked, FrameCount, OutgoingTrack
from qbcall.adapters.rtc_viewer import Received
from qbcall.core.model import Counts, MediaKind, StreamStats

log = logging.getLogger("qbcall.adapters.rtc")

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
        """Of the latest packet that is no repetition (RFC 3550, section 5.1); says which codec the peer uses."""
        self._media: dict[int, StreamStatistics] = {}
        self.heard: Callable[[RtcpSrPacket], None] = lambda _: None
        """Told of each report of the sender."""
        self._streams: set[int] = set()
        self._receiver = receiver
        self._reports = self._announced = 0
        self._ended = False
        if not SEES_PACKETS:
            return
        self._take = receiver._handle_rtp_packet
        self._take_report = receiver._handle_rtcp_packet
        receiver._handle_rtp_packet = self._count  # type: ignore[method-assign]  # the only place there is; see below
        receiver._handle_rtcp_packet = self._note  # type: ignore[method-assign]  # as above

    def losses(self, codec: Codec | None) -> StreamStats:
        """What got lost on the way, and how unevenly the rest came; nothing before there were packets."""
        if not self._media:
            return StreamStats()
        latest = list(self._media.values())[-1]
        return StreamStats(
            packets_lost=sum(stream.packets_lost for stream in self._media.values()),
            jitter=latest.jitter / codec.clock_rate if codec else None,
        )

    def counts(self, frames: int) -> Counts:
        """All until now, with the frames that came out of it."""
        return Counts(
            packets=self.packets if SEES_PACKETS else frames,
            frames=frames,
            reports=self._reports,
            announced=self._announced,
            ended=self._ended,
        )

    def admit(self, packet: RtpPacket) -> bool:
        """Count a packet; whether it is to be looked at."""
        if packet.ssrc not in self._streams:
            if len(self._streams) >= MOST_STREAMS:
                self._receiver.transport._rtp_router.ssrc_table.pop(packet.ssrc, None)
                return False
            self._streams.add(packet.ssrc)
        self.packets += 1
        self.bytes += len(packet.payload)
        self._ended = False
        return True

    def note(self, packet: RtpPacket) -> None:
        """A packet was looked at. Repetitions have an SSRC of their own (RFC 4588), and no losses that count."""
        if packet.payload_type == self.payload_type and packet.ssrc in self._media:
            return
        codec = vars(self._receiver)[_CODECS].get(packet.payload_type)
        if codec is None or is_rtx(codec):
            return
        self.payload_type = packet.payload_type
        stream = vars(self._receiver)[_STREAMS].get(packet.ssrc)
        if stream is not None:
            self._media[packet.ssrc] = stream

    async def _count(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if self.admit(packet):
            await self._take(packet, arrival_time_ms=arrival_time_ms)
            self.note(packet)

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
    track: OutgoingTrack
    codec: Codec | None

    def read(self) -> StreamStats:
        """The counters now, without rates."""
        stats = settled(self.transceiver.sender.getStats())
        told = pick(stats, RTCRemoteInboundRtpStreamStats)
        stream = replace(frames_of(self.track.count), codec=self.codec.name if self.codec else None)
        for sent in pick(stats, RTCOutboundRtpStreamStats):
            stream = replace(stream, packets=sent.packetsSent, bytes=sent.bytesSent)
        for heard in told:
            jitter = heard.jitter / self.codec.clock_rate if self.codec else None
            loss = heard.fractionLost / 256
            stream = replace(stream, packets_lost=heard.packetsLost, loss=loss, jitter=jitter)
        return with_requests(replace(stream, frames_dropped=self.track.dropped), self.track.asked)

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
    near: bool
    """Whether the peer is on this machine, so that both have the same clock."""

    def read(self) -> StreamStats:
        """The counters now, without rates."""
        codec = None if self.packets.payload_type is None else self.codecs.get(self.packets.payload_type)
        lost = self.packets.losses(codec)
        return replace(
            frames_received(self.received),
            packets=self.packets.packets if SEES_PACKETS else None,
            bytes=self.packets.bytes if SEES_PACKETS else None,
            codec=codec.name if codec else None,
            packets_lost=lost.packets_lost,
            jitter=lost.jitter,
            delay=self.received.delay() if self.near else None,
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
        stream = replace(stream, frames_concealed=received.made_up)
        return stream if received.latest else replace(stream, audio_level=received.level)
    freezes, seconds = received.freezes.read(monotonic())
    stream = replace(stream, frames_dropped=received.dropped, freezes=freezes, freeze_seconds=seconds)
    stream = with_requests(stream, received.asked)
    width, height = received.size or (None, None)
    return stream if received.latest else replace(stream, width=width, height=height)


def with_requests(stream: StreamStats, asked: Asked | None) -> StreamStats:
    """With what the receiver asked for."""
    return stream if asked is None else replace(stream, nacks=asked.packets, plis=asked.pictures)


def level(block: av.AudioFrame) -> float:
    """Root mean square of all samples, 0 to 1."""
    samples = block.to_ndarray()
    full = np.iinfo(np.int16).max if samples.dtype == np.int16 else 1  # aiortc's decoders give 16 bits
    return float(np.sqrt(np.mean(np.square(samples / full)))) if samples.size else 0.0


def is_near(transport: RTCIceTransport) -> bool:
    """Whether the path ends at an address of this machine; through a TURN server nobody knows."""
    for pair in transport._connection._nominated.values():
        ends = pair.local_candidate, pair.remote_candidate
        same = ends[1].host == ends[0].host or ip_address(ends[1].host).is_loopback
        return same and "relay" not in (ends[0].type, ends[1].type)
    return False


def candidate_types(transport: RTCIceTransport) -> tuple[str, str] | None:
    """Types of the local and the remote candidate in use: `host`, `srflx`, `prflx` or `relay`; None: no path now."""
    for pair in transport._connection._nominated.values():  # aiortc has no candidate pair statistics
        return pair.local_candidate.type, pair.remote_candidate.type
    return None


def pick(stats: RTCStatsReport, wanted: type[T]) -> list[T]:
    """The entries of this class."""
    return [entry for entry in stats.values() if isinstance(entry, wanted)]


def kinds_of(streams: Iterable[SentStream | ReceivedStream]) -> dict[MediaKind, StreamStats]:
    """What each measures, by kind."""
    return {MediaKind(stream.transceiver.kind): stream.read() for stream in streams}


# aiortc's statistics lack the bytes that came in: they are counted where its transport hands packets over. Nor do
# they tell how many reports of a sender came, and that a sender said goodbye.
# It tells the losses of repetitions in place of those of what they repeat.
_CODECS, _STREAMS = "_RTCRtpReceiver__codecs", "_RTCRtpReceiver__remote_streams"
_HANDED_OVER = {
    "_handle_rtp_packet": ["self", "packet", "arrival_time_ms"],
    "_handle_rtcp_packet": ["self", "packet"],
}


def is_known(receiver: type[RTCRtpReceiver]) -> bool:
    """Whether aiortc's receivers are handed packets as in aiortc 1.16, the one that we know."""
    try:
        return {_CODECS, _STREAMS} <= set(receiver._handle_rtp_packet.__code__.co_names) and all(
            list(inspect.signature(getattr(receiver, name)).parameters) == parameters
            for name, parameters in _HANDED_OVER.items()
        )
    except (AttributeError, TypeError, ValueError):
        return False


SEES_PACKETS = is_known(RTCRtpReceiver)
if not SEES_PACKETS:
    log.warning("aiortc hands packets over otherwise than in aiortc 1.16: what is received is not told by kind")
