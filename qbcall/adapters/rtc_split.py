"""Who gets a small picture of its own: a peer that can take far less than the others would pull all of them down.

Rules only: time is an argument, in seconds of a clock that never goes back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping
from itertools import pairwise
from typing import Generic, TypeVar

from qbcall.adapters.rtc_demand import PATIENCE, RUNGS, START

FAR, NEAR = 2, 1
"""Rungs below the others from which on a peer is set apart (half of their rate or less), and up to which it may come
back. In between it stays where it is."""
PATIENCE_GROWTH, MOST_PATIENCE = 2, 32.0
"""Factor of the time that a peer must have been near to come back, for each time that it fell; and its end, in
seconds: what goes up and down would cost all others a complete picture each time."""

Peer = TypeVar("Peer", bound=Hashable)


class Split(Generic[Peer]):
    """Sets peers apart at once, and takes them back when they have recovered for some time."""

    def __init__(self) -> None:
        self._near_since: dict[Peer, float | None] = {}
        """Of those set apart; None: it is not near."""
        self._patience: dict[Peer, float] = {}

    def divide(self, at: float, asked: Mapping[Peer, int | None]) -> frozenset[Peer]:
        """Those that get the small picture. There is always somebody left for the large one.

        `asked` is what each peer can take, in bits per second; None: it has not said anything yet.
        """
        self._forget(asked)
        steps = _steps(asked)
        for peer in _far_below(steps) - self._near_since.keys():
            self._patience[peer] = min(
                self._patience.get(peer, PATIENCE / PATIENCE_GROWTH) * PATIENCE_GROWTH, MOST_PATIENCE
            )
            self._near_since[peer] = None
        level = min((step for peer, step in steps.items() if peer not in self._near_since), default=0)
        for peer in tuple(self._near_since):
            self._observe(at, peer, near=steps[peer] >= level - NEAR)
        if self._near_since.keys() == asked.keys():  # the others have left
            self._near_since.clear()
        return frozenset(self._near_since)

    def _forget(self, asked: Mapping[Peer, int | None]) -> None:
        for known in (self._near_since, self._patience):
            for gone in known.keys() - asked.keys():
                del known[gone]

    def _observe(self, at: float, peer: Peer, *, near: bool) -> None:
        since = self._near_since[peer]
        if not near:
            self._near_since[peer] = None
        elif since is None:
            self._near_since[peer] = at
        elif at - since >= self._patience[peer]:
            del self._near_since[peer]


def _steps(asked: Mapping[Peer, int | None]) -> dict[Peer, int]:
    """The number of each peer's rung. Who has said nothing yet is taken for one of the best."""
    known = [_step(bits) for bits in asked.values() if bits is not None]
    best = max([*known, _step(START)])
    return {peer: best if bits is None else _step(bits) for peer, bits in asked.items()}


def _step(bits: int) -> int:
    return max(bisect_right(RUNGS, bits) - 1, 0)


def _far_below(steps: Mapping[Peer, int]) -> set[Peer]:
    """Those below the widest gap, if it is wide enough."""
    gaps = [(upper - lower, lower) for lower, upper in pairwise(sorted(steps.values()))]
    width, below = max(gaps, key=lambda gap: gap[0], default=(0, 0))
    return {peer for peer, step in steps.items() if step <= below} if width >= FAR else set()
