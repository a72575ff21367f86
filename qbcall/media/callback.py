"""A function of the application as a sink."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable

from qbcall.core.model import MediaKind, User
from qbcall.media.frames import Frame

MOST_WAITING = 50
"""Frames whose awaitables may wait; of more, the oldest is left out."""


class Callback:
    """Calls a function with each frame; what it returns is awaited, one after the other."""

    kinds = tuple(MediaKind)

    def __init__(self, function: Callable[[User, Frame], object]) -> None:
        self._function = function
        self._waiting: deque[Awaitable[object]] = deque()
        self._task: asyncio.Task[None] | None = None

    def write(self, peer: User, frame: Frame) -> None:
        """Call it.

        Raises:
            Exception: what it raised, now, or while it was awaited before.
        """
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
        result = self._function(peer, frame)
        if not inspect.isawaitable(result):
            return
        self._waiting.append(result)
        if len(self._waiting) > MOST_WAITING:
            _forget(self._waiting.popleft())
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="qbcall-sink")

    async def close(self) -> None:
        """Stop awaiting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        while self._waiting:
            _forget(self._waiting.popleft())

    async def _work(self) -> None:
        while self._waiting:
            await self._waiting.popleft()


def _forget(awaitable: Awaitable[object]) -> None:
    """Drop it without the warning that it was never awaited."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
    elif isinstance(awaitable, asyncio.Future):
        awaitable.cancel()
