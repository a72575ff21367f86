"""Senders of aiortc that send what was encoded for all peers, and what their peers ask of the encoder.

aiortc's sender keeps what belongs to one connection: SSRC, sequence numbers, the packets it may have to repeat, and
its reports. It takes what is encoded elsewhere only as a track that gives packets: those have no audio level, no
encoder hears what the peer asks for, and requests for a complete picture are lost.

Where aiortc is not as we know it, its senders stay as they are, and encode for each peer.
"""

from __future__ import annotations

import inspect
import logging
import struct
import time
from collections.abc import Callable
from functools import cache

import aiortc
from aiortc import RTCRtpCodecParameters, RTCRtpSender, RTCRtpTransceiver
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from qbcall.adapters import rtc_bitrate, rtc_departure
from qbcall.adapters.rtc_departure import Departure
from qbcall.adapters.rtc_encoder import SharedStream
from qbcall.adapters.rtc_stock import StockTrack
from qbcall.adapters.rtc_tracks import Asked, OutgoingTrack

log = logging.getLogger("qbcall.adapters.rtc")

TAKEN = {
    "_next_encoded_frame": ("self", "codec"),
    "_send_keyframe": ("self",),
    "_handle_rtcp_packet": ("self", "packet"),
}
"""What we replace in a sender, with its parameters. aiortc must call all of it by these names: else nothing at all
would be encoded."""
CALLED = {
    "_run_rtp": {"_next_encoded_frame", "_send_rtp", *rtc_departure.NAMES},
    "_retransmit": {rtc_departure.HISTORY, "get"},
    "_handle_rtcp_packet": {"_send_keyframe"},
    "__init__": {"_enabled", "_ssrc"},
}
"""Where aiortc must use what we replace and read."""


def is_known(sender: type[RTCRtpSender]) -> bool:
    """Whether aiortc's senders are as in aiortc 1.16, the one that we know."""
    try:
        return all(
            tuple(inspect.signature(getattr(sender, name)).parameters) == parameters
            for name, parameters in TAKEN.items()
        ) and all(used <= set(getattr(sender, name).__code__.co_names) for name, used in CALLED.items())
    except (AttributeError, TypeError, ValueError):
        return False


ENCODES_ONCE = is_known(RTCRtpSender) and rtc_bitrate.is_known()
"""Whether all peers share an encoder; else each has its own."""


def outgoing(stream: SharedStream) -> OutgoingTrack:
    """A track for one more peer."""
    if ENCODES_ONCE:
        return OutgoingTrack(stream)
    warn()
    return StockTrack(stream)


@cache
def warn() -> None:
    """Told once."""
    log.warning(
        "aiortc %s sends otherwise than aiortc 1.16: each peer costs an encoder, and no bit rate is limited",
        aiortc.__version__,
    )


def send_shared(sender: RTCRtpSender, track: OutgoingTrack, clock: Callable[[], float] = time.monotonic) -> None:
    """Let the sender of this track send the peer's share; before it sends anything."""
    if isinstance(track, StockTrack):
        return
    react = sender._handle_rtcp_packet
    asked = track.asked = Asked()

    async def listen(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            hear_estimate(packet, sender._ssrc, track)
            return  # aiortc would tell an encoder that it does not have, and break if the message is cut off
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            hear_reports(packet, sender._ssrc, track, clock())
        hear_requests(packet, sender._ssrc, asked)
        await react(packet)

    track.departs = lambda codec: Departure(sender, codec).send
    track.terms.enabled = lambda: sender._enabled
    # These are the only places there are; see `TAKEN`.
    sender._next_encoded_frame = track.encoded  # type: ignore[method-assign]
    sender._send_keyframe = track.ask  # type: ignore[method-assign]
    sender._handle_rtcp_packet = listen  # type: ignore[method-assign]


def prepare(transceiver: RTCRtpTransceiver, track: OutgoingTrack) -> None:
    """Have the track encoded, as aiortc will send it once the path is there."""
    codecs: list[RTCRtpCodecParameters] = vars(transceiver).get("_codecs", [])  # else it is encoded then
    if codecs:
        track.prepare(codecs[0])


def hear_reports(packet: RtcpRrPacket | RtcpSrPacket, ssrc: int, track: OutgoingTrack, at: float) -> None:
    """Note what the peer lost of the stream with this SSRC."""
    for report in packet.reports:
        if report.ssrc == ssrc:
            track.terms.demand.report(at, lost=report.packets_lost, highest=report.highest_sequence, rate=track.rate)


def hear_requests(packet: AnyRtcpPacket, ssrc: int, asked: Asked) -> None:
    """Count what the peer asks for of the stream with this SSRC."""
    match packet:
        case RtcpRtpfbPacket(fmt=aiortc.rtp.RTCP_RTPFB_NACK) if packet.media_ssrc == ssrc:
            asked.packets += 1
        case RtcpPsfbPacket(fmt=aiortc.rtp.RTCP_PSFB_PLI) if packet.media_ssrc == ssrc:
            asked.pictures += 1


def hear_estimate(packet: RtcpPsfbPacket, ssrc: int, track: OutgoingTrack) -> None:
    """Note how much the peer can take of the stream with this SSRC (REMB); other messages do not count."""
    try:
        bits, ssrcs = unpack_remb_fci(packet.fci)
    except (ValueError, struct.error):
        return
    if ssrc in ssrcs:
        track.terms.demand.estimate(bits)
