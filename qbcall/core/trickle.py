"""Candidates of ours that are found after the offer or answer: kept until the peer can use them (RFC 8838)."""

from __future__ import annotations

from collections.abc import Iterable

from qbcall.core.model import Candidate

SETTLE_TIME = 0.1
"""Seconds that a peer has to take our answer before candidates follow. QuickBlox's JS SDK puts those that come too
early aside, and looks at them again only when more come (2.17: `addCandidates` of its peer connection)."""


class Trickle:
    """Those for one peer connection."""

    def __init__(self) -> None:
        self._found: list[Candidate] = []
        self._sent = 0
        self._usable_at: float | None = None

    def keep(self, some: Iterable[Candidate]) -> None:
        """These were found."""
        self._found.extend(some)

    def open(self, at: float) -> None:
        """From then on the peer can use all that were found, and it has none of them."""
        self._usable_at = at
        self._sent = 0

    def take(self, now: float) -> tuple[Candidate, ...]:
        """Those to be sent now, in one signal."""
        if self._usable_at is None or now < self._usable_at:
            return ()
        some = tuple(self._found[self._sent :])
        self._sent = len(self._found)
        return some
