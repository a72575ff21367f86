"""Blocks of sound come in order and without gaps: what was lost is taken from the next packet, or made up."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import numpy.typing as npt
import pytest
from aiortc import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from qbcall.adapters import rtc_blocks, rtc_opus
from qbcall.adapters.rtc_blocks import BLOCK, MOST_MADE_UP, Blocks
from qbcall.adapters.rtc_format import Format
from qbcall.adapters.rtc_opus import OpusDecoder, library
from qbcall.adapters.rtc_sound import Sound
from qbcall.adapters.rtc_viewer import Received, Viewer
from qbcall.core.model import MediaKind
from qbcall.media.frames import AUDIO_RATE, Frame

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=AUDIO_RATE, channels=2, payloadType=96)
PITCHES = (400, 700, 1100, 500, 900)


def packets(count: int, *, fec: bool = True) -> list[bytes]:
    """A second and more of sound that changes every 20 ms."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = AUDIO_RATE, av.AudioFormat("s16"), av.AudioLayout("stereo")
    encoder.bit_rate = 32_000
    encoder.options = {"application": "voip", "fec": str(int(fec)), "packet_loss": "30"}
    made: list[bytes] = []
    for number in range(count):
        frame = av.AudioFrame.from_ndarray(tone(number).repeat(2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, number * BLOCK, Fraction(1, AUDIO_RATE)
        made += map(bytes, encoder.encode(frame))
    return made[:count]


def tone(number: int) -> npt.NDArray[np.int16]:
    times = np.arange(BLOCK) / AUDIO_RATE
    return (12_000 * np.sin(2 * np.pi * PITCHES[number % len(PITCHES)] * times)).astype(np.int16)


def samples(frames: list[Frame]) -> npt.NDArray[np.float64]:
    """The left side."""
    return np.concatenate([frame.to_ndarray().reshape(-1)[::2] for frame in frames]).astype(np.float64)


def decoded(kept: dict[int, bytes]) -> tuple[list[Frame], int]:
    """All blocks, and how many are made up; numbers are places."""
    blocks, frames, made_up = Blocks(), [], 0
    for before, (number, data) in zip([None, *kept], kept.items(), strict=False):
        lost = before is not None and number != before + 1
        some, count = blocks.decode(OPUS, data, number * BLOCK, lost=lost)
        frames += some
        made_up += count
    return frames, made_up


def test_libopus_of_pyav_is_found() -> None:
    """Fails when PyAV is packed otherwise; then nothing is made up, with a warning."""
    assert library() is not None


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_lost_blocks_are_made_up_without_a_gap(lost: int) -> None:
    some = dict(enumerate(packets(60)))
    for number in range(30, 30 + lost):
        del some[number]
    frames, made_up = decoded(some)
    assert made_up == lost
    assert [frame.pts for frame in frames] == [number * BLOCK for number in range(60)]
    assert all(isinstance(frame, av.AudioFrame) and frame.layout.name == "stereo" for frame in frames)
    assert np.abs(samples(frames[30:31])).max() > 2000


def test_lost_block_is_taken_from_the_next_packet_if_that_repeats_it() -> None:
    """RFC 6716, section 2.1.7. What is repeated is much nearer to what was lost than a guess."""

    def error(fec: bool) -> float:
        all_, some = packets(60, fec=fec), dict(enumerate(packets(60, fec=fec)))
        del some[40]
        whole, _ = decoded(dict(enumerate(all_)))
        frames, _ = decoded(some)
        return float(np.square(samples(frames[40:41]) - samples(whole[40:41])).mean())

    assert error(fec=True) < error(fec=False) / 2


def test_pause_of_the_speaker_is_no_loss() -> None:
    """DTX: time goes on, and no number is missing. Nor is a long gap filled with what fades out anyway."""
    blocks, data = Blocks(), packets(40)
    for number in range(20):
        blocks.decode(OPUS, data[number], number * BLOCK, lost=False)
    assert blocks.decode(OPUS, data[20], 30 * BLOCK, lost=False)[1] == 0
    assert blocks.decode(OPUS, data[21], 31 * BLOCK + MOST_MADE_UP + BLOCK, lost=True)[1] == 0


def test_without_libopus_sound_is_decoded_and_nothing_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc_blocks, "library", lambda: None)
    some = dict(enumerate(packets(30)))
    del some[20]
    frames, made_up = decoded(some)
    assert made_up == 0
    assert [frame.pts for frame in frames] == [number * BLOCK for number in some]


def test_missing_library_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(rtc_opus, "_places", lambda: ["/nowhere/libopus.so", "libc.so.6"])
    assert library.__wrapped__() is None
    assert "libopus is not found" in caplog.text


CORPUS = (b"", b"\0", b"\xff", b"\xff\xff", b"\x03\xff", b"\x0b\x3f\x00", bytes(1500), b"\x7f\xbf" + b"\xff" * 300)
"""A packet of nothing, of one byte, with impossible counts and lengths of frames (RFC 6716, section 3.4)."""


@given(st.lists(st.sampled_from(CORPUS) | st.binary(max_size=200), max_size=20), st.integers(0, 3))
def test_rubbish_is_left_out(some: list[bytes], lost: int) -> None:
    blocks, good = Blocks(), packets(3)
    blocks.decode(OPUS, good[0], 0, lost=False)
    for place, data in enumerate(some, 1):
        frames, _ = blocks.decode(OPUS, data, place * (1 + lost) * BLOCK, lost=bool(lost))
        assert all(frame.samples <= rtc_opus.LONGEST for frame in frames if isinstance(frame, av.AudioFrame))
    opus = library()
    assert opus is not None
    assert OpusDecoder(opus).decode(good[2], BLOCK, 7) is not None


# -- packets ---------------------------------------------------------------------------------------------------------


def packet(number: int, data: bytes) -> RtpPacket:
    one = RtpPacket(96, 0, number % 2**16, number * BLOCK, payload=data)
    vars(one)["_data"] = data
    return one


def test_packets_out_of_order_are_put_in_order_and_one_is_not_waited_for_long() -> None:
    async def scenario() -> None:
        frames: list[Frame] = []
        news = asyncio.Event()

        def take(frame: Frame) -> None:
            frames.append(frame)
            news.set()

        received = Received(MediaKind.AUDIO, Viewer(take))
        sound = Sound(received, Format({96: OPUS}, lambda stamp: stamp))
        data = packets(20)
        for number in (0, 1, 3, 2, 4, 5, 8, 7, 6, 9, 11):
            sound.add(packet(number, data[number]))
        assert [frame.pts for frame in frames] == [number * BLOCK for number in range(10)]
        news.clear()
        async with asyncio.timeout(5):  # no packet comes any more
            await news.wait()
        assert [frame.pts for frame in frames] == [number * BLOCK for number in range(12)]
        assert (received.frames, received.decoded, received.made_up) == (11, 11, 1)
        assert all((other.pts or 0) - (one.pts or 0) == BLOCK for one, other in pairwise(frames))
        sound.close()

    asyncio.run(scenario())
