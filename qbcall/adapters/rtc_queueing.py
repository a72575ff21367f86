"""Whether packets of a peer wait in a queue: by how much longer each group of them needs than the one before. Pure.

A Kalman filter tells what comes of a queue and what of larger packets, and a threshold that adapts itself tells what
is much. The idea is that of draft-ietf-rmcat-gcc-02, section 5; the numbers are aiortc's, which has them from the
WebRTC project.
"""

from __future__ import annotations

import math
from collections import deque

from aiortc.rate import BandwidthUsage

LATEST = 60
"""Groups of which the shortest interval counts."""
MOST_GROUPS = 1000
"""Groups that are counted."""
SETTLED = 300
"""Groups after which less is learned from each."""
WOBBLE = 1e-13, 1e-3
"""How much slope and offset may change from group to group: variances."""
UP, DOWN = 0.0087, 0.039
"""Parts of its distance that the threshold moves in a millisecond."""
LEAST, MOST = 6.0, 600.0
"""Of the threshold."""
OUTLIER = 15
"""What is above the threshold by more than this does not move it."""
OVERUSE = 10
"""Milliseconds for which there has to be a queue."""
NORMAL, UNDERUSING, OVERUSING = BandwidthUsage.NORMAL, BandwidthUsage.UNDERUSING, BandwidthUsage.OVERUSING


class Shortest:
    """The least of the latest values."""

    def __init__(self) -> None:
        self.value = math.inf
        self._added = 0
        self._candidates: deque[tuple[int, float]] = deque()
        """Values that are less than all that follow, with their numbers."""

    def add(self, value: float) -> None:
        """One more."""
        self._added += 1
        candidates = self._candidates
        while candidates and candidates[-1][1] >= value:
            candidates.pop()
        candidates.append((self._added, value))
        if candidates[0][0] <= self._added - LATEST:
            candidates.popleft()
        self.value = candidates[0][1]


class Queueing:
    """Tells whether packets wait somewhere, by the times that groups of them needed."""

    def __init__(self) -> None:
        self.usage = NORMAL
        """Of the path."""
        self._groups = 0
        self._shortest = Shortest()
        """Interval, in milliseconds."""
        self._slope, self._offset, self._offset_before = 1 / 64, 0.0, 0.0
        """Milliseconds that each byte, and each group, takes longer."""
        self._variances = 100.0, 0.0, 0.1
        """Of the slope, of both together, and of the offset."""
        self._noise, self._noise_variance = 0.0, 50.0
        self._judged = 0.0
        self._threshold = 12.5
        self._adapted_at: int | None = None
        self._over: float | None = None
        """Milliseconds for which there has been a queue."""
        self._times_over = 0

    def note(self, came: int, sent: float, size: int, now: int) -> None:
        """A group came: milliseconds after the one before, sent so many after it; it is larger by so many bytes."""
        self._groups = min(self._groups + 1, MOST_GROUPS)
        self._shortest.add(sent)
        self._filter(came - sent, size)
        if self._groups > 1:
            self._judge(sent, now)

    def _filter(self, longer: float, size: int) -> None:
        slopes, both, offsets = self._variances
        slopes += WOBBLE[0]
        offsets += WOBBLE[1]
        change = self._offset - self._offset_before
        if (self.usage is OVERUSING and change < 0) or (self.usage is UNDERUSING and change > 0):
            offsets += 10 * WOBBLE[1]
        residual = longer - self._slope * size - self._offset
        if self.usage is NORMAL:
            self._hear(residual)
        of_slope, of_offset = slopes * size + both, both * size + offsets
        whole = self._noise_variance + of_slope * size + of_offset
        slope_gain, offset_gain = of_slope / whole, of_offset / whole
        self._variances = (
            slopes - slope_gain * of_slope,
            both - slope_gain * of_offset,
            offsets - offset_gain * of_offset,
        )
        self._offset_before = self._offset
        self._slope += slope_gain * residual
        self._offset += offset_gain * residual

    def _hear(self, residual: float) -> None:
        """Learn how much times differ in any case; of what is far away, not all counts."""
        most = 3 * math.sqrt(self._noise_variance)
        noise = min(max(residual, -most), most)
        weight = (0.998 if self._groups > SETTLED else 0.99) ** (self._shortest.value * 30 / 1000)
        self._noise = weight * self._noise + (1 - weight) * noise
        self._noise_variance = max(weight * self._noise_variance + (1 - weight) * (self._noise - noise) ** 2, 1.0)

    def _judge(self, sent: float, now: int) -> None:
        longer = min(self._groups, LATEST) * self._offset
        if longer > self._threshold:
            self._over = sent / 2 if self._over is None else self._over + sent
            self._times_over += 1
            if self._over > OVERUSE and self._times_over > 1 and self._offset >= self._judged:
                self._over, self._times_over = 0.0, 0
                self.usage = OVERUSING
        else:
            self._over, self._times_over = None, 0
            self.usage = UNDERUSING if longer < -self._threshold else NORMAL
        self._judged = self._offset
        self._adapt(abs(longer) - self._threshold, now)

    def _adapt(self, above: float, now: int) -> None:
        """The threshold follows what there is, so that peers whose times differ much are not taken for slow."""
        since = 0 if self._adapted_at is None else min(now - self._adapted_at, 100)
        self._adapted_at = now
        if above <= OUTLIER:
            moved = self._threshold + (DOWN if above < 0 else UP) * above * since
            self._threshold = max(LEAST, min(moved, MOST))
