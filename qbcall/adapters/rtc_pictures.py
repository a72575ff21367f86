"""Pictures of one peer: put together and decoded while somebody looks, and counted otherwise."""

from __future__ import annotations

import asyncio
from typing import Protocol

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from qbcall.adapters.rtc_decoding import PictureDecoder
from qbcall.adapters.rtc_format import Format
from qbcall.adapters.rtc_jitter import Picture, PictureBuffer, data_of
from qbcall.adapters.rtc_keyframes import size_of
from qbcall.adapters.rtc_missing import AT_FIRST, Wish
from qbcall.adapters.rtc_tap import Tap
from qbcall.adapters.rtc_thread import Worker
from qbcall.adapters.rtc_viewer import Received

LEAST_WAIT = 0.005
"""Seconds between two looks at what is missing."""


class Feedback(Protocol):
    """Tells the peer what is missing."""

    def need_picture(self, ssrc: int) -> None:
        """A complete picture (RFC 4585, section 6.3.1: PLI)."""

    def need_packets(self, ssrc: int, numbers: list[int]) -> None:
        """These packets (RFC 4585, section 6.2.1: NACK)."""


class Pictures:
    """Stands where aiortc's receiver has its buffer."""

    def __init__(self, received: Received, format: Format, thread: Worker, feedback: Feedback) -> None:
        self._received = received
        self._format = format
        self._thread = thread
        self._feedback = feedback
        self._ssrc: int | None = None
        self._seen: int | None = None
        """Time stamp of the latest packet: who looks is asked once for each picture."""
        self._stamp: int | None = None
        self._viewing: Viewing | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """A packet came. Aiortc is neither to ask for anything nor to decode it."""
        first, same = self._ssrc is None, (self._ssrc, self._seen) == (packet.ssrc, packet.timestamp)
        self._ssrc, self._seen = packet.ssrc, packet.timestamp
        viewing = self._viewing if same else self._view(packet.ssrc, first=first)
        if viewing is None or not viewing.decodes:
            self._note(packet)
        if viewing is not None:
            viewing.add(packet)
        return False, None

    def wake(self) -> None:
        """Somebody may want to look: ask for a picture now, and not only when the next packet comes."""
        viewing = None if self._ssrc is None else self._view(self._ssrc)
        if viewing is not None:
            viewing.tend()

    def close(self) -> None:
        """Deliver nothing more."""
        if self._viewing is not None:
            self._viewing.close()
            self._viewing = None

    def _view(self, ssrc: int, *, first: bool = False) -> Viewing | None:
        wanted, recorded = self._received.wanted, self._received.recorded
        if self._viewing is not None and (self._viewing.ssrc != ssrc or not (wanted or recorded)):
            self.close()
        if self._viewing is None and (wanted or recorded):
            self._viewing = Viewing(ssrc, self._received, self._format, self._thread, self._feedback)
            if first:  # a peer begins with a complete picture
                self._viewing.wish.wait(asyncio.get_running_loop().time() + AT_FIRST)
        if self._viewing is not None:
            self._viewing.look(decode=wanted, record=recorded)
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
    """As long as somebody looks or records: what is missing is asked for, and what is there is handed on."""

    def __init__(self, ssrc: int, received: Received, format: Format, thread: Worker, feedback: Feedback) -> None:
        self.ssrc = ssrc
        """Of the peer's pictures."""
        self.wish = Wish()
        """For a complete picture."""
        self._received = received
        self._format = format
        self._thread = thread
        self._feedback = feedback
        self._buffer = PictureBuffer(format.begins, format.opens)
        self._decoder: PictureDecoder | None = None
        self._behind = True
        """The decoder needs a complete picture; the buffer may have given one out before."""
        self._tap: Tap | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def decodes(self) -> bool:
        """Whether somebody looks."""
        return self._decoder is not None

    def look(self, *, decode: bool, record: bool) -> None:
        """Say what is wanted from now on."""
        if decode and self._decoder is None:
            self._decoder, self._behind = PictureDecoder(self._thread, self._received.hand_over), True
            self._decoder.failed = self._fail
        elif not decode and self._decoder is not None:
            self._decoder.close()
            self._decoder = None
        if record != (self._tap is not None):
            self._tap = Tap(self._received, self._format, self.ssrc) if record else None

    def add(self, packet: RtpPacket) -> None:
        """A packet came."""
        self._use(self._buffer.add(packet, self._loop.time()))
        self.tend()

    def tend(self) -> None:
        """Ask for what is missing, if it is time."""
        if not len(self._buffer.missing) and not self._incomplete:
            self.wish.fulfil()
            self._cancel()
            return
        now = self._loop.time()
        self._use(self._buffer.tend(now))
        if numbers := self._buffer.missing.due(now):
            self._feedback.need_packets(self.ssrc, numbers)
        if not self._incomplete:
            self.wish.fulfil()
        elif self.wish.due(now):
            self._feedback.need_picture(self.ssrc)
        self._arm(now)

    def close(self) -> None:
        """Ask for nothing and decode nothing more."""
        self.look(decode=False, record=False)
        self._cancel()

    @property
    def _incomplete(self) -> bool:
        """Whether a complete picture is needed."""
        return (
            self._buffer.incomplete
            or (self._decoder is not None and self._behind)
            or (self._tap is not None and self._tap.behind)
        )

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, now: float) -> None:
        """Look again when the next request is due."""
        self._cancel()
        times = (self._buffer.missing.next_at, self.wish.next_at if self._incomplete else None)
        at = min((time for time in times if time is not None), default=None)
        if at is not None:
            self._timer = self._loop.call_at(max(at, now + LEAST_WAIT), self.tend)

    def _use(self, pictures: list[Picture]) -> None:
        if self._decoder is not None:
            self._received.drop(self._buffer.dropped)
        self._buffer.dropped = 0
        for picture in pictures:
            if self._tap is not None:
                self._tap.take(picture.payload_type, picture.timestamp, picture.data)
            if self._decoder is not None:
                self._decode(self._decoder, picture)

    def _decode(self, decoder: PictureDecoder, picture: Picture) -> None:
        self._behind &= not self._format.begins(picture.payload_type, picture.data)
        self._behind |= decoder.full
        if self._behind:
            self._received.drop(1)
        else:
            frame = JitterFrame(picture.data, self._format.origin(picture.timestamp))
            decoder.decode(self._format.codecs[picture.payload_type], frame)

    def _fail(self) -> None:
        """One could not be decoded; those that build on it would show rubbish."""
        self._behind = True
        self._received.drop(1)
        self.tend()
