"""A thread for what takes long: pictures are encoded in one, and decoded in another."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger("qbcall.adapters.rtc")

TOGETHER = 3
"""Pictures that are told at one time, at most: as many as there are peers."""
PATIENCE = 1.0
"""Seconds that the end waits for the picture that is being decoded."""
LONGEST = 1.0
"""Seconds that a picture waits for its turn."""


Done = Callable[[], None]
Work = Callable[[], Done]
"""Done in the thread; what it returns is called on the event loop."""


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


TURNS = threading.Semaphore(processors())
"""Of all calls of this process. On a machine that is too slow, more threads at work would only take the processor
from the event loop, which has the sound; and pictures would come late instead of less often."""


class Worker(Protocol):
    """Does things one after the other, beside the event loop."""

    def do(self, work: Work) -> None:
        """Do it after what was given before; it must not raise."""


class MediaThread:
    """One thread for the pictures of all peers; it starts when there is something to do.

    The event loop is woken once for what was given at one time: futures would take it twice the work.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, work: Work) -> None:
        """Do it after what was given before; it must not raise."""
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, args=(loop,), name=self._name, daemon=True)
            self._thread.start()
        self._work.put(work)

    async def close(self) -> None:
        """Do what was given, and end."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._work.put(None)
            await asyncio.to_thread(thread.join, PATIENCE)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        done: list[Done] = []
        while (work := self._work.get()) is not None:
            done.append(_in_turn(work))
            if self._work.empty() or len(done) >= TOGETHER:
                self._tell(loop, done)
                done = []
        self._tell(loop, done)

    def _tell(self, loop: asyncio.AbstractEventLoop, done: list[Done]) -> None:
        try:
            loop.call_soon_threadsafe(lambda: [one() for one in done])
        except RuntimeError:
            log.debug("pictures came too late: the event loop is closed")


def _in_turn(work: Work) -> Done:
    held = TURNS.acquire(timeout=LONGEST)  # or without: a codec that hangs is not to stop all others
    try:
        return work()
    finally:
        if held:
            TURNS.release()
