"""What drives a stream that is sent: sound on each beat, come what may; a picture when there is one.

They are callbacks and no tasks: a task that waits for a source, which waits for a timer, has the event loop turn five
times for each picture.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import Protocol

from qbcall.media.beat import beat

CATCH_UP = 5
"""Blocks of sound, 0.1 s, that are made up for when the machine was busy; what is older is left out."""
BLACK_FPS = 5
"""Black pictures per second while there is nothing to show: enough for a joining peer to see that it is black."""


class Pump(Protocol):
    """Has a stream send, while it runs; all of it is called on the event loop."""

    def start(self) -> None:
        """Send from the loop's next turn on."""

    def stop(self) -> None:
        """Send no more."""

    def go(self) -> None:
        """There may be something to send."""


class SoundPump:
    """Sends a block on each beat."""

    def __init__(self, send: Callable[[int], None]) -> None:
        """`send` is told the number of each block, from 0, without those that came too late; it must not raise."""
        self._send = send
        self._soon: asyncio.Handle | None = None
        """Sends out of turn; None: the pump does not run."""
        self._first: int | None = None
        self._next = 0

    def start(self) -> None:
        """See `Pump`."""
        loop = asyncio.get_running_loop()
        self._first = None
        beat().join(self._on_beat, sends=True)
        self._soon = loop.call_soon(self._on_beat)

    def stop(self) -> None:
        """See `Pump`."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
            beat().leave(self._on_beat)

    def go(self) -> None:
        """See `Pump`: sound has its own time."""

    def _on_beat(self) -> None:
        assert self._soon is not None, "who stops leaves the beat"
        self._soon.cancel()
        loop = asyncio.get_running_loop()
        number = beat().number(loop.time())
        if self._first is None:
            self._first = self._next = number
        self._next = max(self._next, number - CATCH_UP)
        if self._next <= number:
            block = self._next - self._first
            self._next += 1
            self._send(block)
        if self._next <= number and self._soon is not None:
            self._soon = loop.call_soon(self._on_beat)  # a turn later: the source has to make up for it, too


class Shown(enum.Enum):
    """What was sent."""

    NOTHING = enum.auto()
    """There is no picture yet."""
    BLACK = enum.auto()
    """There will be no picture for a while."""
    PICTURE = enum.auto()


class PicturePump:
    """Sends a picture as soon as there is one, but no more in a second than are wanted."""

    def __init__(self, fps: int, show: Callable[[], Shown]) -> None:
        """`show` sends what there is; it must not raise."""
        self._interval = 1 / fps
        self._show = show
        self._earliest = 0.0
        self._timer: asyncio.Handle | None = None
        self._running = False

    def start(self) -> None:
        """See `Pump`."""
        self._running, self._earliest = True, 0.0
        self._timer = asyncio.get_running_loop().call_soon(self.go)

    def stop(self) -> None:
        """See `Pump`."""
        self._running = False
        self._rest()

    def go(self) -> None:
        """See `Pump`."""
        if not self._running:
            return
        self._rest()
        now = asyncio.get_running_loop().time()
        # A frame may be early by one interval, so that a source with a pace of its own is not slowed down. One that
        # would wait for less than half of another is not to: its source would have all that follow wait as long.
        early = self._earliest - self._interval - now
        if early > self._interval / 2:
            self._again(early)
            return
        match self._show():
            case Shown.PICTURE:
                self._earliest = max(self._earliest, now) + self._interval
            case Shown.BLACK:
                self._again(1 / BLACK_FPS)
            case Shown.NOTHING:
                pass

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self, delay: float) -> None:
        if self._running:
            self._timer = asyncio.get_running_loop().call_later(delay, self.go)
