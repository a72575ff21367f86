"""A program: a call with an aiortc that is not as we know it. Tells what it logged and what it encoded, in JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable

import pytest
from aiortc import RTCRtpCodecParameters, RTCRtpSender
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtp import AnyRtcpPacket

KEYFRAME, REACT, RUN = RTCRtpSender._send_keyframe, RTCRtpSender._handle_rtcp_packet, RTCRtpSender._run_rtp


def send_keyframe(self: RTCRtpSender, again: bool = False) -> None:
    """It has one more parameter."""
    KEYFRAME(self)


async def react(self: RTCRtpSender, *packets: AnyRtcpPacket) -> None:
    """It takes several."""
    for packet in packets:
        await REACT(self, packet)


async def run_rtp(self: RTCRtpSender, codec: RTCRtpCodecParameters) -> None:
    """It takes what it sends from elsewhere."""
    await RUN(self, codec)


CHANGES: dict[str, Callable[..., object]] = {
    "_send_keyframe": send_keyframe,
    "_handle_rtcp_packet": react,
    "_run_rtp": run_rtp,
}


def call() -> dict[str, object]:
    """Three peers see and hear one; one of them comes late, one leaves."""
    from qbcall.core.model import MediaKind  # all of our modules must see the changed aiortc
    from tests.adapters.rtc_mesh import Work, play, sees
    from tests.adapters.rtc_room import Endpoint, join, pitch
    from tests.adapters.test_rtc_sources import RED

    told: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        work = Work(patch)

        async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
            b, c, d = peers
            await asyncio.gather(*(sees(peer, a, RED) for peer in (b, c)))
            encoded, seen = work.calls[Vp8Encoder], len(b.frames[a.user, MediaKind.VIDEO])
            await b.frame(a, MediaKind.VIDEO, more=40)
            told["encoded"] = work.calls[Vp8Encoder] - encoded
            told["seen"] = len(b.frames[a.user, MediaKind.VIDEO]) - seen
            await join(a, d)
            await sees(d, a, RED)
            a.leave(b)
            await b.media.close()
            for peer in (c, d):
                await peer.frame(a, MediaKind.VIDEO, more=20)
            told["pitch"] = pitch(await d.frame(a, MediaKind.AUDIO, more=20))

        play(scene, joined=2)
    return told


class Warnings(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


if __name__ == "__main__":
    setattr(RTCRtpSender, sys.argv[1], CHANGES[sys.argv[1]])
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    sys.stdout.write(json.dumps(call() | {"logged": warnings.messages}))
