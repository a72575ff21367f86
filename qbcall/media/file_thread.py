"""A thread that writes files, so that a slow disk holds up nobody; what waits for it is limited."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger("qbcall.media.recorder")

T = TypeVar("T")
PAUSE = 0.1
"""Seconds between two looks at what waits: to wake a thread for each frame costs more than to write it."""


class FileThread(Generic[T]):
    """Writes what it is given, in order, until something breaks."""

    def __init__(self, name: str, write: Callable[[T], None], finish: Callable[[], None], most: int) -> None:
        """Make one; it starts with the first item.

        Args:
            name: for messages.
            write: writes an item; runs in the thread.
            finish: finishes the files; runs in the thread, at the end.
            most: how much may wait, in the unit of `put`.
        """
        self.error: Exception | None = None
        """What it broke with; nothing is written after it."""
        self.dropped = 0
        """Items that were left out, because too much waited."""
        self._name = name
        self._write = write
        self._finish = finish
        self._most = most
        self._items: deque[tuple[T, int]] = deque()
        self._given = self._done = 0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, item: T, size: int = 1) -> bool:
        """Write it soon; False: too much waits, and it is left out."""
        if self._given - self._done + size > self._most:
            self.dropped += 1
            if self.dropped == 1:
                log.warning("%s: the disk or the machine is too slow; frames are left out", self._name)
            return False
        self._given += size
        self._items.append((item, size))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="qbcall-record", daemon=True)
            self._thread.start()
        return True

    async def close(self) -> None:
        """Write what waits, and finish."""
        self._ending.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while not self._ending.wait(PAUSE):
            self._drain()
        self._drain()
        self._attempt(self._finish)

    def _drain(self) -> None:
        while self._items:
            item, size = self._items.popleft()
            if self.error is None:
                self._attempt(lambda item=item: self._write(item))  # type: ignore[misc]  # a lambda has no types
            self._done += size

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever it is: nobody would hear of a thread that ends
            self.error = self.error or error
