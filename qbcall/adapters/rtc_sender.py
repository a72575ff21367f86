"""Senders of aiortc that send what was encoded for all peers, and what their peers ask of the encoder.

aiortc's sender keeps what belongs to one connection: SSRC, sequence numbers, the packets it may have to repeat, and
its reports. It takes what is encoded elsewhere only as a track that gives packets: those have no audio level, no
encoder hears what the peer asks for, and requests for a complete picture are lost.
"""

from __future__ import annotations

import inspect
import struct
import time
from collections.abc import Callable

from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from qbcall.adapters.rtc_tracks import OutgoingTrack


def send_shared(sender: RTCRtpSender, track: OutgoingTrack, clock: Callable[[], float] = time.monotonic) -> None:
    """Let the sender of this track send the peer's share; before it sends anything."""
    react = sender._handle_rtcp_packet

    async def listen(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            hear_estimate(packet, sender._ssrc, track)
            return  # aiortc would tell an encoder that it does not have, and break if the message is cut off
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            hear_reports(packet, sender._ssrc, track, clock())
        await react(packet)

    track.terms.enabled = lambda: sender._enabled
    # These are the only places there are; see below.
    sender._next_encoded_frame = track.encoded  # type: ignore[method-assign]
    sender._send_keyframe = track.ask  # type: ignore[method-assign]
    sender._handle_rtcp_packet = listen  # type: ignore[method-assign]


def hear_reports(packet: RtcpRrPacket | RtcpSrPacket, ssrc: int, track: OutgoingTrack, at: float) -> None:
    """Note what the peer lost of the stream with this SSRC."""
    for report in packet.reports:
        if report.ssrc == ssrc:
            track.terms.demand.report(at, lost=report.packets_lost, highest=report.highest_sequence, rate=track.rate)


def hear_estimate(packet: RtcpPsfbPacket, ssrc: int, track: OutgoingTrack) -> None:
    """Note how much the peer can take of the stream with this SSRC (REMB); other messages do not count."""
    try:
        bits, ssrcs = unpack_remb_fci(packet.fci)
    except (ValueError, struct.error):
        return
    if ssrc in ssrcs:
        track.terms.demand.estimate(bits)


# aiortc calls all of these on its senders by these names. A release that does otherwise would encode nothing at all.
_TAKEN = {
    "_next_encoded_frame": (["self", "codec"], RTCRtpSender._run_rtp),
    "_send_keyframe": (["self"], RTCRtpSender._handle_rtcp_packet),
}
if (
    any(
        list(inspect.signature(getattr(RTCRtpSender, name)).parameters) != parameters
        or name not in caller.__code__.co_names
        for name, (parameters, caller) in _TAKEN.items()
    )
    or list(inspect.signature(RTCRtpSender._handle_rtcp_packet).parameters) != ["self", "packet"]
    or not {"_enabled", "_ssrc"} <= set(RTCRtpSender.__init__.__code__.co_names)
):
    raise ImportError("aiortc sends otherwise than in aiortc 1.16: what is encoded for all peers cannot be sent")
