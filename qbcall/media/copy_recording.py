"""One recording of one user: what came is written as it came, sound and picture in one Matroska file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf
from pathlib import Path

import av

from qbcall.core.model import MediaKind
from qbcall.media.encoded import EncodedFrame
from qbcall.media.matroska import MatroskaFile, Track
from qbcall.media.timeline import Timeline

log = logging.getLogger("qbcall.media.recorder")

PATIENCE = 1.5
"""Seconds that the first kind waits for the other before the file is begun."""
SPACING = 5.0
"""Seconds between two files that other codecs begin, at least: a peer may change its codec with each frame."""
MOST_FILES = 50
"""Of one user."""


class CopyRecording:
    """Frames go in as they arrive; used from one thread.

    A file begins with a complete picture. It holds one codec of each kind: a kind that comes late, or another codec,
    begins the next file, at a complete picture, but not too often. Connections that are made again go on in the same
    file.
    """

    def __init__(self, next_path: Callable[[], Path]) -> None:
        """Make one; nothing is written before the first frames came.

        Args:
            next_path: where to write; asked for each file.
        """
        self.needs_picture = False
        """A complete picture is needed, to begin the next file with."""
        self.left_out = 0
        """Frames of another codec that came too soon, or after too many files."""
        self._next_path = next_path
        self._timeline = Timeline()
        self._tracks: dict[MediaKind, Track] = {}
        self._waiting: list[tuple[float, EncodedFrame]] = []
        self._file: MatroskaFile | None = None
        self._files = 0
        self._changed = -inf
        """When the latest file began that is not the first one."""
        self._complained = False

    def write(self, frame: EncodedFrame) -> None:
        """The next frame that arrived.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        time = self._timeline.place(frame)
        if time is None or not self._may_come(frame) or not self._know(frame):
            return
        if self._file is None:
            self._waiting.append((time, frame))
            if len(self._tracks) == len(MediaKind) or time - self._waiting[0][0] > PATIENCE:
                self._begin()
            return
        if self._outdated(self._file) and self._can_begin(frame):
            self._finish()
            self._waiting.append((time, frame))
            self._begin()
            self._changed = frame.arrival
        elif self._file.codecs.get(frame.kind) == frame.codec:
            self._file.write(frame, time)

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        if self._file is None and self._waiting:
            self._begin()
        self._finish()

    def _may_come(self, frame: EncodedFrame) -> bool:
        """Whether its codec may begin another file now, if it is another one.

        The time is that of this machine: those of frames are what the peer says.
        """
        known = self._tracks.get(frame.kind)
        if self._file is None or known is None or known.codec == frame.codec:
            return True
        may = frame.arrival - self._changed >= SPACING and self._files < MOST_FILES
        if not may:
            self.left_out += 1
            self._complain(f"the codec changes too often, {frame.codec} is left out")
        return may

    def _know(self, frame: EncodedFrame) -> bool:
        """Learn what a file has to know of its codec; False: it cannot be learnt from this frame, or not at all."""
        known = self._tracks.get(frame.kind)
        if known is not None and known.codec == frame.codec:
            return True
        if frame.keyframe:
            try:
                self._tracks[frame.kind] = Track(frame)
            except (ValueError, av.FFmpegError) as error:  # whatever a stranger sends
                self._complain(error)
            else:
                return True
        self.needs_picture |= frame.kind is MediaKind.VIDEO
        return False

    def _complain(self, reason: object) -> None:
        if not self._complained:
            log.warning("something that is received cannot be recorded (told once): %s", reason)
        self._complained = True

    def _outdated(self, file: MatroskaFile) -> bool:
        return any(track.codec != file.codecs.get(kind) for kind, track in self._tracks.items())

    def _can_begin(self, frame: EncodedFrame) -> bool:
        can = MediaKind.VIDEO not in self._tracks or (frame.kind is MediaKind.VIDEO and frame.keyframe)
        self.needs_picture |= not can
        return can

    def _begin(self) -> None:
        fitting = [(time, frame) for time, frame in self._waiting if frame.codec == self._tracks[frame.kind].codec]
        self._waiting.clear()
        self._file = MatroskaFile(self._next_path(), self._tracks, fitting[0][0])
        self._files += 1
        self.needs_picture = False
        for time, frame in fitting:
            self._file.write(frame, time)

    def _finish(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
