"""What a muted participant sends: packets, so that all know that the path is good, and hardly a bit in them."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from aiortc import RTCRtpCodecParameters

from qbcall.adapters.rtc_encoder import SILENCE, SharedStream
from qbcall.adapters.rtc_share import Encoded, Terms
from qbcall.core.health import STALL
from qbcall.core.model import MediaKind
from qbcall.media.frames import VideoFormat
from qbcall.media.outgoing import Outgoing
from qbcall.media.synthetic import TestCard, Tone
from tests.adapters.rtc_room import AtOnce
from tests.media.virtual_clock import VirtualClockLoop, run

OPUS = RTCRtpCodecParameters("audio/opus", 48_000, 2, 96)
VP8 = RTCRtpCodecParameters("video/VP8", 90_000, None, 97)
H264 = RTCRtpCodecParameters(
    "video/H264", 90_000, None, 98, parameters={"packetization-mode": "1", "profile-level-id": "42e01f"}
)
FORMAT = VideoFormat(640, 480, 30)


def size(encoded: Encoded) -> int:
    """Bytes of media, without headers."""
    return sum(map(len, encoded.data.payloads))


async def sent(out: Outgoing, codec: RTCRtpCodecParameters, seconds: float) -> list[Encoded]:
    """What one peer gets within that time of the clock of the stream."""
    taken: asyncio.Queue[Encoded] = asyncio.Queue()
    share = SharedStream(out.kind, out, AtOnce()).share(codec, Terms(), taken.put_nowait)
    clock = 48_000 if out.kind is MediaKind.AUDIO else 90_000
    found = [await taken.get()]
    while found[-1].data.timestamp - found[0].data.timestamp < seconds * clock:
        found.append(await taken.get())
    share.close()
    return found


def test_muted_sound_is_sent_in_packets_of_a_few_bytes() -> None:
    """QB-141: 50 a second go on, for health and statistics of others; 3 bytes each are silence in Opus."""

    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(MediaKind.AUDIO, Tone(440))
        loud = await sent(out, OPUS, 1.0)
        assert sum(map(size, loud)) > 5000
        out.muted = True
        muted = await sent(out, OPUS, 4.0)
        assert len(muted) == pytest.approx(200, abs=2)
        assert {encoded.data.audio_level for encoded in muted} == {SILENCE}
        assert max(map(size, muted[20:])) <= 10
        await out.close()

    run(scenario)


@pytest.mark.parametrize("codec", [VP8, H264])
def test_muted_picture_is_sent_a_few_times_a_second_in_a_few_bytes(codec: RTCRtpCodecParameters) -> None:
    """QB-142: often enough that nobody takes it for a fault, and less than 10 kbit/s."""

    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(MediaKind.VIDEO, TestCard(FORMAT, "ann"), FORMAT)
        out.muted = True
        muted = await sent(out, codec, 4.0)
        steps = [(after.data.timestamp - before.data.timestamp) / 90_000 for before, after in pairwise(muted)]
        assert len(muted) == pytest.approx(20, abs=2)
        assert max(steps) < STALL / 2
        assert sum(map(size, muted[1:])) * 8 / 4.0 < 10_000
        assert size(muted[0]) < 2000  # the complete picture, which each who joins gets
        await out.close()

    run(scenario)
