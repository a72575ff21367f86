"""Who receives what of whom in a call, as the application sees it: folded from events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qbcall.core import events as ev
from qbcall.core.model import CallId, Health, MediaKind, Reception, User

Pair = tuple[User, User]
"""Receiver, sender."""


class Pairs:
    """The matrix of one call, and the health of this user's part of it."""

    def __init__(self, me: User) -> None:
        self.health = Health.OK
        self._me = me
        self._cells: dict[Pair, dict[MediaKind, Reception]] = {}

    def fold(self, event: ev.CallEvent) -> None:
        """Take over what an event says, if it is about this."""
        match event:
            case ev.HealthChanged():
                self.health = event.new
            case ev.DirectionChanged():
                self._cells.setdefault((self._me, event.peer), {})[event.kind] = event.new
            case ev.MatrixChanged():
                self._cells.setdefault((event.receiver, event.sender), {})[event.kind] = event.new
            case ev.ParticipantLeft():
                self._cells = {pair: states for pair, states in self._cells.items() if event.peer not in pair}

    def matrix(self) -> Mapping[Pair, Mapping[MediaKind, Reception]]:
        """All that is known, a copy."""
        return {pair: dict(states) for pair, states in self._cells.items()}

    def present(self, call: CallId) -> Iterator[ev.CallEvent]:
        """The present state, told as events."""
        for (receiver, sender), states in self._cells.items():
            for kind, new in states.items():
                if new is Reception.IDLE:
                    continue
                if receiver == self._me:
                    yield ev.DirectionChanged(call=call, peer=sender, kind=kind, old=Reception.IDLE, new=new)
                else:
                    pair = {"receiver": receiver, "sender": sender}
                    yield ev.MatrixChanged(call=call, **pair, kind=kind, old=Reception.IDLE, new=new)
        if self.health is not Health.OK:
            yield ev.HealthChanged(call=call, old=Health.OK, new=self.health)
