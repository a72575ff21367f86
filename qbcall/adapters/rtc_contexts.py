"""Encoders' settings for pictures that are sent while they are made.

aiortc leaves x264 at its preset for files, which takes more than three times as long for half a decibel, and lets it
overshoot; and has libvpx remove a camera's noise, which costs a third of the whole for less than one decibel.
"""

from __future__ import annotations

from fractions import Fraction

from av import CodecContext
from av.video.codeccontext import VideoCodecContext

from qbcall.adapters.rtc_thread import processors

VIDEO_CLOCK = 90_000
"""Ticks per second of the time stamps of video (RFC 7741, section 4.1; RFC 6184, section 8.2.1)."""
KEY_INTERVAL = 3000
"""Pictures until one is complete by itself: peers ask for one when they need it."""
FPS = 30
"""Pictures per second that x264 expects before it sees time stamps."""
LARGE = 1920 * 1080
"""Pixels; what is larger is divided among threads. They wait for each other busily: half as much work again, for a
tenth of the time."""


def vp8(width: int, height: int, bits: int) -> VideoCodecContext:
    """Libvpx at a constant bit rate, without delay (RFC 7741)."""
    context = _context("libvpx", width, height, bits)
    context.qmin, context.qmax = 2, 56
    context.options = {
        "deadline": "realtime",
        "cpu-used": "-6",
        "lag-in-frames": "0",
        "noise-sensitivity": "0",
        "static-thresh": "1",
        "minrate": str(bits),
        "maxrate": str(bits),
        "bufsize": str(bits),
        "undershoot-pct": "100",
        "overshoot-pct": "15",
    }
    return context


def h264(width: int, height: int, bits: int) -> VideoCodecContext:
    """x264 without delay, in the constrained baseline profile that all browsers have (RFC 7742, section 6.2)."""
    context = _context("libx264", width, height, bits)
    context.framerate = Fraction(FPS)
    context.profile = "Baseline"
    context.options = {
        "preset": "superfast",
        # Six decibels where parts of a picture come back to what they were, e.g. digits.
        "refs": "3",
        "partitions": "p8x8,i4x4",
        # Half a decibel where all of a picture moves, for a sixth of the time.
        "subq": "0",
        # Three decibels for texts and drawings at 500 kbit/s, and a quarter of one less for what moves.
        "aq-mode": "0",
        "tune": "zerolatency",
        "level": "31",
        # A little above what is aimed at: if both are the same, x264 is so careful that texts lose four decibels.
        "maxrate": str(bits * 102 // 100),
        # In the second after a cut 710 kbit are sent of 500, and 1050 without a buffer.
        "bufsize": str(bits // 2),
    }
    return context


def _context(name: str, width: int, height: int, bits: int) -> VideoCodecContext:
    context = CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext), "it encodes pictures"
    context.width, context.height, context.bit_rate = width, height, bits
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, VIDEO_CLOCK)
    context.gop_size = KEY_INTERVAL
    context.thread_count = 1 if width * height <= LARGE else min(4, processors())
    return context
