"""When a peer is asked for a sign of life, and what its silence means. Pure: the time is told.

A peer that sends media is heard all the time, and asked now and then whether it still wants ours (RFC 7675). One that
says nothing is asked soon and often: so silence by intention, without sound or picture, is told from loss, a loss is
known within a second, and so is its end.
"""

from __future__ import annotations

import random
from collections.abc import Callable

ASK_INTERVAL = 5.0
"""Seconds, varied by a fifth, between two questions to a peer that is heard (RFC 7675, section 5.1)."""
PROBE_INTERVAL = 0.2
"""Seconds between two questions to a peer that is not heard, or does not answer."""
QUIET = 0.3
"""Seconds without a datagram after which a peer is asked whether it is there."""
LOST = 1.0
"""Seconds without a datagram, some of them unanswered questions, after which the pair of addresses counts as lost."""
UNANSWERED = 3.0
"""Seconds without an answer after which it does, though the peer is heard: nothing of ours arrives there."""
CONSENT = 30.0
"""Seconds that an answer allows to send media (RFC 7675, section 5.1)."""
OVERSLEPT = 0.25
"""Seconds; whoever looks later than this was held up, and what came in meanwhile is not read yet."""


class Freshness:
    """What is known of the peer and of the selected pair of addresses. Times are seconds of one clock."""

    def __init__(self, now: float, draw: Callable[[], float] = random.random) -> None:
        """`draw` gives random numbers from 0 to 1."""
        self.heard_at = now
        """When the peer was last heard, on whichever pair."""
        self.lost = False
        """Nothing is heard of the peer, on no pair."""
        self.gone = False
        """The selected pair's address of ours does not exist any more."""
        self._draw = draw
        self._silent_since = now
        """When it was last heard, or later where this side was held up."""
        self._reached_at = now
        self._answered_at = now
        self._asked_at = now
        self._unanswered_since: float | None = None
        self._patience = self._next_patience()
        self._look_at = now + QUIET

    def heard(self, now: float, *, selected: bool) -> bool:
        """A datagram of the peer came, on the selected pair or another; True: the peer had been lost."""
        was_lost, self.lost = self.lost, False
        self.heard_at = self._silent_since = now
        if selected:
            self._reached_at = now
        return was_lost

    def asked(self, now: float) -> None:
        """The peer was asked on the selected pair."""
        self._asked_at = now
        self._patience = self._next_patience()
        if self._unanswered_since is None:
            self._unanswered_since = now

    def answered(self, now: float) -> None:
        """The peer answered on the selected pair, and what is sent arrives there."""
        self._answered_at = self._reached_at = now
        self._unanswered_since = None

    def selected(self, now: float) -> None:
        """Another pair is the selected one: an answer came over it."""
        self.gone = False
        self.answered(now)

    def look(self, now: float) -> None:
        """Draw conclusions from silence."""
        if now > self._look_at + OVERSLEPT:
            self._forgive(now)
        self.lost = self.lost or now - self._silent_since >= LOST
        self._look_at = now + self.pause(now)

    def pause(self, now: float) -> float:
        """Seconds until the next look."""
        if self._urgent(now):
            return PROBE_INTERVAL
        return max(self._reached_at + QUIET - now, PROBE_INTERVAL / 4)

    def must_ask(self, now: float) -> bool:
        """Whether the peer is to be asked on the selected pair."""
        waited = now - self._asked_at
        return waited >= (PROBE_INTERVAL * 0.9 if self._urgent(now) else self._patience)

    def is_broken(self, now: float) -> bool:
        """Whether other pairs are to be tried."""
        unanswered = self._unanswered_since is not None and now - self._unanswered_since >= UNANSWERED
        return self.gone or unanswered or now - self._reached_at >= LOST

    def quiet_for(self, now: float) -> float:
        """Seconds since the peer was heard on the selected pair."""
        return now - self._reached_at

    def may_send(self, now: float) -> bool:
        """Whether the peer's consent to receive media still holds."""
        return now - self._answered_at < CONSENT

    def _urgent(self, now: float) -> bool:
        waits = self._unanswered_since is not None and now - self._unanswered_since >= LOST
        return self.gone or waits or now - self._reached_at >= QUIET

    def _forgive(self, now: float) -> None:
        """Silence that may be this side's own proves nothing."""
        latest = now - QUIET
        self._silent_since = max(self._silent_since, latest)
        self._reached_at = max(self._reached_at, latest)
        if self._unanswered_since is not None:
            self._unanswered_since = max(self._unanswered_since, latest)

    def _next_patience(self) -> float:
        return ASK_INTERVAL * (0.8 + 0.4 * self._draw())
