"""Scales, ticks and labels of a plot. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

STEPS = (1, 2, 5, 10)
TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Seconds between two labels of a time axis."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to coordinates."""

    low: float
    high: float
    """Above `low`."""
    start: float
    end: float
    """Coordinates of `low` and `high`."""

    def at(self, value: float) -> float:
        """The coordinate; values beyond the ends are put there."""
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values from `low` on, with `high` at or below the last one."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low, low + 1]
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in STEPS if step * power >= rough * 0.999)
    return [low + step * place for place in range(math.ceil(span / step - 1e-9) + 1)]


def time_ticks(end: float, most: int = 8) -> list[float]:
    """Round times from 0 to `end`."""
    step = next((step for step in TIMES if end / step <= most), TIMES[-1] * math.ceil(end / most / TIMES[-1]))
    return [float(step * place) for place in range(int(end / step) + 1)]


def clock(seconds: float) -> str:
    """As on a stopwatch: `0:07`, `1:02:03`."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def exact(seconds: float) -> str:
    """The same to a tenth of a second."""
    return f"{clock(round(seconds, 1))}.{round(seconds * 10) % 10}"


def number(value: float) -> str:
    """Three digits that count: `0.05`, `12.3`, `1234`."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "-"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 3)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
