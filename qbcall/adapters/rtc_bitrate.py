"""How many bits a second one peer is sent: both sides' limits, and how encoders are held to them.

aiortc's encoders know no limit, and never go below 250 or 500 kbit/s. Each is therefore put behind one that keeps to
the limit. A limit is on the media itself, without the headers of
RTP, UDP and IP: so browsers take it, though RFC 8866 counts headers in `AS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from aiortc.codecs import h264, vpx
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from av import AudioFrame, VideoFrame
from av.frame import Frame
from av.packet import Packet
from av.stream import Stream

from qbcall.adapters import rtc_contexts, rtc_opus, rtc_sdp
from qbcall.core.model import MediaKind
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE, MAX_BANDWIDTH, check_bandwidth

UNITS = {"AS": 1000, "TIAS": 1}
"""Bits per second in one of a `b=` line's (RFC 8866, section 5.8; RFC 3890)."""
FLOOR = {MediaKind.AUDIO: 6_000, MediaKind.VIDEO: 10_000}
"""Bits per second below which nothing of use can be encoded (RFC 6716, section 2.1.1)."""
OPUS_BITRATE = 96_000
"""Bits per second; aiortc's choice."""
AIM = 0.95
"""Part of the limit that a video encoder is told to make: it overshoots by some percent."""
BURST = 0.5
"""Seconds of the limit that may be sent in advance: a complete picture takes many times what a change does."""

PICTURE_IDS = 1 << 15
"""Numbers of pictures until they begin anew (RFC 7741, section 4.2)."""


def announce(sdp: str, bits: int | None) -> str:
    """Our description with the most that the peer is to send of a picture, in the place RFC 8866, section 5 names."""
    if bits is None:
        return sdp
    return re.sub(r"^(m=video [1-9].*\r\n(?:[ic]=.*\r\n)*)", rf"\1b=AS:{bits // 1000}\r\n", sdp, flags=re.MULTILINE)


def told(sdp: str) -> dict[MediaKind, int]:
    """The least that a description's sections name in `b=AS` and `b=TIAS`, in bit/s; 0 and nonsense do not count."""
    found: dict[MediaKind, int] = {}
    for section in rtc_sdp.parse(sdp).sections:
        lines = (re.fullmatch(r"b=(AS|TIAS):(\d{1,10})", line) for line in section.lines)
        named = [int(line[2]) * UNITS[line[1]] for line in lines if line]
        usable = [bits for bits in named if 0 < bits <= MAX_BANDWIDTH * 1000]
        if usable:
            found[MediaKind(section.kind)] = min(usable)
    return found


class SendLimits:
    """What one peer is sent at most: the smaller of its limit and ours, for each kind."""

    def __init__(self, bandwidth: int) -> None:
        """Our limit on video, in kbit/s; 0: none."""
        self._ours: dict[MediaKind, int | None] = {}
        self._theirs: Mapping[MediaKind, int] = {}
        self._terms: dict[MediaKind, Limitable] = {}
        self.limit(MediaKind.VIDEO, bandwidth)

    @property
    def announced(self) -> int | None:
        """Our limit on video, in bit/s."""
        return self._ours.get(MediaKind.VIDEO)

    def hold(self, kind: MediaKind, terms: Limitable) -> None:
        """Keep them up with the limits, whatever they become."""
        self._terms[kind] = terms
        self._apply()

    def limit(self, kind: MediaKind, bandwidth: int) -> None:
        """Replace our limit, in kbit/s; 0: none.

        Raises:
            InvalidArgument: it is negative or too large.
        """
        check_bandwidth(bandwidth)
        self._ours[kind] = bandwidth * 1000 or None
        self._apply()

    def obey(self, sdp: str) -> None:
        """Replace the peer's limits by those that its description names."""
        self._theirs = told(sdp)
        self._apply()

    def _apply(self) -> None:
        for kind, terms in self._terms.items():
            named = [bits for bits in (self._ours.get(kind), self._theirs.get(kind)) if bits is not None]
            terms.limit = max(min(named), FLOOR[kind]) if named else None


class Limitable(Protocol):
    """What is held to a limit."""

    limit: int | None
    """Bits per second; None: no limit."""


class Limit(Protocol):
    """What an encoder keeps to."""

    @property
    def limit(self) -> int | None:
        """Bits per second; it may change at any time. None: no limit."""


def limited(encoder: Encoder, limit: Limit) -> Encoder:
    """The encoder behind one that keeps to the limit."""
    match encoder:
        case Vp8Encoder() | H264Encoder():
            return LimitedVideo(encoder, limit)
        case OpusEncoder():
            return LimitedOpus(encoder, limit)
        case _:
            return encoder  # the old telephone codecs have one bit rate each


