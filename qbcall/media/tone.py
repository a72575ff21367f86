"""The sound of the test source: a tone whose pitch belongs to a name, and how to measure one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from qbcall.errors import InvalidArgument
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE

LOWEST, HIGHEST = 50, 8000
"""Hertz that a tone may have: what speech codecs carry."""
LEVEL = 10 ** (-12 / 20)
"""Peak of the tone, in parts of full scale: -12 dBFS."""
QUIET = 10 ** (-50 / 20)
"""Root mean square below which a sound is silence, in parts of full scale: -50 dBFS."""
TONAL = 0.5
"""Part of the power that the strongest frequency has in a tone."""
SHORTEST = 0.02
"""Seconds of sound that can be measured at all."""
PITCHES = range(300, 1500, 50)
"""Hertz. A block of 20 ms holds whole periods of each, so the pitch stays right where blocks are lost."""

Samples = npt.NDArray[np.int16]


def pitch_of(name: str) -> int:
    """The pitch that belongs to a name, in hertz; two names may share one."""
    return PITCHES[zlib.crc32(name.encode("utf-8", "replace")) % len(PITCHES)]


def tone(hertz: int) -> Iterator[Samples]:
    """Blocks of 960 samples at 48 kHz without end, continuous in phase, -12 dBFS.

    Raises:
        InvalidArgument: the pitch is no whole number from 50 to 8000.
    """
    if type(hertz) is not int or not LOWEST <= hertz <= HIGHEST:
        raise InvalidArgument(f"tone must be a whole number of hertz from {LOWEST} to {HIGHEST}, not {hertz!r}")
    return _tone(hertz)


def _tone(hertz: int) -> Iterator[Samples]:
    # One second holds a whole number of periods and of blocks: it is computed once.
    second = np.sin(2 * np.pi * hertz * np.arange(AUDIO_RATE) / AUDIO_RATE)
    blocks = (second * LEVEL * 32767).round().astype(np.int16).reshape(-1, AUDIO_BLOCK)
    while True:
        yield from blocks


def pitch(samples: npt.NDArray[np.generic], rate: int) -> float | None:
    """The pitch of a tone in hertz, to 5 Hz or better from 0.2 s of sound; None for silence and for no tone.

    Args:
        samples: int16, or float from -1 to 1; shape (samples,) or (samples, channels).
        rate: samples per second.
    """
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    sound = np.nan_to_num(samples.astype(np.float64) / scale)
    if sound.ndim == 2:
        sound = sound.mean(axis=1)
    if sound.ndim != 1 or sound.size < SHORTEST * rate:
        return None
    if float(np.sqrt(np.mean(sound**2))) < QUIET:
        return None
    power = np.abs(np.fft.rfft(sound * np.hanning(sound.size))) ** 2
    peak = int(np.argmax(power))
    # The main lobe of a Hann window is four bins wide.
    if not 0 < peak < power.size - 1 or power[max(0, peak - 2) : peak + 3].sum() < TONAL * power.sum():
        return None
    left, middle, right = np.log(power[peak - 1 : peak + 2] + 1e-30)
    curve = left - 2 * middle + right
    shift = 0.5 * (left - right) / curve if curve else 0.0
    return float((peak + shift) * rate / sound.size)
