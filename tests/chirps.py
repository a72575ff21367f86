"""Chirps, whose place in a recording is found to the sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qbcall.media.mono import Mono

LOW, HIGH = 300.0, 3000.0
"""Hz, from the beginning of a chirp to its end; a telephone's band."""
LENGTH = 0.1
"""Seconds."""


def chirp(rate: int) -> Mono:
    """One that swells and fades."""
    times = np.arange(round(LENGTH * rate)) / rate
    phase = 2 * np.pi * (LOW * times + (HIGH - LOW) * times**2 / (2 * LENGTH))
    made: Mono = (12_000 * np.hanning(len(times)) * np.sin(phase)).astype(np.int16)
    return made


def matches(sound: Mono, rate: int) -> npt.NDArray[np.float64]:
    """How alike the sound is to a chirp that begins at each sample, from 0 to 1."""
    pattern = chirp(rate).astype(np.float64)
    if len(sound) < len(pattern):
        return np.zeros(0)
    given = sound.astype(np.float64)
    size = 1 << (len(given) + len(pattern) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(given, size) * np.conj(np.fft.rfft(pattern, size)), size)
    power = np.concatenate([[0.0], np.cumsum(given**2)])
    loudness = np.sqrt((power[len(pattern) :] - power[: -len(pattern)]) * np.sum(pattern**2))
    alike: npt.NDArray[np.float64] = np.abs(product[: len(loudness)]) / np.maximum(loudness, 1e6)
    return alike


def beginnings(sound: Mono, rate: int, *, least: float = 0.8) -> list[int]:
    """Samples at which chirps begin, in order."""
    alike = matches(sound, rate)
    found: list[int] = []
    while len(alike) and alike.max() >= least:
        at = int(alike.argmax())
        found.append(at)
        alike[max(0, at - round(LENGTH * rate)) : at + round(LENGTH * rate)] = 0
    return sorted(found)
