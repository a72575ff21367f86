"""Tones, and how they are measured."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest

from qbcall.errors import InvalidArgument
from qbcall.media.blocks import audio_frame, samples_of
from qbcall.media.tone import pitch, pitch_of, tone


def some(hertz: int, blocks: int = 10) -> np.typing.NDArray[np.int16]:
    return np.concatenate(list(islice(tone(hertz), blocks)))


@pytest.mark.parametrize("hertz", [50, 300, 441, 1175, 8000])
def test_tone_is_measured_to_5_hz_over_a_fifth_of_a_second(hertz: int) -> None:
    found = pitch(some(hertz), 48_000)
    assert found == pytest.approx(hertz, abs=5)
    stereo = np.repeat(some(hertz)[:, None], 2, axis=1).astype(np.float32) / 32768
    assert pitch(stereo, 48_000) == pytest.approx(hertz, abs=5)


def test_tone_is_continuous_at_minus_12_decibels_for_longer_than_a_second() -> None:
    samples = some(440, 60).astype(int)
    peak = np.abs(samples).max()
    assert 20 * np.log10(peak / 32768) == pytest.approx(-12, abs=0.1)
    assert np.abs(np.diff(samples)).max() <= peak * 2 * np.pi * 440 / 48_000 + 2


def test_silence_noise_and_too_little_have_no_pitch() -> None:
    noise = np.random.default_rng(1).integers(-9000, 9000, 9600).astype(np.int16)
    for samples in (np.zeros(9600, np.int16), noise, some(440)[:100], np.zeros(0, np.int16), np.full(9600, np.nan)):
        assert pitch(samples, 48_000) is None
    assert pitch(np.full(9600, 9000, np.int16), 48_000) is None


def test_tone_survives_opus() -> None:
    encoder, decoder = av.CodecContext.create("libopus", "w"), av.CodecContext.create("opus", "r")
    assert isinstance(encoder, av.AudioCodecContext)
    assert isinstance(decoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "stereo", "s16", 32_000
    encoder.options = {"application": "voip"}
    decoder.sample_rate, decoder.layout = 48_000, "stereo"
    got = []
    for number, block in zip(range(30), tone(875), strict=False):
        frame = audio_frame(np.repeat(block[:, None], 2, axis=1))
        frame.pts, frame.time_base = number * 960, Fraction(1, 48_000)
        for packet in encoder.encode(frame):
            got += [samples_of(decoded) for decoded in decoder.decode(packet)]
    sound = np.concatenate(got)
    assert pitch(sound[4800:14400], 48_000) == pytest.approx(875, abs=5)


def test_pitch_of_a_name_is_stable_and_audible() -> None:
    assert pitch_of("alice") == pitch_of("alice")
    assert {pitch_of(f"user{number}") % 50 for number in range(100)} == {0}  # whole periods in 20 ms
    assert len({pitch_of(f"user{number}") for number in range(100)}) > 20


@pytest.mark.parametrize("hertz", [49, 8001, 440.5, True, "440"])
def test_wrong_pitch_is_refused(hertz: object) -> None:
    with pytest.raises(InvalidArgument, match="50 to 8000"):
        tone(hertz)  # type: ignore[arg-type]  # what an application might do


def test_pitch_of_a_name_is_measured_though_blocks_are_lost() -> None:
    blocks = tone(pitch_of("alice"))
    kept = [block for number, block in zip(range(40), blocks, strict=False) if number % 3]
    assert pitch(np.concatenate(kept), 48_000) == pytest.approx(pitch_of("alice"), abs=1)
