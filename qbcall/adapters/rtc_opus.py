"""Opus decoded by libopus itself, which makes up what was lost (RFC 6716, sections 4.4 and 2.1.7).

FFmpeg offers neither: it takes no loss for an answer, and leaves the repetition of a packet within the next one (FEC)
unread. The library is the one that PyAV brings along. It is called without letting go of Python's lock: a block takes
some 40 us, and to get the lock back may take milliseconds.
"""

from __future__ import annotations

import ctypes
import logging
from ctypes.util import find_library
from fractions import Fraction
from functools import cache
from pathlib import Path

import av

from qbcall.media.frames import AUDIO_RATE

log = logging.getLogger("qbcall.adapters.rtc")

CHANNELS = 2
LONGEST = AUDIO_RATE * 120 // 1000
"""Samples in a packet at most (RFC 6716, section 2.1.4)."""
TIME_BASE = Fraction(1, AUDIO_RATE)


@cache
def library() -> ctypes.PyDLL | None:
    """Libopus; None: it is not here, and nothing that is lost can be made up."""
    for path in _places():
        try:
            opus = ctypes.PyDLL(path)
            _declare(opus)
        except (OSError, AttributeError):
            continue
        return opus
    log.warning("libopus is not found: lost sound is not made up")
    return None


def _places() -> list[str]:
    package = Path(av.__file__).parent
    found = [path for place in (package.parent / "av.libs", package / ".dylibs") for path in place.glob("*opus*")]
    system = find_library("opus")
    return [*map(str, found), *([system] if system else [])]


def _declare(opus: ctypes.PyDLL) -> None:
    """See opus.h.

    Raises:
        AttributeError: this is no libopus.
    """
    number, pointer, text = ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p
    opus.opus_decoder_create.argtypes = (number, number, pointer)
    opus.opus_decoder_create.restype = pointer
    opus.opus_decoder_destroy.argtypes = (pointer,)
    opus.opus_decoder_destroy.restype = None
    opus.opus_decode.argtypes = (pointer, text, number, pointer, number, number)
    opus.opus_decode.restype = number
    opus.opus_packet_get_nb_samples.argtypes = (text, number, number)
    opus.opus_packet_get_nb_samples.restype = number


class OpusDecoder:
    """Decodes one stream."""

    def __init__(self, opus: ctypes.PyDLL) -> None:
        self._opus = opus
        self._state = opus.opus_decoder_create(AUDIO_RATE, CHANNELS, None)
        if not self._state:
            raise MemoryError("libopus makes no decoder")

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_decoder_destroy(self._state)

    def samples(self, data: bytes) -> int:
        """How many are in the packet; 0: it is none."""
        count: int = self._opus.opus_packet_get_nb_samples(data, len(data), AUDIO_RATE)
        return count if 0 < count <= LONGEST else 0

    def decode(self, data: bytes, pts: int) -> av.AudioFrame | None:
        """What is in the packet; None: it is none."""
        return self._decode(data, self.samples(data), pts, earlier=False)

    def recover(self, data: bytes, samples: int, pts: int) -> av.AudioFrame | None:
        """What the packet repeats of the one before it, or what may have been there."""
        return self._decode(data, samples, pts, earlier=True)

    def conceal(self, samples: int, pts: int) -> av.AudioFrame | None:
        """What may have been in a lost packet."""
        return self._decode(None, samples, pts, earlier=False)

    def _decode(self, data: bytes | None, samples: int, pts: int, *, earlier: bool) -> av.AudioFrame | None:
        if not 0 < samples <= LONGEST:
            return None
        frame = av.AudioFrame(format="s16", layout="stereo", samples=samples)
        size = 0 if data is None else len(data)
        made = self._opus.opus_decode(self._state, data, size, frame.planes[0].buffer_ptr, samples, int(earlier))
        if made != samples:
            return None
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, pts, TIME_BASE
        return frame
