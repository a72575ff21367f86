"""Finds out when a received picture stands still. Pure."""

from __future__ import annotations

from collections import deque

USUAL = 30
"""Intervals that the usual one is the average of."""
TIMES = 3
MORE = 0.150
"""Seconds."""


class Freezes:
    """Counts freezes as the W3C defines them (webrtc-stats, `freezeCount`).

    An interval between two pictures is one if it is at least three times the average of the latest 30 ones, and at
    least 150 ms more than it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._seconds = 0.0
        self._intervals: deque[float] = deque(maxlen=USUAL)
        self._shown_at: float | None = None
        self._ever = False

    def show(self, now: float) -> None:
        """A picture is shown."""
        if self._shown_at is not None:
            interval = now - self._shown_at
            if self._is_freeze(interval):
                self._count += 1
                self._seconds += interval
            self._intervals.append(interval)
        self._shown_at = now
        self._ever = True

    def pause(self) -> None:
        """Nobody looks; what comes next is no end of a freeze."""
        self._shown_at = None

    def read(self, now: float) -> tuple[int, float] | tuple[None, None]:
        """How many there were and how many seconds they took, with one that goes on; None: nothing was ever shown."""
        if not self._ever:
            return None, None
        interval = 0.0 if self._shown_at is None else now - self._shown_at
        if self._is_freeze(interval):
            return self._count + 1, self._seconds + interval
        return self._count, self._seconds

    def _is_freeze(self, interval: float) -> bool:
        if not self._intervals:
            return False
        usual = sum(self._intervals) / len(self._intervals)
        return interval >= max(TIMES * usual, usual + MORE)
