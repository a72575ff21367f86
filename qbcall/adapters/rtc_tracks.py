"""What is sent to one peer and received from it, as aiortc wants it: tracks. Frames are counted on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import av
from aiortc import MediaStreamTrack, RTCRtpCodecParameters
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpsender import RTCEncodedFrame

from qbcall.adapters.rtc_demand import START
from qbcall.adapters.rtc_share import Encoded, Share, Take, Terms
from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame

log = logging.getLogger("qbcall.adapters.rtc")


MOST_KEPT = 10
"""Pictures that are kept for a path that comes soon; a third of a second at most rates."""


class FrameCount:
    """How much of one kind of media went one way."""

    def __init__(self) -> None:
        self.frames = 0
        self.latest: Frame | None = None

    def add(self, frame: Frame) -> None:
        """One more."""
        self.frames += 1
        self.latest = frame


class Stream(Protocol):
    """What is sent of one kind of media, to all peers."""

    @property
    def kind(self) -> MediaKind:
        """Sound or picture."""

    def share(self, codec: RTCRtpCodecParameters, terms: Terms, take: Take) -> Share:
        """What one more peer gets."""


@dataclass(slots=True)
class Asked:
    """What a receiver of media asks its sender for."""

    packets: int = 0
    """Requests to repeat some (NACK)."""
    pictures: int = 0
    """Requests for a complete one (PLI)."""


Send = Callable[[RTCEncodedFrame], None]
"""Sends a frame to one peer."""


def _nowhere(codec: RTCRtpCodecParameters) -> Send:
    raise AssertionError("it is told where to before anything is sent")


class OutgoingTrack(MediaStreamTrack):
    """One peer's own track of what is sent: aiortc stops the track of a connection that breaks."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.kind = stream.kind.value
        self.count = FrameCount()
        self.terms = Terms()
        self.asked: Asked | None = None
        """What the peer asked for; None: nobody counts."""
        self.departs: Callable[[RTCRtpCodecParameters], Send] = _nowhere
        """Where frames go that are encoded so."""
        self._stream = stream
        self._share: Share | None = None
        self._send: Send | None = None
        """Where frames go; None: the path is not there yet."""
        self._kept: list[Encoded] = []
        """The last that was complete and what followed it, until there is a path."""

    def prepare(self, codec: RTCRtpCodecParameters) -> None:
        """Have it encoded from now on: the path will be there soon, and what there is then goes at once."""
        if self._share is None and self.readyState == "live":
            self._share = self._stream.share(codec, self.terms, self._take)

    async def encoded(self, codec: RTCRtpCodecParameters) -> NoReturn:
        """Send all there is from now on; first the last complete picture with what followed it, or block of sound.

        Raises:
            MediaStreamError: there is no more.
        """
        try:
            self.prepare(codec)
            if self._share is not None:
                self._send = self.departs(codec)
                kept, self._kept = self._kept, []
                for encoded in kept:
                    self._take(encoded)
                if not kept:
                    self._share.begin_again()
                await self._share.over()
        except Exception as error:
            log.debug("nothing more to send of %s: %r", self.kind, error)
        self.stop()
        raise MediaStreamError

    def _take(self, encoded: Encoded) -> None:
        if self._send is not None:
            self.count.add(encoded.frame)
            self._send(encoded.data)
        elif encoded.complete:  # as each block of sound is
            self._kept = [encoded]
        elif len(self._kept) < MOST_KEPT:
            self._kept += [encoded] if self._kept else []
        else:
            self._kept = []  # the path comes late: it begins with another complete picture

    async def recv(self) -> Frame:
        """See aiortc: a track has this. Nobody asks for frames that are not encoded.

        Raises:
            MediaStreamError: always.
        """
        raise MediaStreamError

    def ask(self) -> None:
        """The peer needs a complete picture."""
        if self._share is not None:
            self._share.ask()

    @property
    def dropped(self) -> int | None:
        """Frames that were encoded and left out for this peer; None: nobody counts."""
        return None if self._share is None else self._share.dropped

    @property
    def rate(self) -> int:
        """Bits per second that are aimed at now."""
        return START if self._share is None else self._share.rate

    def stop(self) -> None:
        """Give the share back."""
        if self._share is not None:
            self._share.close()
        super().stop()


class IncomingTrack:
    """Takes every frame of a remote track at once, as aiortc decodes it; see `rtc_receive` for the better way."""

    def __init__(self, track: MediaStreamTrack, take: Callable[[Frame], None]) -> None:
        self._track = track
        self._take = take
        self._task = asyncio.create_task(self._drain(), name=f"qbcall-drain-{track.kind}")

    def wake(self) -> None:
        """Nothing sleeps."""

    def close(self) -> None:
        """Take no more."""
        self._task.cancel()

    async def _drain(self) -> None:
        while True:
            try:
                frame = await self._track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, (av.VideoFrame, av.AudioFrame)), "a remote track gives decoded frames"
            self._take(frame)
