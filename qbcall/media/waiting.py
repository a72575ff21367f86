"""Frames that wait for one reader; it never lags, because the oldest is dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from qbcall.media.frames import Frame, SourceEnded

T = TypeVar("T")


class Waiting(Generic[T]):
    """A short queue."""

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        """How many were lost because nobody took them in time."""
        self.ended = False
        """No more will come."""
        self._things: deque[T] = deque(maxlen=limit)
        self._waiting: asyncio.Future[None] | None = None

    def put(self, thing: T) -> None:
        """One more."""
        self.dropped += len(self._things) == self._things.maxlen
        self._things.append(thing)
        self._wake()

    def end(self) -> None:
        """No more will come; those that wait are still given."""
        self.ended = True
        self._wake()

    def clear(self) -> None:
        """Forget those that wait."""
        self._things.clear()

    async def get(self) -> T:
        """The oldest; one task at a time may wait for it.

        Raises:
            SourceEnded: there are no more.
        """
        while not self._things:
            if self.ended:
                raise SourceEnded("no more frames")
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._things.popleft()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


WaitingFrames = Waiting[Frame]
"""A short queue of frames."""
