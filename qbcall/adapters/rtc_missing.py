"""Packets that did not come: when to ask for them, again, and when no more (RFC 4585, section 6.2.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MOST_TRIES = 5
"""How often one packet is asked for."""
FIRST_ROUND_TRIP = 0.08
"""Seconds that a repetition is taken to need before the first one came."""
LEAST_INTERVAL, MOST_INTERVAL = 0.03, 0.2
"""Seconds between two requests for the same packet."""
PATIENCE = 0.3
"""Seconds for which a packet is waited for; a complete picture comes in less."""
WEIGHT = 0.125
"""Of a new round trip in the smoothed one (RFC 6298, section 2)."""
AT_FIRST = 0.3
"""Seconds between the first requests for a complete picture: senders make no more than one in this time."""
LATER = 1.0
"""Seconds between the requests after the first ones."""
FIRST_REQUESTS = 5
"""How many requests follow one another soon."""
MOST_REQUESTS = 15
"""How often a peer that sends nothing is asked."""


class Wish:
    """For a complete picture: when to ask, and again (RFC 4585, section 6.3.1)."""

    def __init__(self) -> None:
        self._requests = 0
        self._at = 0.0

    def wait(self, at: float) -> None:
        """Ask no sooner."""
        self._at = at

    def due(self, now: float) -> bool:
        """Whether to ask now; it counts as done."""
        if now < self._at:
            return False
        self._requests += 1
        self._at = now + (AT_FIRST if self._requests < FIRST_REQUESTS else LATER)
        return True

    def fulfil(self) -> None:
        """It came; the next wish can be told at once, but not sooner than senders can fulfil it."""
        self._requests = 0

    @property
    def next_at(self) -> float | None:
        """When to ask even if no packet comes; None: then never."""
        return self._at if self._requests < MOST_REQUESTS else None


@dataclass(slots=True)
class _Gap:
    since: float
    asked_at: float = 0.0
    tries: int = 0


class Missing:
    """The numbers of packets that are waited for."""

    def __init__(self) -> None:
        self._gaps: dict[int, _Gap] = {}
        self._round_trip = FIRST_ROUND_TRIP

    def __len__(self) -> int:
        return len(self._gaps)

    def note(self, numbers: Iterable[int], now: float) -> None:
        """These did not come."""
        for number in numbers:
            self._gaps[number] = _Gap(now)

    def came(self, number: int, now: float) -> None:
        """This one came after all."""
        gap = self._gaps.pop(number, None)
        if gap is not None and gap.tries == 1:  # otherwise nobody knows which request it answers
            self._round_trip += WEIGHT * (now - gap.asked_at - self._round_trip)

    def forget(self, numbers: Iterable[int]) -> None:
        """These are waited for no more."""
        for number in numbers:
            self._gaps.pop(number, None)

    def clear(self) -> None:
        """Nothing is waited for."""
        self._gaps.clear()

    def due(self, now: float) -> list[int]:
        """Those to ask for now; it counts as done."""
        numbers = [number for number, gap in self._gaps.items() if self._ask_at(gap) <= now]
        for number in numbers:
            gap = self._gaps[number]
            gap.asked_at, gap.tries = now, gap.tries + 1
        return numbers

    def overdue(self, now: float) -> list[int]:
        """Those that are not worth waiting for any more."""
        return [number for number, gap in self._gaps.items() if now - gap.since >= PATIENCE]

    @property
    def numbers(self) -> list[int]:
        """All that are waited for."""
        return list(self._gaps)

    @property
    def next_at(self) -> float | None:
        """When there is something to do; None: never."""
        return min((min(self._ask_at(gap), gap.since + PATIENCE) for gap in self._gaps.values()), default=None)

    def _ask_at(self, gap: _Gap) -> float:
        if not gap.tries:
            return gap.since
        if gap.tries >= MOST_TRIES:
            return float("inf")
        return gap.asked_at + min(max(1.25 * self._round_trip, LEAST_INTERVAL), MOST_INTERVAL)
