"""A network that is as bad as somebody asked for: what becomes of each datagram. Pure, with the time as argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qbcall.errors import InvalidArgument

HEADERS = 28
"""Bytes of a datagram besides its content: IPv4 and UDP. They take their part of a rate."""
LONGEST_QUEUE = 0.3
"""Seconds of traffic that wait before a line of limited rate; what comes then is dropped, as by a router."""


@dataclass(frozen=True, slots=True)
class Blackout:
    """A span in which nothing passes, in seconds."""

    length: float
    start: float
    """After the first packet of media of the call, sent or received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What one direction of a network does to datagrams.

    Raises:
        InvalidArgument: `jitter` is longer than `delay`.
    """

    loss: float = 0.0
    """Part of the datagrams that is lost, each by itself."""
    delay: float = 0.0
    """Seconds that each is on its way."""
    jitter: float = 0.0
    """Seconds that it is faster or slower than `delay`, at most; evenly spread, so datagrams overtake each other."""
    rate: float = 0.0
    """Bit/s that pass, headers included; 0: no limit."""
    blackouts: tuple[Blackout, ...] = ()

    def __post_init__(self) -> None:
        if self.jitter > self.delay:
            raise InvalidArgument(f"jitter must be at most the delay ({self.delay:g} s), not {self.jitter:g} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """Both directions of the network of one participant."""

    up: Conditions = Conditions()
    """For what is sent."""
    down: Conditions = Conditions()
    """For what is received."""
    seed: int | None = None
    """Of the random numbers, which begin anew with each call; None: of any."""


class Crossing:
    """One direction: says for each datagram when it arrives."""

    def __init__(self, conditions: Conditions, chance: Callable[[], float]) -> None:
        """`chance` gives random numbers from 0 to below 1: two for each datagram, whatever becomes of it."""
        self._conditions = conditions
        self._chance = chance
        self._line_is_free_at = 0.0

    def arrival(self, now: float, size: int, began: float | None) -> float | None:
        """When a datagram arrives that is sent now; None: never.

        Without jitter none is earlier than the one before it.

        Args:
            now: seconds on the caller's clock, never less than before.
            size: bytes of its content.
            began: when the first packet of media passed by; None: none did.
        """
        lost, spread = self._chance() < self._conditions.loss, self._chance()
        if lost:
            return None
        sent = self._through_the_line(now, size)
        if sent is None:
            return None
        at = sent + self._conditions.delay + self._conditions.jitter * (2.0 * spread - 1.0)
        return None if began is not None and self._is_dark(now - began, at - began) else at

    def _through_the_line(self, now: float, size: int) -> float | None:
        """When its last bit is sent; None: too many wait before it."""
        if not self._conditions.rate:
            return now
        start = max(now, self._line_is_free_at)
        if start - now > LONGEST_QUEUE:
            return None
        self._line_is_free_at = start + (size + HEADERS) * 8 / self._conditions.rate
        return self._line_is_free_at

    def _is_dark(self, left: float, arrives: float) -> bool:
        """Whether it is on its way during a blackout."""
        return any(left < one.start + one.length and arrives >= one.start for one in self._conditions.blackouts)
