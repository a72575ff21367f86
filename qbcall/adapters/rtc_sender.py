"""Senders of aiortc that send what was encoded for all peers, and what their peers ask of the encoder.

aiortc's sender keeps what belongs to one connection: SSRC, sequence numbers, the packets it may have to repeat, and
its reports. It takes what is encoded elsewhere only as a track that gives packets: those have no audio level, no
encoder hears what the peer asks for, and requests for a complete picture are lost.
"""

from __future__ import annotations

import inspect
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
        hear(packet, sender._ssrc, track, clock())
        await react(packet)

    track.terms.enabled = lambda: sender._enabled
    # These are the only places there are; see below.
    sender._next_encoded_frame = track.encoded  # type: ignore[method-assign]
    sender._send_keyframe = track.ask  # type: ignore[method-assign]
    sender._handle_rtcp_packet = listen  # type: ignore[method-assign]


def hear(packet: AnyRtcpPacket, ssrc: int, track: OutgoingTrack, at: float) -> None:
    """Note what the peer says of the stream with this SSRC: its estimate (REMB), and what it lost."""
    if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
        for report in packet.reports:
            if report.ssrc == ssrc:
                track.terms.demand.report(
                    at, lost=report.packets_lost, highest=report.highest_sequence, rate=track.rate
                )
    elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
        try:
            bits, ssrcs = unpack_remb_fci(packet.fci)
        except ValueError:
            return  # another message of this kind
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
