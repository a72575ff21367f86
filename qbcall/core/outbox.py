"""What was said and the server may not have: kept in order, said again after a break.

Only what nothing else repeats is kept. An invitation is repeated by its own timer, and a fresh offer for a lost
connection is made anew; sent late, they would do harm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from qbcall.core.effects import Transmit
from qbcall.core.signals import Accept, Decline, End, Message, Receipt, Signal, Update

KEPT = (Accept, Decline, End, Update, Message)
"""Signals whose loss nobody heals."""
MOST = 4096
"""Transmissions that wait; a mesh of four with as many messages as may wait in a call."""
LIFETIME = 120.0
"""Seconds after which a signal of a call means nothing any more."""


def must_be_kept(signal: Signal) -> bool:
    """Whether the loss of this signal would not be healed. A receipt is said anew whenever the link is back."""
    return isinstance(signal, KEPT) or (isinstance(signal, Receipt) and signal.again)


@dataclass(slots=True)
class Entry:
    """One transmission that the server did not confirm."""

    effect: Transmit
    """With its ticket."""
    expires: float
    """Seconds on the core's clock."""


class Outbox:
    """Unconfirmed transmissions, the oldest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, effect: Transmit, now: float, lifetime: float = LIFETIME) -> Transmit:
        """The transmission with a ticket; kept until it is confirmed."""
        self._tickets += 1
        effect = replace(effect, ticket=self._tickets)
        self._entries.append(Entry(effect, now + lifetime))
        if len(self._entries) > MOST:
            self._entries.popleft()
        return effect

    def confirm(self, ticket: int) -> list[Transmit]:
        """The server has all up to this ticket; these were not confirmed before."""
        confirmed = []
        while self._entries and (self._entries[0].effect.ticket or 0) <= ticket:
            confirmed.append(self._entries.popleft().effect)
        return confirmed

    def again(self, now: float) -> list[Transmit]:
        """What is said again on a new connection, in order and with new tickets; what is too old is dropped."""
        old, self._entries = self._entries, deque()
        return [self.keep(entry.effect, now, entry.expires - now) for entry in old if entry.expires > now]

    def clear(self) -> None:
        """Nothing of it is said again."""
        self._entries.clear()
