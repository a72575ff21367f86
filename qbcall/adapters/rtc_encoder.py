"""One encoder for each stream and codec, whose packets go to all peers that agreed on that codec.

aiortc encodes for each peer anew: three times the work for the same picture in a call of four. What differs from
peer to peer (SSRC, sequence numbers, origin of the time stamps, repetition, reports) stays with aiortc's senders:
they take what is made and packetized here, in place of what they would encode themselves.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_encoder
from aiortc.codecs.base import Encoder
from aiortc.codecs.vpx import vp8_depayload
from aiortc.rtcrtpsender import RTCEncodedFrame
from av.video.frame import PictureType

from qbcall.adapters.rtc_bitrate import LimitedVideo, limited
from qbcall.adapters.rtc_contexts import VIDEO_CLOCK
from qbcall.adapters.rtc_demand import START, Completions, Ladder
from qbcall.adapters.rtc_share import Encoded, LocalMedia, Outlet, Share, Terms
from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame

log = logging.getLogger("qbcall.adapters.rtc")

REPEAT_AFTER = 0.02
"""Seconds that a request for a complete picture waits for the next picture; then the latest is encoded once more."""
SILENCE = -127
"""dBov of no sound (RFC 6465, section 4)."""


@dataclass(slots=True)
class Cap:
    """What an encoder may make at most."""

    limit: int | None = None
    """Bits per second; None: no limit."""


class Encoding(ABC):
    """One encoder at work, as long as anybody has a share of what it makes."""

    rate = START
    """Bits per second that are aimed at now."""

    def __init__(self, outlet: Outlet, over: Callable[[Encoding], None]) -> None:
        """`over` is told once, when nobody has a share any more or there is nothing more to encode."""
        self._over = over
        self._cap = Cap()
        self._shares: list[Share] = []
        self._complained = False
        self._encodes = False
        self._ended = False
        self._feed = outlet.subscribe()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="qbcall-encode")

    def join(self, terms: Terms) -> Share:
        """A share for one more peer."""
        share = Share(self, terms)
        self._shares.append(share)
        return share

    def leave(self, share: Share) -> None:
        """Told by a share: it is closed. The last one ends all."""
        if share in self._shares:
            self._shares.remove(share)
            if not self._shares:
                self._end()

    @abstractmethod
    def ask(self) -> None:
        """A peer needs what can be decoded on its own."""

    @abstractmethod
    async def _encode(self, frame: Frame) -> None:
        """Encode a frame and hand it out."""

    @property
    def _audience(self) -> list[Share]:
        """The shares of those who may be sent anything."""
        return [share for share in self._shares if share.terms.enabled()]

    @property
    def _limit(self) -> int | None:
        """The least of the agreed limits."""
        limits = [share.terms.limit for share in self._audience]
        return min((limit for limit in limits if limit is not None), default=None)

    def _hand_out(self, encoded: Encoded) -> None:
        for share in self._shares:
            share.put(encoded)

    async def _run(self) -> None:
        while not self._ended:
            try:
                frame = await self._feed.recv()
            except Exception as error:
                log.debug("nothing more to send: %r", error)
                break
            self._encodes = True
            await self._try(self._encode(frame))
            self._encodes = False
        self._end()

    async def _try(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            if not self._complained:
                log.exception("a frame could not be encoded (told once)")
            self._complained = True

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._feed.close()
        self._over(self)
        if not self._encodes:  # what is in a thread cannot be stopped, and must not be left alone with its frame
            self._task.cancel()
        shares, self._shares = self._shares, []
        for share in shares:
            share.end()


class SoundEncoding(Encoding):
    """Encodes sound, on the event loop: a block takes less time than it takes to hand it to a thread."""

    def __init__(self, codec: RTCRtpCodecParameters, outlet: Outlet, over: Callable[[Encoding], None]) -> None:
        super().__init__(outlet, over)
        self._encoder: Encoder = limited(get_encoder(codec), self._cap)

    def ask(self) -> None:
        """Every block of sound can be decoded on its own."""

    async def _encode(self, frame: Frame) -> None:
        assert isinstance(frame, av.AudioFrame), "this is sound"
        if not self._audience:
            return
        self._cap.limit = self._limit
        payloads, timestamp = self._encoder.encode(frame)
        if payloads:
            self._hand_out(Encoded(frame, RTCEncodedFrame(payloads, timestamp, dbov(frame))))


class VideoEncoding(Encoding):
    """Encodes pictures, in a thread."""

    def __init__(
        self,
        codec: RTCRtpCodecParameters,
        outlet: Outlet,
        over: Callable[[Encoding], None],
        turn: asyncio.Lock,
    ) -> None:
        """`turn` is taken to encode any of this outlet's frames: encoders write into them."""
        super().__init__(outlet, over)
        encoder = limited(get_encoder(codec), self._cap)
        assert isinstance(encoder, LimitedVideo), "all codecs for pictures have a rate"
        self._encoder = encoder
        self._is_complete = COMPLETE[codec.mimeType.lower()]
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._ladder = Ladder(encoder.most)
        self._completions = Completions()
        self._recent: list[Encoded] = []
        """The latest complete picture and those after it, for peers that come before there may be another."""
        self._latest: tuple[av.VideoFrame, int, float] | None = None
        """With its time stamp, and when it came."""
        self._stamp = -1
        self._reminder: asyncio.TimerHandle | None = None
        self._repeating: asyncio.Task[None] | None = None

    def join(self, terms: Terms) -> Share:
        """A share for one more peer, which sees a picture at once."""
        share = super().join(terms)
        if self._completions.is_recent(self._loop.time()):
            for encoded in self._recent:
                share.put(encoded)
        if share.incomplete:
            self.ask()
        return share

    def ask(self) -> None:
        """A peer needs a complete picture."""
        self._completions.ask()
        self._remind()

    def _remind(self) -> None:
        wait = self._completions.wait(self._loop.time())
        if wait is not None and self._reminder is None:
            self._reminder = self._loop.call_later(max(wait, REPEAT_AFTER), self._repeat_if_needed)

    def _repeat_if_needed(self) -> None:
        self._reminder = None
        if self._turn.locked():
            self._remind()  # the picture at work may be the one
        elif self._completions.are_due(self._loop.time()) and self._latest is not None:
            work = self._try(self._repeat(*self._latest))
            self._repeating = self._loop.create_task(work, name="qbcall-encode-again")

    async def _repeat(self, frame: av.VideoFrame, stamp: int, came: float) -> None:
        async with self._turn:
            if self._completions.are_due(self._loop.time()):
                await self._make(frame, stamp + round((self._loop.time() - came) * VIDEO_CLOCK))

    async def _encode(self, frame: Frame) -> None:
        assert isinstance(frame, av.VideoFrame), "this is a picture"
        assert frame.pts is not None, "what is sent has time stamps"
        assert frame.time_base is not None, "what is sent has time stamps"
        stamp = round(frame.pts * frame.time_base * VIDEO_CLOCK)
        self._latest = frame, stamp, self._loop.time()
        async with self._turn:
            await self._make(frame, stamp)

    async def _make(self, frame: av.VideoFrame, stamp: int) -> None:
        audience, now = self._audience, self._loop.time()
        if not audience:
            return
        if any(share.incomplete for share in audience):
            self._completions.ask()
        self._stamp = max(stamp, self._stamp + 1)
        complete = self._completions.are_due(now)
        asked = [share.terms.demand.bits for share in audience]
        wanted = min((bits for bits in asked if bits is not None), default=START)
        self.rate = self._encoder.target_bitrate = self._ladder.climb(now, wanted)
        self._cap.limit = self._limit
        payloads = await self._loop.run_in_executor(None, encode_picture, self._encoder, frame, self._stamp, complete)
        if payloads:
            data = RTCEncodedFrame(payloads, self._stamp, None)  # type: ignore[arg-type]  # as aiortc does itself
            self._hand_out(Encoded(frame, data, self._is_complete(payloads)))

    def _hand_out(self, encoded: Encoded) -> None:
        now = self._loop.time()
        if encoded.complete:
            self._completions.made(now)
            self._recent = []
        if self._completions.is_recent(now):
            self._recent.append(encoded)
        else:
            self._recent = []
        super()._hand_out(encoded)

    def _end(self) -> None:
        super()._end()
        self._recent, self._latest = [], None
        if self._reminder is not None:
            self._reminder.cancel()


