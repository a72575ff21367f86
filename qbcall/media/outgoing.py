"""What one participant sends in a call: one permanent stream for each kind, given to all peers.

Sources come and go, are muted or break; the stream goes on under continuous time stamps, so that nothing has to be
negotiated and a receiver sees the same track. Sound is sent every 20 ms, come what may; a picture when there is one.
"""

from __future__ import annotations

import asyncio
import logging
from fractions import Fraction
from typing import Protocol

import av
import numpy as np

from qbcall.core.model import MediaKind
from qbcall.media.blocks import Samples, audio_frame
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE, Frame, FrameSource, Source, VideoFormat
from qbcall.media.intake import AudioIntake, PulledIntake, PulledSource, VideoIntake
from qbcall.media.planes import plain
from qbcall.media.pumps import PicturePump, Pump, Shown, SoundPump
from qbcall.media.rate import Rate
from qbcall.media.waiting import WaitingFrames

log = logging.getLogger("qbcall.media.outgoing")

VIDEO_CLOCK = 90_000
"""Ticks per second of the time stamps of video (RFC 7741, section 4.1; RFC 6184, section 8.2.1)."""
WAITING = {MediaKind.AUDIO: 10, MediaKind.VIDEO: 3}
"""Frames that may wait for one peer; the oldest is dropped."""
SILENCE = np.zeros((AUDIO_BLOCK, 2), np.int16)


class Listener(Protocol):
    """Is told what is sent."""

    def put(self, frame: Frame) -> None:
        """One more frame, time stamped; it must not raise."""

    def end(self) -> None:
        """There are no more."""


class Feed:
    """One peer's share of a stream. Frames are shared between peers: look, do not change."""

    def __init__(self, outgoing: Outgoing, listener: Listener | None) -> None:
        self._outgoing = outgoing
        self._frames = WaitingFrames(WAITING[outgoing.kind])
        self._listener: Listener = self._frames if listener is None else listener
        self._closed = False

    async def recv(self) -> Frame:
        """The next frame, time stamped; without a listener.

        Raises:
            SourceEnded: the share was given back, or the call is over.
        """
        return await self._frames.get()

    def close(self) -> None:
        """Give the share back; again is no error."""
        if not self._closed:
            self._closed = True
            self._frames.clear()
            self._listener.end()
            self._outgoing.unsubscribe(self)

    def put(self, frame: Frame) -> None:
        """Told by the stream: one more frame."""
        self._listener.put(frame)


