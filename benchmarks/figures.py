"""How figures are told: medians with their spread, ratios of what was measured side by side."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line."""

    what: str
    value: str
    spread: str = ""
    goal: str = ""
    """What is to be reached, if anything is."""

    def __str__(self) -> str:
        beside = "; ".join(filter(None, (self.goal and f"to reach: {self.goal}", self.spread)))
        return f"{self.what}: {self.value}" + (f" ({beside})" if beside else "")


def milliseconds(what: str, samples: Sequence[float], goal: str = "") -> Figure:
    """Seconds, told in milliseconds."""
    values = [sample * 1e3 for sample in samples]
    return Figure(what, f"{statistics.median(values):.1f} ms", spread(values), goal)


def ratio(what: str, samples: Sequence[float], yardstick: Sequence[float], goal: str = "") -> Figure:
    """How many times as much as the yardstick, pair by pair: both were measured in turn."""
    ratios = [sample / bare for sample, bare in zip(samples, yardstick, strict=True)]
    return Figure(what, f"{statistics.median(ratios):.2f}", spread(ratios, digits=2), goal)


def middle(what: str, samples: Sequence[float], unit: str = "", goal: str = "", digits: int = 1) -> Figure:
    """The median."""
    value = f"{statistics.median(samples):.{digits}f}"
    return Figure(what, f"{value} {unit}".strip(), spread(samples, digits), goal)


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Least, greatest, and how many."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}, n={len(values)}"
