"""Frames that wait for one reader; it never lags, because the oldest is dropped."""

from __future__ import annotations

import asyncio
from collections import deque

from qbcall.media.frames import Frame, SourceEnded


class WaitingFrames:
    """A short queue of frames."""

    def __init__(self, limit: int) -> None:
        self._frames: deque[Frame] = deque(maxlen=limit)
        self._ended = False
        self._waiting: asyncio.Future[None] | None = None

    def put(self, frame: Frame) -> None:
        """One more."""
        self._frames.append(frame)
        self._wake()

    def end(self) -> None:
        """No more will come; those that wait are still given."""
        self._ended = True
        self._wake()

    def clear(self) -> None:
        """Forget those that wait."""
        self._frames.clear()

    async def get(self) -> Frame:
        """The oldest frame; one task at a time may wait for it.

        Raises:
            SourceEnded: there are no more.
        """
        while not self._frames:
            if self._ended:
                raise SourceEnded("no more frames")
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._frames.popleft()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