class Outgoing:
    """One kind of media that is sent in a call."""

    def __init__(self, kind: MediaKind, source: FrameSource | None, format: VideoFormat | None = None) -> None:
        """Send from `source`, as soon as somebody subscribes; None: silence, or a black picture.

        Args:
            kind: what `source` yields.
            source: belongs to this object from now on, which closes it.
            format: the highest rate of pictures, and the size of black ones before there was another.
        """
        self.kind = kind
        self.frames = 0
        """Frames sent, to whoever listened."""
        self.over = asyncio.Event()
        """The present source has no more frames."""
        self.error: Exception | None = None
        """What the present source broke with."""
        self._muted = False
        self._format = format or VideoFormat()
        self._size = (self._format.width, self._format.height)
        self._rate = Rate()
        self._feeds: list[Feed] = []
        audio = kind is MediaKind.AUDIO
        self._pump: Pump = SoundPump(self._send_block) if audio else PicturePump(self._format.fps, self._send_picture)
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False
        self._epoch: float | None = None
        self._last_stamp = -AUDIO_BLOCK
        self._start = 0
        """The time stamp from which on blocks of sound are counted."""
        self._intake = self._take(source)

    @property
    def muted(self) -> bool:
        """Whether silence, or a black picture, is sent instead of the source."""
        return self._muted

    @muted.setter
    def muted(self, on: bool) -> None:
        self._muted = on
        self._intake.clear()

    @property
    def ended(self) -> bool:
        """Whether the present source has no more frames."""
        return self.over.is_set()

    @property
    def fps(self) -> float:
        """Frames per second over the last seconds."""
        return self._rate.at(asyncio.get_running_loop().time())

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the latest picture; None for audio."""
        return self._size if self.kind is MediaKind.VIDEO else None

    def subscribe(self, listener: Listener | None = None) -> Feed:
        """A share for one more peer, whose listener is told; or frames wait. After `close` it ends at once."""
        feed = Feed(self, listener)
        if self._closed:
            feed.close()
            return feed
        self._feeds.append(feed)
        if len(self._feeds) == 1:
            self._intake.clear()
            self._pump.start()
        return feed

    def unsubscribe(self, feed: Feed) -> None:
        """Told by a feed: it is closed."""
        if feed in self._feeds:
            self._feeds.remove(feed)
        if not self._feeds:
            self._pump.stop()

    def replace(self, source: FrameSource | None) -> None:
        """Send something else from now on; the old source is closed. After `close`, so is the new one."""
        new = self._take(source)
        old = new if self._closed else self._intake
        if not self._closed:
            self._intake, self.error = new, None
            self.over.clear()
        self._retire(asyncio.get_running_loop().create_task(old.close()))
        self._pump.go()

    async def close(self) -> None:
        """Stop, and close the source; no task is left."""
        if not self._closed:
            self._closed = True
            for feed in tuple(self._feeds):
                feed.close()
            self._retire(asyncio.get_running_loop().create_task(self._intake.close()))
        while self._retiring:
            await asyncio.wait(self._retiring)

    # -- details -----------------------------------------------------------------------------------------------------

    def _take(self, source: FrameSource | None) -> AudioIntake | VideoIntake:
        if isinstance(source, PulledSource):
            return PulledIntake(source, self._source_over, self._pump.go)
        intake = AudioIntake if self.kind is MediaKind.AUDIO else VideoIntake
        return intake(source, self._source_over, self._pump.go)

    def _source_over(self, source: FrameSource, error: Exception | None) -> None:
        if source is self._intake.source:
            self.error = error
            self.over.set()
        if error is not None:
            log.error("the %s source %s broke: %r", self.kind.value, type(source).__name__, error, exc_info=error)

    def _retire(self, task: asyncio.Task[None]) -> None:
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _send_block(self, number: int) -> None:
        if number == 0:
            self._start = max(self._now_in(AUDIO_RATE), self._last_stamp + AUDIO_BLOCK)
        intake = self._intake
        assert isinstance(intake, AudioIntake), "this is audio"
        samples: Samples | None = None
        if self._muted:
            intake.pass_by()
        else:
            samples = intake.pull()
        frame = audio_frame(SILENCE if samples is None else samples)
        self._publish(frame, self._start + number * AUDIO_BLOCK, AUDIO_RATE)

    def _send_picture(self) -> Shown:
        intake = self._intake
        assert isinstance(intake, VideoIntake), "this is video"
        frame = None if self._muted else intake.pull()
        if frame is not None:
            self._publish_video(frame)
            return Shown.PICTURE
        if self._muted or intake.ended:
            self._publish_video(plain(*self._size))
            return Shown.BLACK
        return Shown.NOTHING

    def _publish_video(self, frame: av.VideoFrame) -> None:
        self._size = (frame.width, frame.height)
        self._publish(frame, self._now_in(VIDEO_CLOCK), VIDEO_CLOCK)

    def _publish(self, frame: Frame, stamp: int, clock: int) -> None:
        frame.pts = self._last_stamp = max(stamp, self._last_stamp + 1)
        frame.time_base = Fraction(1, clock)
        self.frames += 1
        self._rate.count(asyncio.get_running_loop().time())
        for feed in tuple(self._feeds):
            feed.put(frame)

    def _now_in(self, clock: int) -> int:
        """Time since the first frame, in ticks of a clock."""
        now = asyncio.get_running_loop().time()
        if self._epoch is None:
            self._epoch = now
        return round((now - self._epoch) * clock)


class Local:
    """What one participant sends in one call."""

    def __init__(self, audio: Outgoing | None, video: Outgoing | None) -> None:
        self.audio = audio
        """None: no sound is sent, whatever source comes later; it may be received."""
        self.video = video
        """None: no picture is sent, whatever source comes later; it may be received."""
        self._unused: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, source: Source, format: VideoFormat | None = None) -> Local:
        """Streams for the kinds that a source has; it belongs to them from now on."""
        audio = None if source.audio is None else Outgoing(MediaKind.AUDIO, source.audio, format)
        video = None if source.video is None else Outgoing(MediaKind.VIDEO, source.video, format)
        return cls(audio, video)

    def stream(self, kind: MediaKind) -> Outgoing | None:
        """The stream of this kind."""
        return self.audio if kind is MediaKind.AUDIO else self.video

    def mute(self, kind: MediaKind, on: bool) -> None:
        """Send silence or a black picture instead of the source, or the source again."""
        stream = self.stream(kind)
        if stream is not None:
            stream.muted = on

    def replace(self, source: Source) -> None:
        """Send something else from now on; what the new source lacks becomes silence or a black picture.

        A kind that was not sent from the beginning would have to be negotiated: it stays away, its part is closed.
        """
        for kind in MediaKind:
            stream, part = self.stream(kind), source.of(kind)
            if stream is not None:
                stream.replace(part)
            elif part is not None:
                log.warning("%s is not sent in this call: that part of the new source is closed", kind.value)
                self._unused.add(asyncio.get_running_loop().create_task(part.close()))

    async def over(self) -> None:
        """Wait until no source has more frames, but for those that were read ahead; some go on for ever."""
        for stream in (self.audio, self.video):
            if stream is not None:
                await stream.over.wait()

    async def close(self) -> None:
        """Stop, and close the sources; no task is left."""
        for stream in (self.audio, self.video):
            if stream is not None:
                await stream.close()
        await asyncio.gather(*self._unused, return_exceptions=True)