class LimitedVideo(Encoder):
    """Encodes pictures within the limit: of less quality, and if that does not do, fewer."""

    def __init__(self, encoder: Vp8Encoder | H264Encoder, limit: Limit) -> None:
        self.target_bitrate = encoder.target_bitrate
        """Bits per second to make where the limit allows it."""
        self._encoder = encoder
        self._limit = limit
        self._budget = Budget()
        self._complete = False

    @property
    def most(self) -> int:
        """Bits per second above which this codec is not asked to go."""
        return _MOST[type(self._encoder)]

    def follow(self, other: LimitedVideo) -> None:
        """Be ahead of what another encoder of this codec has made: numbers of pictures only grow (RFC 7741, 4.2)."""
        ours, theirs = self._encoder, other._encoder
        if isinstance(ours, Vp8Encoder) and isinstance(theirs, Vp8Encoder):
            ahead = (theirs.picture_id - ours.picture_id) % PICTURE_IDS
            if ahead < PICTURE_IDS // 2:
                ours.picture_id = theirs.picture_id

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """The packets of one frame; none if there are no bits left for it."""
        assert isinstance(frame, VideoFrame), "this is a picture"
        limit = self._limit.limit
        self._aim(frame, limit)
        self._complete = self._complete or force_keyframe
        if not self._budget.affords(frame.time or 0.0, limit):
            return [], 0
        payloads, timestamp = self._encoder.encode(frame, self._complete)
        self._complete = False
        self._budget.spend(8 * sum(map(len, payloads)))
        return payloads, timestamp

    def pack(self, packet: Packet[Stream]) -> tuple[list[bytes], int]:
        """Packets of what is encoded already."""
        return self._encoder.pack(packet)

    def _aim(self, frame: VideoFrame, limit: int | None) -> None:
        encoder = self._encoder
        aim = self.target_bitrate if limit is None else min(self.target_bitrate, round(limit * AIM))
        setattr(encoder, _TARGETS[type(encoder)], aim)  # aiortc's own setter takes nothing small
        codec = encoder.codec
        if codec is None or (codec.width, codec.height, codec.bit_rate) != (frame.width, frame.height, aim):
            encoder.codec = _CONTEXTS[type(encoder)](frame.width, frame.height, aim)  # aiortc takes what is there


class Budget:
    """Counts what is sent against a limit, in the frames' own time: a leaky bucket (ITU-T I.371)."""

    def __init__(self) -> None:
        self._spent = 0.0
        """Bits that the limit did not yet make up for."""
        self._at: float | None = None

    def affords(self, at: float, limit: int | None) -> bool:
        """Whether a frame may be sent now, in seconds."""
        elapsed = 0.0 if self._at is None else max(0.0, at - self._at)
        self._at = at
        if limit is None:
            self._spent = 0.0
            return True
        self._spent = max(0.0, self._spent - limit * elapsed)
        return self._spent <= limit * BURST

    def spend(self, bits: int) -> None:
        """They are sent."""
        self._spent += bits


class LimitedOpus(Encoder):
    """Encodes sound within the limit."""

    def __init__(self, encoder: OpusEncoder, limit: Limit) -> None:
        """`encoder` is for sound that is not in blocks, and where there is no libopus but FFmpeg's."""
        self._encoder = encoder
        self._limit = limit
        self._bitrate = OPUS_BITRATE
        opus = rtc_opus.library()
        self._blocks = None if opus is None else rtc_opus.OpusEncoder(opus, OPUS_BITRATE)
        self._first: int | None = None

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """The packets of one frame."""
        bitrate = min(self._limit.limit or OPUS_BITRATE, OPUS_BITRATE)
        if bitrate != self._bitrate:
            self._bitrate = bitrate
            self._encoder.codec = OpusEncoder().codec  # the bit rate of one that is open cannot be changed
            self._encoder.codec.bit_rate = bitrate
            self._encoder.codec.options = {"application": "voip", "vbr": "off"}
            if self._blocks is not None:
                self._blocks.aim(bitrate, variable=bitrate == OPUS_BITRATE)
        if self._blocks is not None and isinstance(frame, AudioFrame) and is_block(frame):
            stamp = frame.pts or 0
            self._first = stamp if self._first is None else self._first
            return [self._blocks.encode(frame)], stamp - self._first
        return self._encoder.encode(frame, force_keyframe)

    def pack(self, packet: Packet[Stream]) -> tuple[list[bytes], int]:
        """Packets of what is encoded already."""
        return self._encoder.pack(packet)


def is_block(frame: AudioFrame) -> bool:
    """Whether it is as an encoder takes it."""
    return (
        frame.samples == AUDIO_BLOCK
        and frame.sample_rate == AUDIO_RATE
        and (frame.format.name, frame.layout.name) == ("s16", "stereo")
    )


# aiortc has no setting for bit rates.
_TARGETS = {Vp8Encoder: "_Vp8Encoder__target_bitrate", H264Encoder: "_H264Encoder__target_bitrate"}
_CONTEXTS = {Vp8Encoder: rtc_contexts.vp8, H264Encoder: rtc_contexts.h264}
_MOST = {Vp8Encoder: vpx.MAX_BITRATE, H264Encoder: h264.MAX_BITRATE}


def is_known() -> bool:
    """Whether aiortc's encoders are as in aiortc 1.16, the ones that we know."""
    try:
        return all(name in encoder.__init__.__code__.co_names for encoder, name in _TARGETS.items()) and (
            "picture_id" in Vp8Encoder.__init__.__code__.co_names
        )
    except AttributeError:
        return False
