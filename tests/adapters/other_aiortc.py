"""A program: a call with libraries that are not as we know them. Tells in JSON what it logged and what it encoded."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import aioice
import aioice.stun
import aiortc.rtcicetransport
import pytest
from aiortc import RTCDtlsTransport, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rate import AimdRateControl
from aiortc.rtp import HeaderExtensionsMap

ENCODERS = "each peer costs an encoder"
PATH = "calls connect later"
CLOSING = "may leave a task behind"
COUNTS = "is not told by kind"
DEMAND = "everything is decoded"
HANDSHAKE = "a round trip later"
DATAGRAMS = "takes datagrams otherwise"
PACKETS = "takes packets otherwise"
REPORTS = "dates reports otherwise"
RUBBISH = "malformed ones may end a connection"
CHANGES: dict[str, tuple[Any, str, set[str]]] = {
    "one more of a sender's": (RTCRtpSender, "_send_keyframe", {ENCODERS}),
    "reports to a sender": (RTCRtpSender, "_handle_rtcp_packet", {ENCODERS, REPORTS}),
    "what a sender sends": (RTCRtpSender, "_run_rtp", {ENCODERS}),
    "an encoder": (Vp8Encoder, "__init__", {ENCODERS}),
    "packets to a receiver": (RTCRtpReceiver, "_handle_rtp_packet", {COUNTS, DEMAND, PACKETS}),
    "reports to a receiver": (RTCRtpReceiver, "_handle_rtcp_packet", {COUNTS, REPORTS}),
    "datagrams": (RTCDtlsTransport, "_recv_next", {DATAGRAMS, HANDSHAKE, RUBBISH}),
    "who gets reports": (RTCDtlsTransport, "_handle_rtcp_data", {REPORTS, RUBBISH}),
    "what packets say": (HeaderExtensionsMap, "get", {DATAGRAMS}),
    "packets that are repeated": (RTCRtpSender, "_retransmit", {ENCODERS}),
    "the rate that is told": (AimdRateControl, "update", {PACKETS}),
    "how a connection connects": (RTCPeerConnection, "_RTCPeerConnection__connect", {CLOSING}),
    "checks": (aioice.Connection, "check_incoming", {PATH}),
    "consent": (aioice.Connection, "query_consent", {PATH}),
    "candidates": (aioice.Connection, "_add_remote_candidate", {PATH}),
    "attributes of checks": (aioice.stun, "parse_message", {HANDSHAKE}),
    "what a check says": (aioice.Connection, "build_request", {PATH}),
    "what a path receives": (aioice.Connection, "recvfrom", {HANDSHAKE}),
    "how DTLS starts": (RTCDtlsTransport, "start", {HANDSHAKE}),
    "the transport": (aiortc.rtcicetransport, "Connection", {PATH}),
}
"""What is changed: where it stands, its name, and of what the user is warned then."""


def otherwise(part: Callable[..., Any]) -> Callable[..., Any]:
    """It does the same, but is another."""

    def does(*given: Any, more: None = None, **named: Any) -> Any:
        return part(*given, **named)

    return does


def call() -> dict[str, object]:
    """Three peers see and hear one; one of them comes late, one leaves."""
    from qbcall.core.model import MediaKind  # all of our modules must see the changed aiortc
    from tests.adapters.rtc_mesh import Work, play, sees
    from tests.adapters.rtc_room import Endpoint, join
    from tests.adapters.test_rtc_sources import RED

    told: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        work = Work(patch)

        async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
            b, c, d = peers
            await asyncio.gather(*(sees(peer, a, RED) for peer in (b, c)))
            work.at_work.clear()
            await b.frame(a, MediaKind.VIDEO, more=40)
            # A busy machine sets peers apart, with half the size.
            widths = [width for one, width in work.at_work.items() if isinstance(one, Vp8Encoder)]
            told["encoders"] = widths.count(max(widths))
            await join(a, d)
            await sees(d, a, RED)
            a.leave(b)
            await b.media.close()
            for peer in (c, d):
                await peer.frame(a, MediaKind.VIDEO, more=20)
            await d.hears(a, 500, more=20)

        play(scene, joined=2)
    return told


def impaired() -> str:
    """Why the network cannot be made worse."""
    from qbcall.adapters.rtc import IceSettings, RtcMedia
    from qbcall.core.impairment_text import parse_impairment
    from qbcall.errors import InvalidArgument

    try:
        RtcMedia(lambda fact: None, IceSettings(impairment=parse_impairment("loss=5%")))
    except InvalidArgument as error:
        return str(error)
    return ""


class Warnings(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


if __name__ == "__main__":
    owner, name, _ = CHANGES[sys.argv[1]]
    setattr(owner, name, otherwise(getattr(owner, name)))
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    sys.stdout.write(json.dumps(call() | {"logged": warnings.messages, "unimpaired": impaired()}))
