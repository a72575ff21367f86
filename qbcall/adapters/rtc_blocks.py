"""Blocks of sound out of packets: decoded, and made up where packets were lost."""

from __future__ import annotations

import av
from aiortc import RTCRtpCodecParameters
from aiortc.jitterbuffer import JitterFrame

from qbcall.adapters.rtc_decoding import LazyDecoder
from qbcall.adapters.rtc_opus import OpusDecoder, library
from qbcall.media.frames import Frame

OPUS = "audio/opus"
"""RFC 7587, section 6.1."""
BLOCK = 960
"""Samples in a packet of most senders: 20 ms (RFC 7587, section 4.2)."""
MOST_MADE_UP = 5 * BLOCK
"""Samples that are made up at most: it fades out, and a longer pause is one."""


class Blocks:
    """Decodes the packets of one stream, in their order."""

    def __init__(self) -> None:
        self._other = LazyDecoder()
        self._opus: OpusDecoder | None = None
        self._end: int | None = None
        """Time stamp at which the last block ended."""

    def decode(self, codec: RTCRtpCodecParameters, data: bytes, stamp: int, *, lost: bool) -> tuple[list[Frame], int]:
        """The blocks up to and with this packet, and how many of them are made up.

        Args:
            codec: of the packet.
            data: what is in it.
            stamp: its time stamp.
            lost: packets before it are missing. If none is, a pause was one of the speaker (DTX, RFC 7587 section
                3.1.3).
        """
        opus = library() if codec.mimeType.lower() == OPUS else None
        if opus is None:
            return self._other.decode(codec, JitterFrame(data, stamp)) or [], 0
        if self._opus is None:
            self._opus = OpusDecoder(opus)
        samples = self._opus.samples(data)
        if not samples:
            return [], 0
        made_up = self._made_up(self._opus, data, samples, stamp) if lost else []
        block = self._opus.decode(data, samples, stamp)
        self._end = stamp + samples
        return [*made_up, *([block] if block is not None else [])], len(made_up)

    def _made_up(self, opus: OpusDecoder, data: bytes, samples: int, stamp: int) -> list[av.AudioFrame]:
        missing = 0 if self._end is None else stamp - self._end
        if self._end is None or not 0 < missing <= MOST_MADE_UP or missing % (BLOCK // 8):
            return []
        blocks: list[av.AudioFrame | None] = []
        at = self._end
        while stamp - at > samples:
            size = min(BLOCK, stamp - at - samples)
            blocks.append(opus.conceal(size, at))
            at += size
        blocks.append(opus.recover(data, stamp - at, at))
        return [block for block in blocks if block is not None]
