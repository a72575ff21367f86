"""One encoder for each stream and codec, whose packets go to all peers that agreed on that codec.

aiortc encodes for each peer anew: three times the work for the same picture in a call of four. What differs from
peer to peer (SSRC, sequence numbers, origin of the time stamps, repetition, reports) stays with aiortc's senders:
they take what is made and packetized here, in place of what they would encode themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import av
import numpy as np
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_encoder
from aiortc.codecs.base import Encoder
from aiortc.rtcrtpsender import RTCEncodedFrame

from qbcall.adapters.rtc_bitrate import OPUS_BITRATE, limited
from qbcall.adapters.rtc_encoding import Encoding
from qbcall.adapters.rtc_share import Cap, Encoded, Feed, LocalMedia, Outlet, Share, Take, Terms, least_limit
from qbcall.adapters.rtc_thread import Worker
from qbcall.adapters.rtc_video import VideoEncoding
from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame

FULL_SCALE = 32_767
SILENCE = -127
"""dBov of no sound (RFC 6465, section 4)."""


class SoundEncoding(Encoding):
    """Encodes sound, on the event loop: a block takes less time than it takes to hand it to a thread."""

    def __init__(self, codec: RTCRtpCodecParameters, outlet: Outlet, over: Callable[[Encoding], None]) -> None:
        super().__init__(outlet, over)
        self._cap = Cap()
        self._encoder: Encoder = limited(get_encoder(codec), self._cap)

    def ask(self, share: Share) -> None:
        """Every block of sound can be decoded on its own."""

    def rate_of(self, share: Share) -> int:
        """Bits per second at most; sound does not follow what peers can take."""
        return OPUS_BITRATE

    def _encode(self, frame: Frame) -> None:
        assert isinstance(frame, av.AudioFrame), "this is sound"
        audience = self._audience
        if not audience:
            return
        self._cap.limit = least_limit([share.terms for share in audience])
        payloads, timestamp = self._encoder.encode(frame)
        if payloads:
            encoded = Encoded(frame, RTCEncodedFrame(payloads, timestamp, dbov(frame)))
            for share in tuple(self._shares):
                share.put(encoded)


def dbov(block: av.AudioFrame) -> int:
    """Loudness of 16 bit samples, from -127 to 0 (RFC 6464, section 3; RFC 6465, appendix A)."""
    # A view: for each block, an array that is made costs more than all else here.
    whole = np.frombuffer(block.planes[0], np.int16)  # type: ignore[call-overload]  # a buffer, with a rest behind it
    samples = whole[: block.samples * block.layout.nb_channels].astype(np.float32)
    power = float(samples @ samples) / max(samples.size, 1) / FULL_SCALE**2
    return SILENCE if power <= 0 else round(min(max(10 * math.log10(power), SILENCE), 0))


class SharedStream:
    """One kind of media that is sent, encoded once for each codec that peers agreed on."""

    def __init__(self, kind: MediaKind, outlet: Outlet, worker: Worker) -> None:
        """`worker` encodes pictures, one after the other: encoders write into them."""
        self.kind = kind
        self._outlet = outlet
        self._worker = worker
        self._encodings: dict[str, Encoding] = {}

    def share(self, codec: RTCRtpCodecParameters, terms: Terms, take: Take) -> Share:
        """What one more peer gets."""
        name = codec.mimeType.lower()
        if name not in self._encodings:
            self._encodings[name] = self._start(codec)
        return self._encodings[name].join(terms, take)

    def subscribe(self) -> Feed:
        """The frames themselves, for one peer."""
        return self._outlet.subscribe()

    def _start(self, codec: RTCRtpCodecParameters) -> Encoding:
        if self.kind is MediaKind.AUDIO:
            return SoundEncoding(codec, self._outlet, self._forget)
        return VideoEncoding(codec, self._outlet, self._forget, self._worker)

    def _forget(self, over: Encoding) -> None:
        self._encodings = {name: one for name, one in self._encodings.items() if one is not over}


class SharedMedia:
    """What this user sends in one call, to all peers."""

    def __init__(self, local: LocalMedia | None, worker: Worker) -> None:
        """None: nothing is sent. `worker` encodes pictures."""
        outlets = {} if local is None else {MediaKind.AUDIO: local.audio, MediaKind.VIDEO: local.video}
        self._streams = {
            kind: SharedStream(kind, outlet, worker) for kind, outlet in outlets.items() if outlet is not None
        }

    def stream(self, kind: MediaKind) -> SharedStream | None:
        """The part of this kind; None: it is not sent, but may be received."""
        return self._streams.get(kind)
