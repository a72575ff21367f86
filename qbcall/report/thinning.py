"""A list that never grows beyond a limit: what is older is told in less detail. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Thinned(Generic[T]):
    """Keeps what comes at an interval; at the limit every other one goes, and the interval doubles."""

    def __init__(self, interval: float, limit: int, *, slack: float) -> None:
        """`interval` and `slack`, how much sooner one may come, in seconds; `limit` is at least 2."""
        self._interval = interval
        self._slack = slack
        self._limit = limit
        self._kept: list[tuple[float, T]] = []
        self._due = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether the next one is to be kept."""
        return now >= self._due

    def add(self, now: float, one: T) -> None:
        """Keep this one."""
        self._kept.append((now, one))
        if len(self._kept) >= self._limit:
            del self._kept[1::2]
            self._interval *= 2
        self._due = now + self._interval - self._slack

    def __iter__(self) -> Iterator[tuple[float, T]]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
