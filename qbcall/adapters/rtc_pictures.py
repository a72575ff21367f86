"""Pictures of one peer: put together and decoded while somebody looks, and counted otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from aiortc import RTCRtpCodecParameters
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from qbcall.adapters.rtc_decoding import DecoderThread, PictureDecoder
from qbcall.adapters.rtc_jitter import PromptBuffer, data_of
from qbcall.adapters.rtc_keyframes import is_complete, size_of
from qbcall.adapters.rtc_viewer import Received

REPEAT_AFTER = 0.3
"""Seconds between two requests for a complete picture."""


class Pictures:
    """Stands where aiortc's receiver has its buffer."""

    def __init__(
        self,
        received: Received,
        codecs: Mapping[int, RTCRtpCodecParameters],
        origin: Callable[[int], int],
        thread: DecoderThread,
        *,
        request: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`origin` maps RTP time stamps to those that begin with 0; `request` asks an SSRC for a complete picture."""
        self._received = received
        self._codecs = codecs
        self._origin = origin
        self._thread = thread
        self._request = request
        self._clock = clock
        self._ssrc: int | None = None
        self._stamp: int | None = None
        self._asked_at: float | None = None
        self._incomplete = False
        self._buffer: PromptBuffer | None = None
        self._decoder: PictureDecoder | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """A packet came; whether aiortc is to ask for a complete picture, which it is not to decode."""
        self._ssrc = packet.ssrc
        if not self._received.wanted:
            self._stop()
            self._note(packet)
            return False, None
        if self._buffer is None:
            self._start()
        assert self._buffer is not None, "started"
        lost, _ = self._buffer.add(packet)
        if lost:
            self._incomplete = True
        self._ask_again()
        return False, None

    def wake(self) -> None:
        """Somebody may want to look: ask for a picture now, and not only when the next packet comes."""
        if self._ssrc is not None and self._buffer is None and self._received.wanted:
            self._start()
            self._ask_again()

    def close(self) -> None:
        """Deliver nothing more."""
        self._stop()

    # -- details -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._buffer = PromptBuffer(self._take)
        self._decoder = PictureDecoder(self._thread, self._received.hand_over, self._fail)
        self._incomplete = True
        # The first picture of a call is complete: nobody has to be asked for it.
        self._asked_at = self._clock() if self._stamp is None else None

    def _stop(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
        self._buffer = self._decoder = None

    def _note(self, packet: RtpPacket) -> None:
        """Count a picture that nobody wants, at its first packet."""
        if packet.timestamp == self._stamp or not data_of(packet):
            return
        self._stamp = packet.timestamp
        codec = self._codecs[packet.payload_type]
        self._received.size = size_of(codec.name, data_of(packet)) or self._received.size
        self._received.pass_by()

    def _take(self, payload_type: int, frame: JitterFrame) -> None:
        """A picture is there."""
        assert self._decoder is not None, "only while somebody looks"
        self._stamp = frame.timestamp
        codec = self._codecs[payload_type]
        if self._incomplete and not is_complete(codec.name, frame.data):
            return
        self._incomplete = self._decoder.full
        if not self._incomplete:
            frame.timestamp = self._origin(frame.timestamp)
            self._decoder.decode(codec, frame)

    def _fail(self) -> None:
        """One could not be decoded; those that build on it would show rubbish."""
        self._incomplete = True
        self._ask_again()

    def _ask_again(self) -> None:
        if not self._incomplete or self._ssrc is None:
            return
        now = self._clock()
        if self._asked_at is None or now - self._asked_at >= REPEAT_AFTER:
            self._asked_at = now
            self._request(self._ssrc)
