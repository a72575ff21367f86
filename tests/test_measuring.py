"""What benchmarks measure with: sounds and pictures that say what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame

from benchmarks import ways
from benchmarks.moving import draw
from benchmarks.sweep import BLOCK, EDGE, PERIOD, Sweep, place_of
from qbcall.adapters import rtc_demand
from qbcall.media import testcard
from qbcall.media.blocks import audio_frame, samples_of
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE, VideoFormat
from qbcall.media.planes import luma

LOOK_AHEAD = 0.0065
"""Seconds by which Opus is late (RFC 7587, section 4.2: it looks ahead)."""
OFF = 0.002
"""Seconds by which a place may be misread."""


def sent(sweep: Sweep) -> Iterator[av.AudioFrame]:
    """All blocks of one period, and more."""
    for number in range(round(1.5 * PERIOD / BLOCK)):
        yield audio_frame(np.repeat(sweep._blocks[number % len(sweep._blocks)], 2, axis=1))


def received(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """The same through Opus."""
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number * AUDIO_BLOCK, Fraction(1, AUDIO_RATE)
        for payload in encoder.encode(frame)[0]:
            for block in decoder.decode(JitterFrame(payload, number * AUDIO_BLOCK)):
                assert isinstance(block, av.AudioFrame)
                yield block


def test_sound_says_its_place_after_it_was_encoded() -> None:
    """All but near the ends of a period."""
    places = [place_of(block) for block in received(sent(Sweep()))]
    known = [(number, place) for number, place in enumerate(places) if place is not None and number > 1]
    for number, place in known:
        assert abs((place - number * BLOCK + LOOK_AHEAD + PERIOD / 2) % PERIOD - PERIOD / 2) < OFF
    assert len(known) > len(places) * (1 - 3 * EDGE / PERIOD - 0.05)


def test_block_with_silence_in_it_says_no_place() -> None:
    """A sender that is late puts silence between."""
    block = samples_of(audio_frame(Sweep()._blocks[20])).copy()
    assert place_of(audio_frame(block)) is not None
    block[AUDIO_BLOCK // 3 :] = 0
    assert place_of(audio_frame(block)) is None


def test_delay_is_the_time_since_the_sound_was_made() -> None:
    async def scenario() -> None:
        sweep = Sweep()
        for _ in range(3):
            await sweep.read()
        assert sweep.began is not None
        for periods in (0, 5):
            now = sweep.began + 0.4 + 0.25 + periods * PERIOD
            assert sweep.delay(0.4, now) == pytest.approx(0.25)

    asyncio.run(scenario())


def test_moving_picture_is_the_same_each_time_it_is_drawn_and_says_its_number() -> None:
    form = VideoFormat(320, 240, 30)
    first = testcard.Card("ann", 7, 123_456)
    picture = draw(form, first)
    assert testcard.read(picture) == first
    assert (luma(picture) == luma(draw(form, first))).all()
    other = luma(draw(form, testcard.Card("ann", 8, 123_456)))
    assert np.mean(other != luma(picture)) > 0.5


def test_way_that_does_not_exist_any_more_is_not_taken() -> None:
    with pytest.raises(AttributeError):
        ways.replace(rtc_demand, "NO_SUCH_NAME", 1)
