"""Opus encoded and decoded by libopus itself, which makes up what was lost (RFC 6716, sections 4.4 and 2.1.7).

FFmpeg offers neither: it takes no loss for an answer, and leaves the repetition of a packet within the next one (FEC)
unread. To encode, the way through FFmpeg takes longer than libopus does, and the bit rate of an encoder that is open
cannot be changed. The library is the one that PyAV brings along. It is called without letting go of Python's lock: a
block takes less than 100 us, and to get the lock back may take milliseconds.
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
VOICE = 2048
"""The application of an encoder (opus_defines.h), as aiortc has it."""
SET_BITRATE, SET_VARIABLE, SET_COMPLEXITY, SET_CONSTRAINED = 4002, 4006, 4010, 4020
"""What an encoder is told (opus_defines.h)."""
COMPLEXITY = 5
"""What WebRTC takes for phones, in half the time of the highest."""
LONGEST_PACKET = 1275 * 3 + 7
"""Bytes (opus.h: what is recommended for a buffer)."""


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
    opus.opus_encoder_create.argtypes = (number, number, number, pointer)
    opus.opus_encoder_create.restype = pointer
    opus.opus_encoder_destroy.argtypes = (pointer,)
    opus.opus_encoder_destroy.restype = None
    opus.opus_encoder_ctl.argtypes = (pointer, number, number)
    opus.opus_encoder_ctl.restype = number
    opus.opus_encode.argtypes = (pointer, pointer, number, pointer, number)
    opus.opus_encode.restype = number
    opus.opus_packet_get_nb_samples.argtypes = (text, number, number)
    opus.opus_packet_get_nb_samples.restype = number


class OpusEncoder:
    """Encodes blocks of 20 ms."""

    def __init__(self, opus: ctypes.PyDLL, bitrate: int) -> None:
        self._opus = opus
        self._state = opus.opus_encoder_create(AUDIO_RATE, CHANNELS, VOICE, None)
        if not self._state:
            raise MemoryError("libopus makes no encoder")
        self._packet = ctypes.create_string_buffer(LONGEST_PACKET)
        self._tell(SET_COMPLEXITY, COMPLEXITY)
        self._tell(SET_CONSTRAINED, 0)
        self.aim(bitrate, variable=True)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_encoder_destroy(self._state)

    def aim(self, bitrate: int, *, variable: bool) -> None:
        """Make so many bits per second from now on; about so many, or exactly."""
        self._tell(SET_BITRATE, bitrate)
        self._tell(SET_VARIABLE, int(variable))

    def encode(self, block: av.AudioFrame) -> bytes:
        """The packet of a block, s16 and stereo.

        Raises:
            ValueError: libopus does not encode it.
        """
        size = self._opus.opus_encode(
            self._state, block.planes[0].buffer_ptr, block.samples, self._packet, LONGEST_PACKET
        )
        if size < 0:
            raise ValueError(f"libopus does not encode {block.samples} samples: error {size}")
        return ctypes.string_at(self._packet, size)

    def _tell(self, what: int, value: int) -> None:
        error = self._opus.opus_encoder_ctl(self._state, what, value)
        if error:
            raise ValueError(f"libopus does not take {value} for {what}: error {error}")


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

    def decode(self, data: bytes, samples: int, pts: int) -> av.AudioFrame | None:
        """What is in the packet, which has so many samples; None: it is none."""
        return self._decode(data, samples, pts, earlier=False)

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
