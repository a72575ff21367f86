"""Received media as it came over the network: complete frames that nobody decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass

from qbcall.core.model import MediaKind, User
from qbcall.media.frames import Frame

MOST_PIXELS = 4096 * 2304
"""In a picture; one that claims more is neither decoded nor recorded: it takes that much memory, whatever it is."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One picture, or one packet of sound."""

    kind: MediaKind
    codec: str
    """As RTP calls it, in capitals: `VP8`, `H264`, `OPUS`, `PCMU`."""
    data: bytes
    """H.264 with start codes (annex B)."""
    stream: int
    """Frames of one stream have time stamps of one clock; a stream that began later has a larger number."""
    timestamp: int
    """Of RTP: 32 bits, which wrap."""
    clock_rate: int
    """Units of the time stamp in a second."""
    arrival: float
    """Seconds of a clock of this machine."""
    captured: float | None = None
    """Seconds of the peer's clock, the same for sound and picture; None: it did not tell yet (RFC 3550, section
    6.4.1)."""
    keyframe: bool = True
    """A decoder can begin with it."""
    size: tuple[int, int] | None = None
    """Width and height of a picture; None: it does not tell without being decoded."""


class EncodedSink(ABC):
    """A sink (see `frames.Sink`) that takes frames as they came."""

    encoded_kinds: Collection[MediaKind] = ()
    """What it takes undecoded."""

    @property
    @abstractmethod
    def kinds(self) -> Collection[MediaKind]:
        """What it takes decoded."""

    @abstractmethod
    def write(self, peer: User, frame: Frame) -> None:
        """Take a decoded frame."""

    @abstractmethod
    def write_encoded(self, peer: User, frame: EncodedFrame) -> bool:
        """Take a frame; on the event loop's thread: slow work goes to a thread of its own.

        Returns:
            Whether a complete picture is needed, because this one cannot be used, or something new begins.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish: files are complete and playable after it. Called once."""
