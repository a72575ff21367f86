"""How much each sender may say: a token bucket for each, so that a flood of one disturbs no other."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from qbcall.core.model import User

RATE = 500.0
"""Messages per second that are read of one sender for as long as it likes; reading one costs about 0.1 ms."""
BURST = 2000.0
"""Messages that are read of one sender at once: twice what can wait in one call while its link is away."""
MOST_SENDERS = 1000
"""So many are remembered: who was not heard for the longest time may start anew."""


@dataclass(slots=True)
class Level:
    """The bucket of one sender."""

    tokens: float
    at: float
    """Seconds on the caller's clock, of the last change."""


class TokenBuckets:
    """Who may say how much more. Messages above that are not read; qbcall's own are sent again by their sender."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        """`rate` in messages per second, `burst` in messages."""
        self._rate = rate
        self._burst = burst
        self._levels: OrderedDict[User, Level] = OrderedDict()

    def take(self, sender: User, now: float) -> bool:
        """One more message of this sender came; whether it is to be read."""
        level = self._levels.pop(sender, None) or Level(self._burst, now)
        level.tokens = min(self._burst, level.tokens + (now - level.at) * self._rate)
        level.at = now
        self._levels[sender] = level
        if len(self._levels) > MOST_SENDERS:
            self._levels.popitem(last=False)
        if level.tokens < 1.0:
            return False
        level.tokens -= 1.0
        return True
