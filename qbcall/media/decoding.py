"""Decodes a media file, part by part, on whatever thread it is called."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path

import av

from qbcall.core.model import MediaKind
from qbcall.media.blocks import LAYOUT
from qbcall.media.frames import AUDIO_RATE, Frame, VideoFormat

log = logging.getLogger("qbcall.media.decoding")

NOT_MEDIA = frozenset({"tty"})
"""What FFmpeg takes text files for."""
MOST_AHEAD = 1.0
"""Seconds that one kind may be ahead of the other before decoding pauses."""
ROUNDED = 0.001
"""Seconds by which the times in a file may be rounded; Matroska's are."""
Decoded = tuple[MediaKind, float, Frame]
"""Kind, seconds since the beginning of the first round, frame."""


class Decoder:
    """A file that is played once, or round after round under continuous times."""

    def __init__(self, path: Path, *, again: bool, format: VideoFormat, kinds: Collection[MediaKind]) -> None:
        """Open a file and decode its beginning.

        Raises:
            av.FFmpegError, OSError, ValueError: it is not media.
        """
        self.over = False
        """Everything was decoded."""
        self._path = path
        self._again = again
        self._format = format
        # Playlists must not reach beyond this machine.
        self._container = av.open(path, options={"protocol_whitelist": "file"})
        if self._container.format.name in NOT_MEDIA:
            self._container.close()
            raise ValueError("it is text")
        found = {kind: getattr(self._container.streams, kind.value) for kind in kinds}
        self._streams = [streams[0] for streams in found.values() if streams]
        self._first: list[Decoded] = []
        self._round = 0.0
        self._picture_due = 0.0
        self._ends: dict[MediaKind, float] = {kind: 0.0 for kind, streams in found.items() if streams}
        self._frames = self._one_round()
        if self._ends:
            self._first = self.decode(0.0)
            if not self._first:
                self._container.close()
                raise ValueError("nothing in it can be decoded")

    @property
    def kinds(self) -> tuple[MediaKind, ...]:
        """What the file has, of what was wanted."""
        return tuple(self._ends)

    @property
    def position(self) -> float:
        """Seconds up to which everything was decoded."""
        return max(min(self._ends.values()), max(self._ends.values()) - MOST_AHEAD)

    def decode(self, until: float) -> list[Decoded]:
        """Go on, up to this second."""
        found, self._first = self._first, []
        while not self.over and (self.position < until or not found):
            frame = next(self._frames, None)
            if frame is not None:
                found.append(frame)
            elif self._again and max(self._ends.values()) > self._round:
                self._rewind()
            else:
                self.over = True
        return found

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _rewind(self) -> None:
        self._round = max(self._ends.values())
        self._ends = dict.fromkeys(self._ends, self._round)
        self._picture_due = self._round
        self._container.seek(0)
        self._frames = self._one_round()

    def _one_round(self) -> Iterator[Decoded]:
        start = (self._container.start_time or 0) / av.time_base
        resampler = av.AudioResampler("s16", LAYOUT, AUDIO_RATE)
        for packet in self._container.demux(self._streams):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                log.debug("%s: a packet cannot be decoded: %s", self._path, error)
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    yield from self._picture(frame, start)
                elif isinstance(frame, av.AudioFrame):
                    for part in resampler.resample(frame):
                        yield self._timed(MediaKind.AUDIO, part, start, part.samples / AUDIO_RATE)

    def _picture(self, frame: av.VideoFrame, start: float) -> Iterator[Decoded]:
        interval = 1 / self._format.fps
        time = self._round + max(0.0, (frame.time or 0.0) - start)
        if time < self._picture_due - ROUNDED:
            return  # more pictures per second than were asked for
        behind = time - self._picture_due
        self._picture_due = time + interval if behind > interval else self._picture_due + interval
        yield self._timed(MediaKind.VIDEO, fit(frame, self._format), start, interval)

    def _timed(self, kind: MediaKind, frame: Frame, start: float, duration: float) -> Decoded:
        expected = self._ends[kind]
        time = expected if frame.time is None else self._round + max(0.0, frame.time - start)
        self._ends[kind] = max(expected, time + duration)
        return kind, time, frame


def fit(frame: av.VideoFrame, format: VideoFormat) -> av.VideoFrame:
    """A yuv420p picture no larger than `format`, with its proportions kept; smaller ones keep their size."""
    scale = min(1.0, format.width / frame.width, format.height / frame.height)
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    made = frame.reformat(width=width, height=height, format="yuv420p")
    made.pts, made.time_base = frame.pts, frame.time_base
    return made
