"""Decodes received pictures in a thread, and sound where it is: a block of Opus takes less time than the way there.

aiortc has a thread for each track, which decodes whatever comes in, and queues without limits on both sides of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import av
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_decoder
from aiortc.codecs.base import Decoder
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame

from qbcall.adapters.rtc_keyframes import is_too_large
from qbcall.adapters.rtc_thread import Done, Worker
from qbcall.media.encoded import MOST_PIXELS
from qbcall.media.frames import Frame

log = logging.getLogger("qbcall.adapters.rtc")

MOST_WAITING = 15
"""Pictures of one peer that may wait for the thread or for the event loop; half a second."""


class PictureDecoder:
    """Decodes the pictures of one peer, from a complete one on."""

    def __init__(self, thread: Worker, deliver: Callable[[Frame], None]) -> None:
        """`deliver` takes each picture, on the event loop."""
        self.failed: Callable[[], None] = lambda: None
        """Told of each that cannot be decoded, on the event loop."""
        self._thread = thread
        self._deliver = deliver
        self._decoder = LazyDecoder()
        self._waiting = 0
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether the machine is too slow: too much waits already."""
        return self._waiting >= MOST_WAITING

    def decode(self, codec: RTCRtpCodecParameters, frame: JitterFrame) -> None:
        """Decode it soon."""
        self._waiting += 1
        self._thread.do(partial(self._decode, codec, frame))

    def close(self) -> None:
        """Deliver nothing more."""
        self._closed = True

    def _decode(self, codec: RTCRtpCodecParameters, frame: JitterFrame) -> Done:
        pictures = None if self._closed else self._decoder.decode(codec, frame)
        return partial(self._done, pictures)

    def _done(self, pictures: list[Frame] | None) -> None:
        self._waiting -= 1
        if self._closed:
            return
        if pictures is None:
            self.failed()
            return
        for picture in pictures:
            self._deliver(picture)


class LazyDecoder:
    """The decoder of what comes in; another one when the peer changes the codec."""

    def __init__(self) -> None:
        self._codec: RTCRtpCodecParameters | None = None
        self._decoder: Decoder | None = None

    def decode(self, codec: RTCRtpCodecParameters, frame: JitterFrame) -> list[Frame] | None:
        """What is in it; None: it cannot be decoded."""
        try:
            if is_too_large(codec.name, frame.data):
                return None
            if self._decoder is None or codec is not self._codec:
                self._codec, self._decoder = codec, decoder_of(codec)
            decoded = self._decoder.decode(frame)
        except Exception as error:  # strangers write what is decoded, and FFmpeg raises many things
            log.debug("a %s frame cannot be decoded: %r", codec.name, error)
            return None
        return [one for one in decoded if isinstance(one, (av.VideoFrame, av.AudioFrame))]


def decoder_of(codec: RTCRtpCodecParameters) -> Decoder:
    """Aiortc's decoder, without threads of its own: each waits longer for them than they save.

    VP8 is decoded by FFmpeg itself: that takes two thirds of libvpx' time, as it copies no pictures.

    Raises:
        ValueError: aiortc has none.
    """
    decoder = get_decoder(codec)
    if isinstance(decoder, Vp8Decoder):
        decoder.codec = av.VideoCodecContext.create("vp8", "r")
    context = vars(decoder).get("codec")
    if isinstance(context, av.VideoCodecContext):
        context.thread_count = 1
        context.options = {"max_pixels": str(MOST_PIXELS)}
    return decoder
