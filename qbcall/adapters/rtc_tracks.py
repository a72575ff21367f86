"""What is sent to one peer and received from it, as aiortc wants it: tracks. Frames are counted on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame

log = logging.getLogger("qbcall.adapters.rtc")


class Feed(Protocol):
    """One listener's share of what is sent."""

    async def recv(self) -> Frame:
        """The next frame, with a continuous time stamp. Raises once it is closed."""

    def close(self) -> None:
        """No more is wanted."""


class Outlet(Protocol):
    """One kind of media that is sent to all peers of a call."""

    def subscribe(self) -> Feed:
        """A share for one more peer."""


class LocalMedia(Protocol):
    """What this user sends in one call."""

    @property
    def audio(self) -> Outlet | None:
        """None: nothing is sent, but audio may be received."""

    @property
    def video(self) -> Outlet | None:
        """None: nothing is sent, but video may be received."""


def outlet(local: LocalMedia | None, kind: MediaKind) -> Outlet | None:
    """The part of this kind."""
    if local is None:
        return None
    return local.audio if kind is MediaKind.AUDIO else local.video


class FrameCount:
    """How much of one kind of media went one way."""

    def __init__(self) -> None:
        self.frames = 0
        self.latest: Frame | None = None

    def add(self, frame: Frame) -> None:
        """One more."""
        self.frames += 1
        self.latest = frame


class OutgoingTrack(MediaStreamTrack):
    """One peer's own track of what is sent: aiortc stops the track of a connection that breaks."""

    def __init__(self, kind: MediaKind, source: Outlet) -> None:
        super().__init__()
        self.kind = kind.value
        self.count = FrameCount()
        self._source = source
        self._feed: Feed | None = None

    async def recv(self) -> Frame:
        """The next frame to send; the share is taken when the first is asked for, so that nothing piles up before.

        Raises:
            MediaStreamError: there are no more.
        """
        if self.readyState != "live":
            raise MediaStreamError
        try:
            if self._feed is None:
                self._feed = self._source.subscribe()
            frame = await self._feed.recv()
        except Exception as error:
            log.debug("nothing more to send of %s: %r", self.kind, error)
            self.stop()
            raise MediaStreamError from error
        self.count.add(frame)
        return frame

    def stop(self) -> None:
        """Give the share back."""
        if self._feed is not None:
            self._feed.close()
        super().stop()


class IncomingTrack:
    """Takes every frame of a remote track at once: aiortc keeps unread ones without limit (17 MB/s at 640x480)."""

    def __init__(self, track: MediaStreamTrack, deliver: Callable[[Frame], None]) -> None:
        self.kind = MediaKind(track.kind)
        self.count = FrameCount()
        self._track = track
        self._deliver = deliver
        self._complained = False
        self._task = asyncio.create_task(self._drain(), name=f"qbcall-drain-{track.kind}")

    async def close(self) -> None:
        """Take no more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _drain(self) -> None:
        while True:
            try:
                frame = await self._track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, (av.VideoFrame, av.AudioFrame)), "a remote track gives decoded frames"
            self.count.add(frame)
            self._hand_over(frame)

    def _hand_over(self, frame: Frame) -> None:
        try:
            self._deliver(frame)
        except Exception:
            if not self._complained:
                log.exception("a received %s frame could not be delivered (told once)", self.kind.value)
            self._complained = True
