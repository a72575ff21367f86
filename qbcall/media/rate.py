"""Frames per second."""

from __future__ import annotations

from collections import deque

WINDOW = 120
"""The newest frames that are looked at."""
SPAN = 3.0
"""Seconds that are looked at."""


class Rate:
    """Counts when frames come."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=WINDOW)

    def count(self, now: float) -> None:
        """A frame came, at this second."""
        self._times.append(now)

    def at(self, now: float) -> float:
        """Frames per second over the last 3 s; sinks from 1 s after the newest frame on, to 0."""
        recent = [time for time in self._times if now - time <= SPAN]
        if len(recent) < 2 or recent[-1] == recent[0]:
            return 0.0
        pause = max(now - recent[-1] - 1.0, 0.0)
        return (len(recent) - 1) / (recent[-1] - recent[0] + pause)
