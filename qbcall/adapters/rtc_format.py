"""What was agreed with a peer about one kind of media."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiortc import RTCRtpCodecParameters

from qbcall.adapters.rtc_keyframes import is_complete, opens_complete


@dataclass(frozen=True, slots=True)
class Format:
    """Of one connection."""

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
