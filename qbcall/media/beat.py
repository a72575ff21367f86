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

Listener = Callable[[], None]


class Beat:
    """Of one event loop, on which all of this is called."""

    def __init__(self, origin: float) -> None:
        """The first beat is at `origin`, in seconds of the loop's clock."""
        self._origin = origin
        self._senders: list[Listener] = []
        self._readers: list[Listener] = []
        self._timer: asyncio.TimerHandle | None = None

    def number(self, now: float) -> int:
        """That of the latest beat; the first is 0."""
        return math.floor((now - self._origin) / BEAT + SLACK)

    def next(self, now: float) -> float:
        """When the next beat is, in seconds of the loop's clock; later than now."""
        return self._origin + (self.number(now) + 1) * BEAT

    def join(self, listener: Listener, *, sends: bool = False) -> None:
        """Call it on each beat from now on; it must not raise.

        Who sends is called first: within one program, what is sent is to be read at once.
        """
        (self._senders if sends else self._readers).append(listener)
        if self._timer is None:
            self._wait()

    def leave(self, listener: Listener) -> None:
        """Call it no more. Who is not there may leave."""
        for listeners in (self._senders, self._readers):
            if listener in listeners:
                listeners.remove(listener)
        if not (self._senders or self._readers) and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self.next(loop.time()), self._strike)

    def _strike(self) -> None:
        self._wait()
        for listeners in (self._senders, self._readers):
            for listener in tuple(listeners):
                if listener in listeners:  # one before it may have closed it
                    listener()


_beats: WeakKeyDictionary[asyncio.AbstractEventLoop, Beat] = WeakKeyDictionary()


def beat() -> Beat:
    """That of the running loop; it begins when somebody asks first, so that programs do not wake at the same time."""
    loop = asyncio.get_running_loop()
    found = _beats.get(loop)
    if found is None:
        found = _beats[loop] = Beat(loop.time())
    return found
