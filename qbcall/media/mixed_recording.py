"""One recording of all users: their pictures side by side, their sound added up. Decoded frames go in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from qbcall.core.model import User
from qbcall.media.blocks import Blocks
from qbcall.media.encoded_file import EncodedFile
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE, Frame
from qbcall.media.planes import letterbox, plain, plane

SIZE = (1280, 720)
"""Width and height of the picture."""
INTERVAL = 1 / 15
"""Seconds between two pictures."""
GONE = 3.0
"""Seconds without a picture after which a user has no place any more."""
HOLD = 0.3
"""Seconds that sound and pictures wait for those of others."""
GAP = 0.2
"""Seconds by which sound may be late before silence is filled in, or early before it is left out."""
LEAP = 2.0
"""Seconds without any frame of anybody of which nothing is written: the last picture stays, and it is silent."""


class MixedRecording:
    """Frames go in as they arrive; used from one thread."""

    def __init__(self, next_path: Callable[[], Path]) -> None:
        """Make one; no file is made before the first frame came."""
        self._next_path = next_path
        self._file: EncodedFile | None = None
        self._start = self._now = 0.0
        self._shown = 0
        self._grid = Grid()
        self._sound = Mix()

    def write(self, peer: User, time: float, frame: Frame) -> None:
        """A frame that arrived at this second.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        if self._file is None:
            self._file, self._start = EncodedFile(self._next_path(), SIZE), time
        now = max(self._now, time - self._start)
        if now - self._now > LEAP:
            self._leap(self._file, now - HOLD)
        self._now = now
        self._show(self._file, self._now - HOLD)
        if isinstance(frame, av.VideoFrame):
            self._grid.put(peer, frame, self._now)
        else:
            self._sound.add(peer, frame, self._now)

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        if self._file is not None:
            try:
                self._show(self._file, self._now + HOLD)
            finally:
                self._file.close()

    def _show(self, file: EncodedFile, until: float) -> None:
        """Write what nobody can add to any more. Pictures wait too, so that sound is not behind them."""
        while (time := self._shown * INTERVAL) <= until:
            file.write_picture(self._grid.at(time), time)
            self._shown += 1
        while (block := self._sound.pull(until)) is not None:
            file.write_sound(block, self._sound.begin - AUDIO_BLOCK)

    def _leap(self, file: EncodedFile, to: float) -> None:
        """Write what waits, and go on with one picture at another time."""
        self._show(file, self._now + HOLD)
        self._shown = int(to / INTERVAL)
        self._sound.leap(to)


class Grid:
    """The newest pictures of all, side by side."""

    def __init__(self) -> None:
        self._pictures: dict[User, list[tuple[float, av.VideoFrame]]] = {}

    def put(self, peer: User, picture: av.VideoFrame, time: float) -> None:
        """A picture came."""
        self._pictures.setdefault(peer, []).append((time, picture))

    def at(self, time: float) -> av.VideoFrame:
        """What was there at a time; earlier times are not asked for any more."""
        shown = []
        for peer, pictures in list(self._pictures.items()):
            while len(pictures) > 1 and pictures[1][0] <= time:
                pictures.pop(0)
            if time - pictures[0][0] > GONE:
                del self._pictures[peer]
            elif pictures[0][0] <= time:
                shown.append(pictures[0][1])
        return tiled(shown)


def tiled(pictures: list[av.VideoFrame]) -> av.VideoFrame:
    """All in one: as many columns as rows, or one more."""
    whole = plain(*SIZE)
    columns = int(np.ceil(np.sqrt(len(pictures)))) or 1
    rows = -(-len(pictures) // columns) or 1
    width, height = SIZE[0] // columns // 4 * 4, SIZE[1] // rows // 4 * 4
    for number, picture in enumerate(pictures):
        tile = letterbox(picture, width, height)
        left, top = number % columns * width, number // columns * height
        for index, scale in enumerate((1, 2, 2)):
            x, y = left // scale, top // scale
            plane(whole, index)[y : y + height // scale, x : x + width // scale] = plane(tile, index)
    return whole


class Mix:
    """Adds up the sound of all."""

    def __init__(self) -> None:
        self._blocks: dict[User, Blocks] = {}
        self._ends: dict[User, int] = {}
        self.begin = 0
        """Number of the first sample that waits."""
        self._waiting: npt.NDArray[np.int32] = np.zeros((0, 2), np.int32)

    def add(self, peer: User, frame: av.AudioFrame, time: float) -> None:
        """Sound that arrived at a time."""
        blocks = self._blocks.setdefault(peer, Blocks())
        blocks.push(frame)
        at, end = round(time * AUDIO_RATE), self._ends.get(peer, 0)
        if end - at > GAP * AUDIO_RATE:
            blocks.clear()
            return
        end = max(at if at - end > GAP * AUDIO_RATE else end, self.begin)
        while (block := blocks.pull()) is not None:
            self._put(block, end - self.begin)
            end += AUDIO_BLOCK
        self._ends[peer] = end

    def pull(self, until: float) -> npt.NDArray[np.int16] | None:
        """The next block, if it ends before a time."""
        if (self.begin + AUDIO_BLOCK) / AUDIO_RATE > until:
            return None
        self._grow(AUDIO_BLOCK)
        block, self._waiting = self._waiting[:AUDIO_BLOCK], self._waiting[AUDIO_BLOCK:]
        self.begin += AUDIO_BLOCK
        return np.clip(block, -32768, 32767).astype(np.int16)

    def leap(self, to: float) -> None:
        """Go on at a later time, without what waits."""
        self.begin = max(self.begin, round(to * AUDIO_RATE))
        self._waiting = self._waiting[:0]

    def _put(self, block: npt.NDArray[np.int16], place: int) -> None:
        self._grow(place + len(block))
        self._waiting[place : place + len(block)] += block

    def _grow(self, size: int) -> None:
        missing = size - len(self._waiting)
        if missing > 0:
            self._waiting = np.concatenate([self._waiting, np.zeros((missing, 2), np.int32)])
