"""What becomes of the media that one user sends here, judged from counters and time. Pure: looks come from outside.

A sender that is muted still sends (qbcall: silence and a black picture; browsers do the same where a track is not
enabled). So no packets mean that something is wrong, but for two cases. A sender may say that it sends no more (RTCP
BYE). And a browser whose video track was taken away says so only in its reports, which come about once a second and
do not count on: its picture is given time for two of them, as long as its sound comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qbcall.core.model import Counts, MediaKind, Reception

STALL = 1.25
"""Seconds without a packet; browsers repeat a screen that does not change once a second."""
BLIND = 1.5
"""Seconds in which packets come and nothing comes out of them."""
START = 3.0
"""Seconds that the first packet and the first frame may take: devices are opened, key frames asked for."""
PAUSE = 4.0
"""Seconds without a packet of a picture that its sender may have taken away."""
LONGEST_LOOK = 0.5
"""Seconds between two looks that count; where this process was held up, packets wait to be read."""

Change = tuple[MediaKind, Reception, Reception]
"""Kind, old, new."""


class Direction:
    """One kind of media of one user."""

    def __init__(self) -> None:
        self.state = Reception.IDLE
        self.quiet = 0.0
        """Seconds without a packet."""
        self._blind = 0.0
        self._paused = False
        self._counts = Counts()
        self._at: float | None = None
        self._patience = START

    def begin(self) -> None:
        """Another peer connection carries it from now on."""
        self._counts = Counts()
        self._rest()

    def lose(self) -> None:
        """The connection is lost; maybe it comes back."""
        self.state = Reception.LOST
        self._rest()

    def look(self, counts: Counts, now: float, patience: float) -> None:
        """Judge anew.

        Args:
            counts: all since the peer connection began.
            now: seconds.
            patience: seconds without a packet that are no fault yet; `PAUSE`: the sender may pause.
        """
        step = 0.0 if self._at is None else min(now - self._at, LONGEST_LOOK)
        before, self._counts, self._at = self._counts, counts, now
        moved, seen = counts.packets != before.packets, counts.frames != before.frames
        self.quiet = 0.0 if moved else round(self.quiet + step, 3)
        self._blind = 0.0 if seen else round(self._blind + (step if moved else 0.0), 3)
        if moved:
            self._paused = False
        elif counts.reports != before.reports and before.reports:
            self._paused = counts.announced == before.announced
        self.state = self._judged(seen, max(patience, self._patience), may_pause=patience == PAUSE)

    def _rest(self) -> None:
        self.quiet = self._blind = 0.0
        self._paused, self._at = False, None

    def _judged(self, seen: bool, patience: float, *, may_pause: bool) -> Reception:
        if self.quiet >= patience:
            self._blind = 0.0
            rests = self._counts.ended or (may_pause and (self._paused or not self._counts.packets))
            return Reception.IDLE if rests else Reception.STALLED
        if seen:
            self._patience = STALL
            return Reception.FLOWING
        return Reception.SILENT if self._blind >= max(BLIND, self._patience) else self.state


class Directions:
    """All that comes from one user."""

    def __init__(self) -> None:
        self._kinds: dict[MediaKind, Direction] = {}
        self._epoch = 0

    @property
    def states(self) -> dict[MediaKind, Reception]:
        """What becomes of each kind that is to come."""
        return {kind: one.state for kind, one in self._kinds.items() if one.state is not Reception.IDLE}

    def look(
        self, counts: Mapping[MediaKind, Counts], now: float, *, epoch: int, may_pause: bool
    ) -> Iterator[Change]:
        """Judge anew.

        Args:
            counts: of the kinds that are to come.
            now: seconds.
            epoch: which peer connection counted.
            may_pause: the user's client may stop its picture without a fault.
        """
        before = self.states
        fresh, self._epoch = epoch != self._epoch, epoch
        for kind in counts:
            one = self._kinds.setdefault(kind, Direction())
            if fresh:
                one.begin()
        for kind in self._kinds.keys() - counts.keys():
            del self._kinds[kind]
        for kind, count in counts.items():
            sound = self._kinds.get(MediaKind.AUDIO)
            sounds = sound is not None and sound.state is Reception.FLOWING and not sound.quiet >= STALL
            pause = may_pause and kind is MediaKind.VIDEO and sounds
            self._kinds[kind].look(count, now, PAUSE if pause else STALL)
        yield from self._changes(before)

    def lose(self) -> Iterator[Change]:
        """The connection is lost."""
        before = self.states
        for one in self._kinds.values():
            one.lose()
        yield from self._changes(before)

    def _changes(self, before: Mapping[MediaKind, Reception]) -> Iterator[Change]:
        now = self.states
        for kind in MediaKind:
            old, new = before.get(kind, Reception.IDLE), now.get(kind, Reception.IDLE)
            if old is not new:
                yield kind, old, new
