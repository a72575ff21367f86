"""A media file as a source: sound and picture in real time, together, once or again and again.

A thread decodes a little ahead. What was not taken in time is dropped, so that the file never lags behind the clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av

from qbcall.core.model import MediaKind
from qbcall.errors import SourceError
from qbcall.media.beat import BEAT
from qbcall.media.decoding import Decoder
from qbcall.media.frames import Frame, Source, SourceEnded, VideoFormat
from qbcall.media.pumps import CATCH_UP

AHEAD = 0.5
"""Seconds that are decoded ahead."""
LATE = {MediaKind.AUDIO: CATCH_UP * BEAT, MediaKind.VIDEO: 0.0}
"""Seconds that a frame may be late and still be given when a newer one is due, too: what a stream makes up for.
Of sound that is later, all that is late is dropped, or it would stay behind the picture for good."""

SOON = 0.0005
"""Seconds; what is due by then is due now. A shorter sleep may not move a clock at all."""


class Player:
    """Plays one file on the event loop's clock, from the first time it is read."""

    def __init__(self, decoder: Decoder, executor: ThreadPoolExecutor) -> None:
        self._decoder = decoder
        self._executor = executor
        self._queues: dict[MediaKind, deque[tuple[float, Frame]]] = {kind: deque() for kind in decoder.kinds}
        self._decoded = 0.0
        self._over = False
        self._error: Exception | None = None
        self._start: float | None = None
        self._filling: asyncio.Task[None] | None = None
        self._users = len(decoder.kinds)

    async def next(self, kind: MediaKind) -> Frame:
        """The next frame of one kind, when it is due.

        Raises:
            SourceEnded: the file is over.
            av.FFmpegError, OSError: it broke.
        """
        queue = self._queues[kind]
        while True:
            position = self._position()
            self._drop_late(position)
            self._fill_up(position)
            if queue and queue[0][0] <= position + SOON:
                return queue.popleft()[1]
            if queue:
                await asyncio.sleep(queue[0][0] - position)
            elif self._filling is not None:
                await asyncio.shield(self._filling)
            elif self._error is not None:
                raise self._error
            elif self._over:
                raise SourceEnded("the file is over")

    async def close(self) -> None:
        """One part is not needed any more; the last one closes the file."""
        self._users -= 1
        if self._users > 0:
            return
        if self._filling is not None:
            await asyncio.wait([self._filling])
        await asyncio.get_running_loop().run_in_executor(self._executor, self._decoder.close)
        self._executor.shutdown(wait=False)

    def _position(self) -> float:
        now = asyncio.get_running_loop().time()
        if self._start is None:
            self._start = now
        return now - self._start

    def _drop_late(self, position: float) -> None:
        """Forget what was due before the newest frame that is due; of all kinds, since one may have no reader."""
        for kind, queue in self._queues.items():
            if len(queue) > 1 and queue[1][0] <= position - LATE[kind]:
                while len(queue) > 1 and queue[1][0] <= position:
                    queue.popleft()

    def _fill_up(self, position: float) -> None:
        if self._filling is None and not self._over and self._decoded < position + AHEAD:
            self._filling = asyncio.get_running_loop().create_task(self._fill(position + 2 * AHEAD))

    async def _fill(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            for kind, time, frame in await loop.run_in_executor(self._executor, self._decoder.decode, until):
                self._queues[kind].append((time, frame))
            self._decoded, self._over = self._decoder.position, self._decoder.over
        except Exception as error:  # told to whoever reads next
            self._error, self._over = error, True
        finally:
            self._filling = None


class FilePart:
    """One kind of media of a file."""

    def __init__(self, player: Player, kind: MediaKind) -> None:
        self._player = player
        self._kind = kind

    async def read(self) -> Frame:
        """The next frame, when it is due."""
        return await self._player.next(self._kind)

    async def close(self) -> None:
        """This part is not needed any more."""
        await self._player.close()


async def open_file(
    spec: str, path: Path, *, again: bool, format: VideoFormat, kinds: Collection[MediaKind]
) -> Source:
    """A media file as a source.

    A picture that is larger than `format` is made smaller, with its proportions kept; it is never made larger, and no
    bars are added. Pictures beyond the rate of `format` are left out.

    Args:
        spec: what to call it in messages.
        path: the file; local.
        again: start from the beginning when it is over.
        format: the largest size and highest rate of pictures.
        kinds: what is wanted of it; what it lacks is None.

    Raises:
        SourceError: missing, unreadable, not media, or without any of `kinds`.
    """
    executor = ThreadPoolExecutor(1, "qbcall-file")
    try:
        decoder = await asyncio.get_running_loop().run_in_executor(
            executor, _opened(spec, path, again=again, format=format, kinds=kinds)
        )
    except BaseException:
        executor.shutdown(wait=False)
        raise
    player = Player(decoder, executor)
    parts = {kind: FilePart(player, kind) for kind in decoder.kinds}
    return Source(audio=parts.get(MediaKind.AUDIO), video=parts.get(MediaKind.VIDEO))


def _opened(
    spec: str, path: Path, *, again: bool, format: VideoFormat, kinds: Collection[MediaKind]
) -> Callable[[], Decoder]:
    def work() -> Decoder:
        try:
            found = path.expanduser()
            if not found.is_file():
                raise SourceError(f"{spec}: there is no file {found}")
            decoder = Decoder(found, again=again, format=format, kinds=kinds)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"{spec}: cannot be read as media: {error}") from error
        if not decoder.kinds:
            decoder.close()
            raise SourceError(f"{spec}: has no {' or '.join(kind.value for kind in kinds)}")
        return decoder

    return work
