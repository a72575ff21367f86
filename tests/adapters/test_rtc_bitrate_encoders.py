"""Real encoders behind a limit: how many bits come out, whatever the picture and the peer's estimate."""

from __future__ import annotations

import fractions
from dataclasses import dataclass

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.jitterbuffer import JitterFrame

from qbcall.adapters import rtc_opus
from qbcall.adapters.rtc_bitrate import BURST, OPUS_BITRATE, LimitedOpus, LimitedVideo
from qbcall.adapters.rtc_opus import COMPLEXITY, library
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE
from tests.adapters.test_rtc_bitrate import RATE, noise

BOTH = [Vp8Encoder, H264Encoder]
REMB = 1_400_000
"""Bits per second; within the range that aiortc has for both codecs."""


@dataclass
class Bits:
    """A limit on its own."""

    limit: int | None


class Studio:
    """Encodes noise, one picture after the other."""

    def __init__(self, make: type[Vp8Encoder] | type[H264Encoder], limit: int | None, *, depth: int = 60) -> None:
        self.bits = Bits(limit)
        self.inner = make()
        self.encoder = LimitedVideo(self.inner, self.bits)
        self._random = np.random.default_rng(1)
        self._depth = depth
        self._number = 0

    def picture(self, *, complete: bool = False) -> int:
        """Bits of the next one."""
        payloads, _ = self.encoder.encode(noise(self._random, self._number, self._depth), complete)
        self._number += 1
        return 8 * sum(map(len, payloads))

    def pictures(self, seconds: int = 3) -> list[int]:
        """Bits of each in so many seconds."""
        return [self.picture() for _ in range(seconds * RATE)]

    def rate(self, seconds: int = 3) -> float:
        """Bits per second over so many."""
        return sum(self.pictures(seconds)) / seconds

    def settled(self) -> float:
        """The rate after one second."""
        self.rate(1)
        return self.rate()


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("limit", [30_000, 150_000, 400_000])
@pytest.mark.parametrize("depth", [20, 60, 256], ids="depth{}".format)
def test_no_picture_makes_more_than_the_limit(
    make: type[Vp8Encoder] | type[H264Encoder], limit: int, depth: int
) -> None:
    """Noise of the whole range is more than libvpx can press into it: then there are fewer pictures."""
    sent = Studio(make, limit, depth=depth).pictures(4)
    assert sum(sent) <= limit * (4 + BURST) + max(sent)
    assert sum(sent) > 4 * 0.15 * limit


@pytest.mark.parametrize("make", BOTH)
def test_estimate_of_the_peer_does_not_lift_the_limit(make: type[Vp8Encoder] | type[H264Encoder]) -> None:
    """QB: `b=AS` holds whatever REMB says; without it, REMB is followed."""
    studio = Studio(make, 150_000)
    studio.encoder.target_bitrate = REMB
    assert studio.settled() <= 157_500
    assert studio.inner.target_bitrate <= 150_000
    studio.bits.limit = None
    studio.picture()
    assert studio.inner.target_bitrate == REMB


@pytest.mark.parametrize("make", BOTH)
def test_limit_above_the_estimate_changes_nothing(make: type[Vp8Encoder] | type[H264Encoder]) -> None:
    studio, free = Studio(make, 5_000_000), Studio(make, None)
    assert studio.rate() == free.rate()


@pytest.mark.parametrize("make", BOTH)
def test_small_step_down_holds_too(make: type[Vp8Encoder] | type[H264Encoder]) -> None:
    """The library leaves an encoder as it is for changes of less than a tenth."""
    studio = Studio(make, 300_000)
    studio.rate()
    for limit in (280_000, 260_000, 240_000):
        studio.bits.limit = limit
        studio.rate(1)
        assert studio.inner.codec is not None
        assert (studio.inner.codec.bit_rate or 0) <= limit


def test_complete_picture_that_must_wait_is_not_forgotten() -> None:
    """A peer that lost one asks once (RFC 4585, section 6.3.1), perhaps when no bits are left."""
    studio = Studio(Vp8Encoder, 150_000, depth=256)
    while studio.picture():
        pass  # until one must wait
    assert studio.picture(complete=True) == 0
    sent = next(bits for bits in (studio.picture() for _ in range(60)) if bits)
    plain = Studio(Vp8Encoder, 150_000, depth=256)
    typical = [bits for bits in (plain.picture() for _ in range(60)) if bits]
    assert sent > 1.5 * float(np.median(typical))


