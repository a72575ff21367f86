"""How long frames take at least: whatever more there is, is a machine or a network that was busy. Pure."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 5.0
"""Seconds for which the least delay is remembered, at least: clocks drift."""
LEAP = 2.0
"""Seconds by which a frame may come late; more: its stream counts anew."""


@dataclass(slots=True)
class LeastDelay:
    """The least of the last seconds."""

    least: float = float("inf")
    """Seconds."""
    _present: float = float("inf")
    _since: float = -float("inf")

    def add(self, now: float, delay: float) -> None:
        """One took so many seconds until now."""
        if delay > self.least + LEAP:
            self.least = self._present = float("inf")
        if now - self._since > WINDOW:
            self.least, self._present, self._since = self._present, float("inf"), now
        self._present = min(self._present, delay)
        self.least = min(self.least, self._present)
