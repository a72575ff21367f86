"""Our encoders' settings cost less than aiortc's, and little of the picture."""

from __future__ import annotations

import fractions
from collections.abc import Callable

import av
import numpy as np
import pytest
from aiortc.codecs.base import Decoder
from aiortc.codecs.h264 import H264Decoder, H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from benchmarks.moving import draw
from qbcall.adapters.rtc_bitrate import LimitedVideo
from qbcall.adapters.rtc_layer import h264_is_complete, vp8_is_complete
from qbcall.adapters.rtc_share import Cap
from qbcall.media import testcard
from qbcall.media.cardcode import Card
from qbcall.media.frames import VideoFormat

WIDTH, HEIGHT, FPS = 320, 240, 30
BITS = 500_000
"""Per second; the least that aiortc's H264 takes."""
SETTLED = 15
"""Pictures at the beginning that do not count: the rate is found by then."""
Encode = Callable[[av.VideoFrame, bool], tuple[list[bytes], int]]
CODECS = [
    pytest.param(Vp8Encoder, Vp8Decoder, vp8_depayload, id="vp8"),
    pytest.param(H264Encoder, H264Decoder, h264_depayload, id="h264"),
]


def scene(number: int) -> av.VideoFrame:
    """A soft pattern with some noise, before which a part of it moves."""
    dice = np.random.default_rng(1)
    pattern = np.kron(dice.integers(0, 256, (HEIGHT // 8, WIDTH // 8)), np.ones((8, 8)))
    pattern = (pattern + np.roll(pattern, 4, 0) + np.roll(pattern, 4, 1) + np.roll(pattern, (4, 4), (0, 1))) / 4
    left = 3 * number % (WIDTH - 80)
    pattern[60:120, left : left + 80] = pattern[:60, number % 200 : number % 200 + 80]
    picture = np.full((HEIGHT * 3 // 2, WIDTH), 128.0)
    picture[:HEIGHT] = pattern + np.random.default_rng(number).normal(0, 2, pattern.shape)
    frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="yuv420p")
    frame.pts, frame.time_base = number * 90_000 // FPS, fractions.Fraction(1, 90_000)
    return frame


def pan(number: int) -> av.VideoFrame:
    """All of it moves."""
    frame = draw(VideoFormat(WIDTH, HEIGHT, FPS), Card("ann", number, number * 1000 // FPS))
    frame.pts, frame.time_base = number * 90_000 // FPS, fractions.Fraction(1, 90_000)
    return frame


def card(number: int) -> av.VideoFrame:
    """Text and drawings; little of it moves."""
    frame = testcard.draw(VideoFormat(WIDTH, HEIGHT, FPS), "ann", number, number * 1000 // FPS)
    frame.pts, frame.time_base = number * 90_000 // FPS, fractions.Fraction(1, 90_000)
    return frame


def luma(frame: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    assert isinstance(frame, av.VideoFrame)
    return frame.to_ndarray()[:HEIGHT].astype(np.float64)


def quality(
    encode: Encode,
    decoder: Decoder,
    depayload: Callable[[bytes], bytes],
    scene: Callable[[int], av.VideoFrame],
) -> tuple[float, float]:
    """PSNR of the luma in dB, and bits per second, of two seconds."""
    errors, bits = [], 0
    for number in range(2 * FPS):
        frame = scene(number)
        payloads, stamp = encode(frame, False)
        bits += 8 * sum(map(len, payloads))
        seen = decoder.decode(JitterFrame(b"".join(map(depayload, payloads)), stamp))
        errors += [np.mean((luma(one) - luma(frame)) ** 2) for one in seen if number >= SETTLED]
    return float(10 * np.log10(255**2 / np.mean(errors))), bits / 2


@pytest.mark.parametrize("scene", [scene, pan, card])
@pytest.mark.parametrize(("encoder", "decoder", "depayload"), CODECS)
def test_picture_is_within_one_decibel_of_the_librarys(
    encoder: type[Vp8Encoder] | type[H264Encoder],
    decoder: type[Decoder],
    depayload: Callable[[bytes], bytes],
    scene: Callable[[int], av.VideoFrame],
) -> None:
    stock = encoder()
    stock.target_bitrate = BITS
    ours = LimitedVideo(encoder(), Cap())
    ours.target_bitrate = BITS
    wanted, _ = quality(stock.encode, decoder(), depayload, scene)
    reached, bits = quality(ours.encode, decoder(), depayload, scene)
    assert reached > wanted - 1
    assert bits < 1.2 * BITS


@pytest.mark.parametrize(("make", "is_complete"), [(Vp8Encoder, vp8_is_complete), (H264Encoder, h264_is_complete)])
def test_complete_pictures_are_known(
    make: type[Vp8Encoder] | type[H264Encoder], is_complete: Callable[[list[bytes]], bool]
) -> None:
    """The first, those that are asked for, and the first after a change of size or rate; no others."""
    encoder = LimitedVideo(make(), Cap())
    found = []
    for number in range(12):
        encoder.target_bitrate = BITS if number < 8 else 2 * BITS
        payloads, _ = encoder.encode(scene(number), force_keyframe=number == 4)
        found += [number] if is_complete(payloads) else []
    assert found == [0, 4, 8]
