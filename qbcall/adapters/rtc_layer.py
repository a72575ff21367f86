"""One encoder of pictures of one size: its rate, its complete pictures, and what a peer that comes now is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

import av
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_encoder
from aiortc.codecs.vpx import vp8_depayload
from aiortc.rtcrtpsender import RTCEncodedFrame
from av.video.frame import PictureType
from av.video.reformatter import Interpolation

from qbcall.adapters.rtc_bitrate import LimitedVideo, limited
from qbcall.adapters.rtc_contexts import VIDEO_CLOCK
from qbcall.adapters.rtc_demand import START, Completions, Ladder
from qbcall.adapters.rtc_share import Cap, Encoded, Terms, least_limit
from qbcall.adapters.rtc_thread import Done, Worker

Made = Encoded | Exception | None
"""What came of a picture; None: it is left out, as there are no bits for it."""


class Layer:
    """One encoder, whose pictures some of the peers get."""

    def __init__(self, codec: RTCRtpCodecParameters, divisor: int = 1) -> None:
        """`divisor` is that of the picture's width and height."""
        self.rate = START
        """Bits per second that are aimed at now."""
        self.completions = Completions()
        self.recent: list[Encoded] = []
        """The latest complete picture and those after it, for peers that come before there may be another."""
        self._divisor = divisor
        self._cap = Cap()
        encoder = limited(get_encoder(codec), self._cap)
        assert isinstance(encoder, LimitedVideo), "all codecs for pictures have a rate"
        self._encoder = encoder
        self._ladder = Ladder(encoder.most)
        self._is_complete = COMPLETE[codec.mimeType.lower()]
        self._loop = asyncio.get_running_loop()

    @property
    def most(self) -> int:
        """Bits per second above which the codec is not asked to go."""
        return self._encoder.most

    def follow(self, other: Layer) -> None:
        """Somebody who saw the other's pictures will see these, from the next complete one on."""
        self._encoder.follow(other._encoder)

    def encode(
        self, frame: av.VideoFrame, stamp: int, takers: Sequence[Terms], worker: Worker, then: Callable[[Made], None]
    ) -> None:
        """Have this picture encoded as its takers can take it; `then` is told when it is."""
        now = self._loop.time()
        asked = [terms.demand.bits for terms in takers]
        wanted = min((bits for bits in asked if bits is not None), default=START)
        self.rate = self._encoder.target_bitrate = self._ladder.climb(now, wanted)
        self._cap.limit = least_limit(takers)
        complete = self.completions.are_due(now)
        worker.do(partial(self._work, frame, stamp, complete, then))

    def _work(self, frame: av.VideoFrame, stamp: int, complete: bool, then: Callable[[Made], None]) -> Done:
        """In a thread."""
        try:
            picture = frame if self._divisor == 1 else shrunk(frame, self._divisor)
            payloads = encode_picture(self._encoder, picture, stamp, complete)
            if not payloads:
                return partial(then, None)
            data = RTCEncodedFrame(payloads, stamp, None)  # type: ignore[arg-type]  # as aiortc does itself
            encoded = Encoded(picture, data, self._is_complete(payloads))
        except Exception as error:
            return partial(then, error)
        return partial(self._done, encoded, then)

    def _done(self, encoded: Encoded, then: Callable[[Made], None]) -> None:
        self._remember(encoded)
        then(encoded)

    def _remember(self, encoded: Encoded) -> None:
        now = self._loop.time()
        if encoded.complete:
            self.completions.made(now)
            self.recent = []
        if self.completions.is_recent(now):
            self.recent.append(encoded)
        else:
            self.recent = []


def shrunk(frame: av.VideoFrame, divisor: int) -> av.VideoFrame:
    """A smaller picture; its width and height are even, as codecs want them."""
    width, height = (max(length // divisor // 2 * 2, 2) for length in (frame.width, frame.height))
    return frame.reformat(width, height, "yuv420p", interpolation=Interpolation.BILINEAR)


def encode_picture(encoder: LimitedVideo, frame: av.VideoFrame, stamp: int, complete: bool) -> list[bytes]:
    """The packets of one picture, which is left as it was. Called in a thread."""
    picture = frame.reformat(format="yuv420p")
    before = picture.pts, picture.time_base, picture.pict_type
    picture.pts, picture.time_base, picture.pict_type = stamp, Fraction(1, VIDEO_CLOCK), PictureType.NONE
    try:
        return encoder.encode(picture, complete)[0]
    finally:
        picture.pts, picture.time_base, picture.pict_type = before


def vp8_is_complete(payloads: list[bytes]) -> bool:
    """Whether it is a key frame (RFC 6386, section 9.1)."""
    return not vp8_depayload(payloads[0])[0] & 1


def h264_is_complete(payloads: list[bytes]) -> bool:
    """Whether one of its NAL units belongs to a key frame, by their types (RFC 6184, sections 5.2 to 5.8)."""
    return any(_nal_type(payload) in (NAL_IDR, NAL_SPS) for payload in payloads)


def _nal_type(payload: bytes) -> int:
    """That of the packet's first NAL unit: it stands behind the header of an aggregation or fragment."""
    return payload[NAL_AT.get(payload[0] & 0x1F, 0)] & 0x1F


NAL_IDR, NAL_SPS = 5, 7
NAL_AT = {24: 3, 28: 1}
COMPLETE = {"video/vp8": vp8_is_complete, "video/h264": h264_is_complete}
