"""One beat for what comes often: what is done together wakes the program once.

Python that runs after a sleep takes up to four times what it takes in a row: other programs had the caches.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from weakref import WeakKeyDictionary

from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE

BEAT = AUDIO_BLOCK / AUDIO_RATE
"""Seconds: a block of sound comes from each peer, and one is sent to all."""
SLACK = 0.01
"""Part of a beat that is no time at all: what is computed to be on the beat is on the beat."""


class Beat:
    """Of one event loop, on which all of this is called."""

    def __init__(self, origin: float) -> None:
        """The first beat is at `origin`, in seconds of the loop's clock."""
        self._origin = origin
        self._listeners: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def last(self, now: float) -> float:
        """When the latest beat was, in seconds of the loop's clock."""
        return self._origin + math.floor((now - self._origin) / BEAT + SLACK) * BEAT

    def next(self, now: float) -> float:
        """When the next beat is; later than now."""
        return self.last(now) + BEAT

    def join(self, listener: Callable[[], None]) -> None:
        """Call it on each beat from now on, after tasks that wait for the beat; it must not raise."""
        self._listeners.append(listener)
        if self._timer is None:
            self._wait()

    def leave(self, listener: Callable[[], None]) -> None:
        """Call it no more. Who is not there may leave."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self.next(loop.time()), self._strike)

    def _strike(self) -> None:
        self._wait()
        # A task that sends on the beat wakes a turn later: within one program, what it sends is to be read at once.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._call)

    def _call(self) -> None:
        for listener in tuple(self._listeners):
            listener()


_beats: WeakKeyDictionary[asyncio.AbstractEventLoop, Beat] = WeakKeyDictionary()


def beat() -> Beat:
    """That of the running loop; it begins when somebody asks first, so that programs do not wake at the same time."""
    loop = asyncio.get_running_loop()
    found = _beats.get(loop)
    if found is None:
        found = _beats[loop] = Beat(loop.time())
    return found