def encode_picture(encoder: LimitedVideo, frame: av.VideoFrame, stamp: int, complete: bool) -> list[bytes]:
    """The packets of one picture, which is left as it was. Called in the thread."""
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


def dbov(block: av.AudioFrame) -> int:
    """Loudness of 16 bit samples, from -127 to 0 (RFC 6464, section 3; RFC 6465, appendix A)."""
    samples = block.to_ndarray().astype(np.float64) / np.iinfo(np.int16).max
    power = float(np.mean(np.square(samples))) if samples.size else 0.0
    return SILENCE if power <= 0 else round(min(max(10 * np.log10(power), SILENCE), 0))


class SharedStream:
    """One kind of media that is sent, encoded once for each codec that peers agreed on."""

    def __init__(self, kind: MediaKind, outlet: Outlet) -> None:
        self.kind = kind
        self._outlet = outlet
        self._encodings: dict[str, Encoding] = {}
        self._turn = asyncio.Lock()

    def share(self, codec: RTCRtpCodecParameters, terms: Terms) -> Share:
        """What one more peer gets."""
        name = codec.mimeType.lower()
        if name not in self._encodings:
            self._encodings[name] = self._start(codec)
        return self._encodings[name].join(terms)

    def _start(self, codec: RTCRtpCodecParameters) -> Encoding:
        if self.kind is MediaKind.AUDIO:
            return SoundEncoding(codec, self._outlet, self._forget)
        return VideoEncoding(codec, self._outlet, self._forget, self._turn)

    def _forget(self, over: Encoding) -> None:
        self._encodings = {name: one for name, one in self._encodings.items() if one is not over}


class SharedMedia:
    """What this user sends in one call, to all peers."""

    def __init__(self, local: LocalMedia | None) -> None:
        """None: nothing is sent."""
        outlets = {} if local is None else {MediaKind.AUDIO: local.audio, MediaKind.VIDEO: local.video}
        self._streams = {kind: SharedStream(kind, outlet) for kind, outlet in outlets.items() if outlet is not None}

    def stream(self, kind: MediaKind) -> SharedStream | None:
        """The part of this kind; None: it is not sent, but may be received."""
        return self._streams.get(kind)
