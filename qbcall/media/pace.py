"""Real time on the event loop's clock."""

from __future__ import annotations

import asyncio


class Pace:
    """Ticks at an even rate, counted from the first one; drifts never, and skips what is too late."""

    def __init__(self, interval: float, *, patience: float = 0.0) -> None:
        """Make one that starts with its first tick.

        Args:
            interval: seconds between two ticks.
            patience: seconds that a tick may be late and still be made up for; a later one is skipped.
        """
        self._interval = interval
        self._patience = max(patience, interval)
        self._start: float | None = None
        self._next = 0

    async def tick(self) -> int:
        """Wait until the next tick is due; gives its number, from 0. Numbers are left out when ticks are skipped."""
        now = asyncio.get_running_loop().time()
        if self._start is None:
            self._start = now
        late = now - (self._start + self._next * self._interval)
        if late > self._patience:
            self._next += int(late / self._interval)
        number = self._next
        self._next += 1
        # Sleeping 0 s lets others run, even when this one is behind.
        await asyncio.sleep(max(0.0, self._start + number * self._interval - now))
        return number
