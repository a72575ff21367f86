"""What aiortc does with RTCP, dated by when it came: a round trip is not longer because reports are read later.

aiortc takes the time at which it reads a report for that of its arrival (RFC 3550, section 6.4.1: A and DLSR).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import AnyRtcpPacket, RtcpPacket, RtcpSrPacket

from qbcall.adapters.rtc_settled import settled

log = logging.getLogger("qbcall.adapters.rtc")

_SENT, _HEARD = "_RTCRtpSender__lsr_time", "_RTCRtpReceiver__lsr_time"
"""When a sender sent its latest report, and when a receiver got each peer's."""


def read(transport: RTCDtlsTransport, data: bytes, came: float) -> None:
    """Take an RTCP packet that was decrypted, and came at this time in seconds.

    Raises:
        Exception: of any kind, if it makes no sense to aiortc.
    """
    if not KNOWN:
        settled(transport._handle_rtcp_data(data))
        return
    for packet in RtcpPacket.parse(data):
        for recipient in transport._rtp_router.route_rtcp(packet):
            with _dated(vars(recipient), packet, came):
                settled(recipient._handle_rtcp_packet(packet))


@contextmanager
def _dated(recipient: dict[str, object], packet: AnyRtcpPacket, came: float) -> Iterator[None]:
    """Has a recipient take the time at which it came for the present."""
    sent, heard = recipient.get(_SENT), recipient.get(_HEARD)
    if isinstance(sent, float):
        recipient[_SENT] = sent + time.time() - came
    try:
        yield
    finally:
        if isinstance(sent, float):
            recipient[_SENT] = sent
    if isinstance(heard, dict) and isinstance(packet, RtcpSrPacket):
        heard[packet.ssrc] = came


def is_known(sender: type[RTCRtpSender], receiver: type[RTCRtpReceiver], transport: type[RTCDtlsTransport]) -> bool:
    """Whether aiortc dates reports as aiortc 1.16 does, the one that we know."""
    try:
        return (
            _SENT in sender._handle_rtcp_packet.__code__.co_names
            and _HEARD in receiver._handle_rtcp_packet.__code__.co_names
            and {"parse", "_rtp_router", "route_rtcp", "_handle_rtcp_packet"}
            <= set(transport._handle_rtcp_data.__code__.co_names)
        )
    except AttributeError:
        return False


KNOWN = is_known(RTCRtpSender, RTCRtpReceiver, RTCDtlsTransport)
if not KNOWN:
    log.warning("aiortc dates reports otherwise than aiortc 1.16: round trips may be told up to 20 ms too long")