LAYOUTS = pytest.mark.parametrize("layout", ["mono", "stereo"])
"""Blocks as they are sent are stereo, and go to libopus itself; others go through FFmpeg."""


def tone(number: int, layout: str) -> av.AudioFrame:
    """20 ms of loud noise: nothing is harder."""
    size = AUDIO_BLOCK * (2 if layout == "stereo" else 1)
    samples = np.random.default_rng(number).integers(-20_000, 20_000, (1, size), dtype=np.int16)
    block = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
    block.sample_rate, block.pts = AUDIO_RATE, number * AUDIO_BLOCK
    block.time_base = fractions.Fraction(1, AUDIO_RATE)
    return block


def encoded(encoder: LimitedOpus, numbers: range, layout: str) -> list[tuple[bytes, int]]:
    """Packets and their time stamps."""
    made = [encoder.encode(tone(number, layout)) for number in numbers]
    return [(payload, timestamp) for payloads, timestamp in made for payload in payloads]


def bit_rate(packets: list[tuple[bytes, int]]) -> float:
    return 8 * sum(len(payload) for payload, _ in packets) / (len(packets) * AUDIO_BLOCK / AUDIO_RATE)


@LAYOUTS
@pytest.mark.parametrize("limit", [6_000, 16_000, 40_000, 80_000])
def test_sound_is_within_its_limit(limit: int, layout: str) -> None:
    assert bit_rate(encoded(LimitedOpus(OpusEncoder(), Bits(limit)), range(100), layout)) <= 1.05 * limit


@LAYOUTS
@pytest.mark.parametrize("limit", [None, 1_000_000])
def test_sound_with_room_is_as_the_library_makes_it(limit: int | None, layout: str) -> None:
    free = OpusEncoder()
    if layout == "stereo":
        free.codec.options = {"application": "voip", "compression_level": str(COMPLEXITY)}
    wanted = [free.encode(tone(number, layout))[0] for number in range(50)]
    made = encoded(LimitedOpus(OpusEncoder(), Bits(limit)), range(50), layout)
    assert [payload for payload, _ in made] == [payload for some in wanted for payload in some]


def test_without_libopus_sound_is_encoded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc_opus, "library", lambda: None)
    packets = encoded(LimitedOpus(OpusEncoder(), Bits(None)), range(20), "stereo")
    assert [stamp for _, stamp in packets] == [number * AUDIO_BLOCK for number in range(len(packets))]
    assert bit_rate(packets) > 0.8 * OPUS_BITRATE


def test_block_that_libopus_does_not_take_is_an_error() -> None:
    opus = library()
    assert opus is not None
    with pytest.raises(ValueError, match="does not encode 7 samples"):
        rtc_opus.OpusEncoder(opus, 20_000).encode(av.AudioFrame(format="s16", layout="stereo", samples=7))
    with pytest.raises(ValueError, match="does not take -7"):
        rtc_opus.OpusEncoder(opus, -7)


@LAYOUTS
def test_sound_goes_on_without_a_gap_when_its_limit_changes(layout: str) -> None:
    bits = Bits(None)
    encoder = LimitedOpus(OpusEncoder(), bits)
    packets = encoded(encoder, range(50), layout)
    bits.limit = 20_000
    fewer = encoded(encoder, range(50, 100), layout)
    bits.limit = None
    packets += fewer + encoded(encoder, range(100, 150), layout)
    assert bit_rate(fewer) <= 21_000
    assert bit_rate(packets[-40:]) > 0.8 * OPUS_BITRATE
    assert [stamp for _, stamp in packets] == [number * AUDIO_BLOCK for number in range(len(packets))]
    decoder = OpusDecoder()
    assert all(decoder.decode(JitterFrame(data, stamp)) for data, stamp in packets)


@pytest.mark.parametrize(
    ("ours", "theirs", "next_one"), [(5, 9, 9), (9, 5, 9), (32_767, 3, 3), (3, 32_767, 3), (7, 7, 7)]
)
def test_numbers_of_pictures_go_on_from_another_encoder_but_never_back(ours: int, theirs: int, next_one: int) -> None:
    """RFC 7741, section 4.2: 15 bits."""
    encoder, other = Vp8Encoder(), Vp8Encoder()
    encoder.picture_id, other.picture_id = ours, theirs
    LimitedVideo(encoder, Bits(None)).follow(LimitedVideo(other, Bits(None)))
    assert encoder.picture_id == next_one
