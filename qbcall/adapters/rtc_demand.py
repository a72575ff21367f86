"""What the peers ask of an encoder that they share: how many bits a second, and when a complete picture.

Rules only: time is an argument, in seconds of a clock that never goes back.
"""

from __future__ import annotations

import math

RUNGS = (100_000, 150_000, 250_000, 350_000, 500_000, 700_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000)
"""Bits per second that pictures are encoded with. An encoder cannot change its rate: each change costs a new one, and
a complete picture with it."""
START = 500_000
"""Bits per second as long as no peer has asked for anything."""
PATIENCE = 2.0
"""Seconds that more must have been asked for before more is sent."""
SPACING = 0.3
"""Seconds between complete pictures, however many ask for them: each is many times as large as a change."""
SLACK = 0.001
"""Seconds that make no difference: timers are not exact."""
HEAVY, LIGHT = 0.1, 0.02
"""Parts of the packets that are lost, above and below which a peer is sent less and more (the loss based control of
draft-ietf-rmcat-gcc, section 6)."""
GROWTH = 1.08
"""Factor of the rate for each report of light loss (the same draft)."""
REPORT_INTERVAL, REPORT_PACKETS = 0.5, 10
"""Seconds and packets that a judgement of the loss needs at least: few packets say little."""


class Demand:
    """How much one peer can take, by its own estimate (REMB) and by what it loses."""

    def __init__(self) -> None:
        self._estimate: int | None = None
        self._allowance: float | None = None
        """Bits per second that losses leave; None: they take nothing away."""
        self._reported: tuple[float, int, int] | None = None

    @property
    def bits(self) -> int | None:
        """Bits per second; None: the peer has not said anything yet."""
        known = [one for one in (self._estimate, self._allowance) if one is not None]
        return round(min(known)) if known else None

    def estimate(self, bits: int) -> None:
        """The peer's estimate of what its path carries (draft-alvestrand-rmcat-remb)."""
        self._estimate = bits

    def report(self, at: float, *, lost: int, highest: int, rate: int) -> None:
        """A receiver report (RFC 3550, section 6.4.1) while `rate` bits per second were sent.

        `lost` and `highest` are its cumulative number of packets lost and its highest sequence number.
        """
        if self._reported is None:
            self._reported = (at, lost, highest)
            return
        since, lost_before, highest_before = self._reported
        expected = highest - highest_before
        if 0 <= expected < REPORT_PACKETS or (expected > 0 and at - since < REPORT_INTERVAL):
            return
        self._reported = (at, lost, highest)
        if expected > 0:  # else the peer began to count anew
            self._judge(min(max((lost - lost_before) / expected, 0.0), 1.0), rate)

    def _judge(self, loss: float, rate: int) -> None:
        before = rate if self._allowance is None else min(self._allowance, rate)
        if loss > HEAVY:
            self._allowance = max(before * (1 - loss / 2), RUNGS[0])
        elif loss < LIGHT and self._allowance is not None:
            self._allowance *= GROWTH
            if self._allowance > RUNGS[-1]:
                self._allowance = None


class Ladder:
    """Turns what is asked for into the rate of an encoder: down at once, up only when it lasts."""

    def __init__(self, most: int, start: int = START) -> None:
        """`most`: bits per second above which the codec is not asked to go."""
        self.rate = start
        """Bits per second."""
        self._most = most
        self._higher: tuple[float, int] | None = None
        """Since when more is asked for, and the least of it."""

    def climb(self, at: float, asked: int) -> int:
        """The rate from now on, when `asked` bits per second are asked for."""
        rung = max((one for one in RUNGS if one <= min(asked, self._most)), default=RUNGS[0])
        if rung <= self.rate:
            self.rate, self._higher = rung, None
            return self.rate
        since, least = self._higher or (at, rung)
        self._higher = (since, min(least, rung))
        if at - since >= PATIENCE:
            self.rate, self._higher = min(least, rung), None
        return self.rate


class Completions:
    """Merges requests for a complete picture: one is enough for all, and no two come close together."""

    def __init__(self) -> None:
        self._wanted = False
        self._made = -math.inf

    def ask(self) -> None:
        """Somebody needs one; this is not forgotten until one is made."""
        self._wanted = True

    def wait(self, at: float) -> float | None:
        """Seconds until one may be made; 0: now. None: nobody needs one."""
        return max(0.0, self._made + SPACING - at) if self._wanted else None

    def are_due(self, at: float) -> bool:
        """Whether one is needed and may be made."""
        wait = self.wait(at)
        return wait is not None and wait < SLACK

    def made(self, at: float) -> None:
        """One was made: for all who asked before."""
        self._wanted, self._made = False, at

    def is_recent(self, at: float) -> bool:
        """Whether the next one would have to wait."""
        return at - self._made < SPACING
