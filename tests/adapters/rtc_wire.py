"""What senders put on the wire, and what their peers would say to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import pytest
from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    HeaderExtensionsMap,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtpPacket,
    pack_remb_fci,
)
from pylibsrtp import Session

from qbcall.core.model import MediaKind


class Wire:
    """The packets that senders make, and the senders of one who sends."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.packets: dict[int, list[RtpPacket]] = defaultdict(list)
        """By SSRC."""
        self.senders: dict[str, list[RTCRtpSender]] = defaultdict(list)
        """Those that send, by kind, in the order of their connections."""
        self._extensions: dict[int, HeaderExtensionsMap] = defaultdict(HeaderExtensionsMap)
        """What the packets of an SSRC say besides."""
        protect, send = Session.protect, RTCRtpSender.send

        def note(session: Session, data: bytes) -> bytes:
            packet = RtpPacket.parse(data)
            self.packets[packet.ssrc].append(RtpPacket.parse(data, self._extensions[packet.ssrc]))
            sent: bytes = protect(session, data)
            return sent

        async def begin(sender: RTCRtpSender, *arguments: object) -> None:
            if sender._enabled and sender not in self.senders[sender.kind]:
                self.senders[sender.kind].append(sender)
            extensions = vars(sender)["_RTCRtpSender__rtp_header_extensions_map"]
            self._extensions |= {sender._ssrc: extensions, sender._rtx_ssrc: extensions}
            await send(sender, *arguments)  # type: ignore[arg-type]  # as they came

        patch.setattr(Session, "protect", note)
        patch.setattr(RTCRtpSender, "send", begin)

    def streams(self, kind: MediaKind) -> Mapping[int, list[RtpPacket]]:
        """What was sent to each peer, without repetitions."""
        return {sender._ssrc: self.packets[sender._ssrc] for sender in self.senders[kind.value]}


def feedback(fmt: int, ssrc: int, fci: bytes = b"") -> RtcpPsfbPacket:
    return RtcpPsfbPacket(fmt=fmt, ssrc=1, media_ssrc=ssrc, fci=fci)


async def say(sender: RTCRtpSender, packet: AnyRtcpPacket) -> None:
    """As if its peer had sent this."""
    await sender._handle_rtcp_packet(packet)


def remb(sender: RTCRtpSender, bits: int) -> RtcpPsfbPacket:
    return feedback(RTCP_PSFB_APP, 0, pack_remb_fci(bits, [sender._ssrc]))


def lost(sender: RTCRtpSender, packets: int, *, of: int) -> RtcpRrPacket:
    report = RtcpReceiverInfo(
        ssrc=sender._ssrc, fraction_lost=0, packets_lost=packets, highest_sequence=of, jitter=0, lsr=0, dlsr=0
    )
    return RtcpRrPacket(ssrc=1, reports=[report])
