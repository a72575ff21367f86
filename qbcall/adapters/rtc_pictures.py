"""Pictures of one peer: put together and decoded while somebody looks, and counted otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aiortc import RTCRtpCodecParameters
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from qbcall.adapters.rtc_decoding import DecoderThread, PictureDecoder
from qbcall.adapters.rtc_jitter import Picture, PictureBuffer, data_of
from qbcall.adapters.rtc_keyframes import is_complete, opens_complete, size_of
from qbcall.adapters.rtc_missing import AT_FIRST, Wish
from qbcall.adapters.rtc_viewer import Received

LEAST_WAIT = 0.005
"""Seconds between two looks at what is missing."""


@dataclass(frozen=True, slots=True)
class Format:
    """What was agreed with the peer."""

    codecs: Mapping[int, RTCRtpCodecParameters]
    """By payload type."""
    origin: Callable[[int], int]
    """Maps RTP time stamps to those that begin with 0 and do not wrap."""

    def begins(self, payload_type: int, data: bytes) -> bool:
        """Whether a decoder can begin with this picture."""
        return is_complete(self.codecs[payload_type].name, data)

    def opens(self, payload_type: int, data: bytes) -> bool:
        """Whether this is the first packet of such a picture."""
        return opens_complete(self.codecs[payload_type].name, data)


class Feedback(Protocol):
    """Tells the peer what is missing."""

    def need_picture(self, ssrc: int) -> None:
        """A complete picture (RFC 4585, section 6.3.1: PLI)."""

    def need_packets(self, ssrc: int, numbers: list[int]) -> None:
        """These packets (RFC 4585, section 6.2.1: NACK)."""


class Pictures:
    """Stands where aiortc's receiver has its buffer."""

    def __init__(self, received: Received, format: Format, thread: DecoderThread, feedback: Feedback) -> None:
        self._received = received
        self._format = format
        self._thread = thread
        self._feedback = feedback
        self._ssrc: int | None = None
        self._stamp: int | None = None
        self._viewing: Viewing | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """A packet came. Aiortc is neither to ask for anything nor to decode it."""
        first, self._ssrc = self._ssrc is None, packet.ssrc
        if self._received.wanted:
            self._view(packet.ssrc, first=first).add(packet)
        else:
            self.close()
            self._note(packet)
        return False, None

    def wake(self) -> None:
        """Somebody may want to look: ask for a picture now, and not only when the next packet comes."""
        if self._ssrc is not None and self._received.wanted:
            self._view(self._ssrc).tend()

    def close(self) -> None:
        """Deliver nothing more."""
        if self._viewing is not None:
            self._viewing.close()
            self._viewing = None

    def _view(self, ssrc: int, *, first: bool = False) -> Viewing:
        if self._viewing is None or self._viewing.ssrc != ssrc:
            self.close()
            decoder = PictureDecoder(self._thread, self._received.hand_over)
            self._viewing = Viewing(ssrc, self._format, decoder, self._feedback, self._received.drop)
            if first:  # a peer begins with a complete picture
                self._viewing.wish.wait(asyncio.get_running_loop().time() + AT_FIRST)
        return self._viewing

    def _note(self, packet: RtpPacket) -> None:
        """Count a picture that nobody wants, at its first packet."""
        if packet.timestamp == self._stamp or not data_of(packet):
            return
        self._stamp = packet.timestamp
        name = self._format.codecs[packet.payload_type].name
        self._received.size = size_of(name, data_of(packet)) or self._received.size
        self._received.pass_by()


class Viewing:
    """As long as somebody looks: what is missing is asked for, and what is there is decoded."""

    def __init__(
        self,
        ssrc: int,
        format: Format,
        decoder: PictureDecoder,
        feedback: Feedback,
        drop: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`drop` is told how many pictures came that are not decoded."""
        self.ssrc = ssrc
        """Of the peer's pictures."""
        self.wish = Wish()
        """For a complete picture."""
        self._format = format
        self._decoder = decoder
        self._feedback = feedback
        self._drop = drop
        self._buffer = PictureBuffer(format.begins, format.opens)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        decoder.failed = self._fail

    def add(self, packet: RtpPacket) -> None:
        """A packet came."""
        self._decode(self._buffer.add(packet, self._loop.time()))
        self.tend()

    def tend(self) -> None:
        """Ask for what is missing, if it is time."""
        now = self._loop.time()
        self._decode(self._buffer.tend(now))
        if numbers := self._buffer.missing.due(now):
            self._feedback.need_packets(self.ssrc, numbers)
        if not self._buffer.incomplete:
            self.wish.fulfil()
        elif self.wish.due(now):
            self._feedback.need_picture(self.ssrc)
        self._arm(now)

    def close(self) -> None:
        """Ask for nothing and decode nothing more."""
        self._decoder.close()
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, now: float) -> None:
        """Look again when the next request is due."""
        self._cancel()
        times = (self._buffer.missing.next_at, self.wish.next_at if self._buffer.incomplete else None)
        at = min((time for time in times if time is not None), default=None)
        if at is not None:
            self._timer = self._loop.call_at(max(at, now + LEAST_WAIT), self.tend)

    def _decode(self, pictures: list[Picture]) -> None:
        self._drop(self._buffer.dropped)
        self._buffer.dropped = 0
        for place, picture in enumerate(pictures):
            if self._decoder.full:
                self._buffer.incomplete = True
                self._drop(len(pictures) - place)
                return
            frame = JitterFrame(picture.data, self._format.origin(picture.timestamp))
            self._decoder.decode(self._format.codecs[picture.payload_type], frame)

    def _fail(self) -> None:
        """One could not be decoded; those that build on it would show rubbish."""
        self._buffer.incomplete = True
        self._drop(1)
        self.tend()
