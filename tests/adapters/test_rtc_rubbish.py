"""Malformed packets of a peer: none breaks the connection, and none makes it grow.

They are put in behind the decryption, where what a peer writes arrives: it has agreed on the keys.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from struct import pack

import pytest
from aiortc import RTCDtlsTransport, clock
from pylibsrtp import Session

from qbcall.adapters import rtc_arrival
from qbcall.adapters.rtc_arrival import Arrival, MediaPath
from qbcall.adapters.rtc_codecs import CODECS
from qbcall.adapters.rtc_stats import MOST_STREAMS
from tests.adapters.rtc_room import BOTH, Endpoint, colour, is_near, join, run

AUDIO, VIDEO = BOTH
RED = (200, 40, 40)
VARIANTS = 1500
RTP = (
    b"",
    b"\x80",
    pack("!BBHLL", 0x80, 97, 1, 2, 3),
    pack("!BBHLL", 0xBF, 0xE1, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) + b"\xff" * 80,
    pack("!BBHLLHH", 0x90, 97, 1, 2, 3, 0xBEDE, 1) + b"\x13\xff\xff\xff",  # an extension longer than its block
    pack("!BBHLLHH", 0x90, 97, 1, 2, 3, 0x1000, 1) + b"\x02\xff\xff\xff",
    pack("!BBHLLHH", 0x90, 96, 1, 2, 3, 0xBEDE, 1) + b"\x22\xff\xff\xff",  # an audio level of three bytes
    pack("!BBHLLHH", 0x90, 97, 1, 2, 3, 0xBEDE, 1) + b"\x32\xff\x00\x00",
    pack("!BBHLLHH", 0x90, 97, 1, 2, 3, 0xBEDE, 1) + b"\x10\xff\x00\x00",  # a `mid` that is no text
)
"""As a peer may write them (RFC 3550, RFC 8285)."""
PAYLOADS = (
    b"\x90",
    b"\x90\xff",
    b"\xff\xff\xff\xff\xff\xff",  # VP8: all fields, and nothing behind
    b"\x10\x00\x00\x00\x9d\x01\x2a\xff\xff\xff\xff",  # VP8: a complete picture of 16383x16383
    b"\x10\x00\x00\x00\x9d\x01\x2a\x00\x00\x00\x00",
    b"\x78\xff\xff\x00",  # H264: STAP-A that is cut off
    b"\x7c\x85",  # H264: FU-A with nothing in it
    b"\x67" + b"\xff" * 40,  # H264: parameters without sense
    b"\x65",
    b"\x61\x00",
)
"""Of pictures (RFC 7741, RFC 6184)."""
RTCP = (
    b"\x80",
    b"\x80\xc8\x00\x00",
    b"\x9f\xc9\x00\x01\x00\x00\x00\x01",
    b"\x81\xcd\x00\x02" + b"\xff" * 8,
    b"\x8f\xce\x00\x03" + b"\xff" * 8 + b"REMB",
    b"\x8f\xce\x00\x05" + b"\xff" * 8 + b"REMB\xff\xff\xff\xff",
    b"\x81\xca\x00\x01\x00\x00\x00\x01",
    b"\x81\xca\x00\x02\x00\x00\x00\x01\x01\xff\x00\x00",  # a name that is longer than its packet
    b"\x9f\xcb\x00\x00",
    b"\xbf\xc8\xff\xff",
)
"""As a peer may write them (RFC 3550, RFC 4585)."""


class Wire:
    """What arrived, and where to put in more."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        for name, kept in (("unprotect", self.rtp), ("unprotect_rtcp", self.rtcp)):
            patch.setattr(Session, name, kept_by(kept, getattr(Session, name)))


def kept_by(some: list[bytes], unprotect: Callable[[Session, bytes], bytes]) -> Callable[[Session, bytes], bytes]:
    def keep(session: Session, packet: bytes) -> bytes:
        some.append(unprotect(session, packet))
        return some[-1]

    return keep


async def read(there: RTCDtlsTransport, data: bytes, *, reports: bool) -> None:
    """As if this had been decrypted there."""
    path = there.transport._connection
    assert isinstance(path, MediaPath), "it is our own"
    arrival = getattr(path.media, "__self__", None)
    if isinstance(arrival, Arrival):
        (arrival.read_reports if reports else arrival.read_media)(data, time.time())
    elif reports:
        await there._handle_rtcp_data(data)
    else:
        await there._handle_rtp_data(data, arrival_time_ms=clock.current_ms())


def spoilt(dice: random.Random, data: bytes) -> bytes:
    """The packet with some of it changed, cut off or added."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        if changed:
            changed[dice.randrange(min(len(changed), 40))] = dice.randrange(256)
    return bytes(changed[: dice.randint(0, len(changed))]) if dice.random() < 0.3 else bytes(changed)


def transport_of(endpoint: Endpoint) -> RTCDtlsTransport:
    (lane,) = endpoint.media._lanes.values()
    assert lane._connection is not None
    return lane._connection._pc.getReceivers()[0].transport


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_rubbish_neither_breaks_a_connection_nor_makes_it_grow(
    codec: str, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtc_arrival, "KNOWN", at_once)
    chosen = sorted(CODECS[VIDEO], key=lambda one: one.mimeType != f"video/{codec}")
    monkeypatch.setitem(CODECS, VIDEO, chosen)
    wire = Wire(monkeypatch)
    dice = random.Random(6)

    async def play() -> None:
        async with Endpoint("a", colour=RED, pitch=500) as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            await b.frame(a, VIDEO, more=10)
            await b.condition(lambda: bool(wire.rtcp))
            there = transport_of(b)
            rtp, rtcp = list(wire.rtp), list(wire.rtcp)
            pictures = [data for data in rtp if data[1] & 0x7F != 96]
            bodies = [pictures[0][:12].replace(b"\x90", b"\x80", 1) + body for body in PAYLOADS]
            for data in (*RTP, *bodies, *(spoilt(dice, dice.choice(rtp)) for _ in range(VARIANTS))):
                await read(there, data, reports=False)
            for data in (*RTCP, *(spoilt(dice, dice.choice(rtcp)) for _ in range(VARIANTS))):
                await read(there, data, reports=True)
            for kind in BOTH:
                await b.frame(a, kind, more=5)
            assert is_near(colour(await b.frame(a, VIDEO)), RED)
            await b.hears(a, 500)
            assert len(there._rtp_router.ssrc_table) <= 2 * MOST_STREAMS + 4
            for receiver in there._rtp_router.receivers:
                kept = vars(receiver)
                for name in ("active_ssrc", "remote_streams"):
                    assert len(kept[f"_RTCRtpReceiver__{name}"]) <= MOST_STREAMS

    run(play)
