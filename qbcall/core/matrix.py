"""Who receives what of whom: what this user counts, and what the others said; and how the call is because of it.

Each participant says all that it receives whenever that changes, at most once a second, to those whose client reads
it. Nothing is kept for later: who may have missed a report is told anew.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from qbcall.core import events as ev
from qbcall.core.effects import Drop, Effect, Emit
from qbcall.core.inputs import ReportDue, Timer
from qbcall.core.machine import Region, on, table
from qbcall.core.model import CallHead, Health, MediaKind, PeerState, Reception, User
from qbcall.core.peer import Peer
from qbcall.core.signals import ReceptionReport, Signal

EVERY = 1.0
"""Seconds between two reports, at least."""

Received = Mapping[User, Mapping[MediaKind, Reception]]
"""What one participant receives of the others; what is not named is IDLE."""


class Pace(enum.Enum):
    """Whether something may be said."""

    READY = "ready"
    RECENT = "recent"
    """A report was made just now."""


@dataclass(frozen=True, slots=True)
class Changed:
    """There is something to say."""


class MatrixRoom(Protocol):
    """What the matrix needs of its call."""

    me: User
    head: CallHead
    now: float
    """Seconds, the time of the present input."""
    present: list[User]
    """The other users who take part now."""
    peers: dict[User, Peer]

    @property
    def online(self) -> bool:
        """Whether something can be sent now."""

    def out(self, effect: Effect) -> None:
        """Ask the outside."""

    def transmit(self, to: User, signal: Signal) -> None:
        """Send, if there is a link."""


class Matrix:
    """The pairs of one call."""

    def __init__(self, room: MatrixRoom) -> None:
        self.room = room
        self.region = Region(MATRIX, self, Pace.READY)
        self.health = Health.OK
        self._said: Received = {}
        self._again = False
        self._told: dict[User, Received] = {}

    # -- what the call tells -----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Draw the conclusions of what this side counts."""
        if self.room.online and (self._again or self._mine() != self._said):
            self.region.feed(Changed())
        self._judge()

    def repeat(self) -> None:
        """Somebody may not know what was said."""
        self._again = bool(self._said)

    def left(self, user: User) -> None:
        """A user takes part no more; nothing is told of their pairs: that they left says it."""
        self._told.pop(user, None)
        for receiver, received in self._told.items():
            self._told[receiver] = {sender: states for sender, states in received.items() if sender != user}

    def hear(self, receiver: User, report: ReceptionReport) -> None:
        """Another participant says what it receives."""
        strangers = report.received.keys() - set(self.room.head.members)
        if strangers or receiver in report.received:
            self.room.out(Drop(why="a report about users whom its sender cannot receive", sender=receiver))
            return
        before = self._told.get(receiver, {})
        present = {self.room.me, *self.room.present}
        self._told[receiver] = now = {user: states for user, states in report.received.items() if user in present}
        for sender in self.room.head.members:
            for kind in MediaKind:
                old, new = _state(before, sender, kind), _state(now, sender, kind)
                if old is not new and sender in present:
                    self._tell_cell(receiver, sender, kind, old, new)

    # -- the owner of the region -------------------------------------------------------------------------------------

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`."""
        return self.room.now + EVERY

    def changed(self, old: Pace, new: Pace) -> None:
        """See `Owner`."""

    def report(self, what: Changed) -> None:
        """Say what this user receives."""
        self._said, self._again = self._mine(), False
        for user in self.room.present:
            if self.room.peers[user].receipts:
                self.room.transmit(user, ReceptionReport(call=self.room.head.call, received=self._said, brief=True))

    # -- details -----------------------------------------------------------------------------------------------------

    def _mine(self) -> Received:
        some = {user: self.room.peers[user].directions.states for user in self.room.present}
        return {user: states for user, states in some.items() if states}

    def _tell_cell(self, receiver: User, sender: User, kind: MediaKind, old: Reception, new: Reception) -> None:
        call = self.room.head.call
        self.room.out(
            Emit(ev.MatrixChanged(call=call, receiver=receiver, sender=sender, kind=kind, old=old, new=new))
        )

    def _judge(self) -> None:
        health = self._health([self.room.peers[user] for user in self.room.present])
        if health is not self.health:
            old, self.health = self.health, health
            self.room.out(Emit(ev.HealthChanged(call=self.room.head.call, old=old, new=health)))

    def _health(self, peers: Sequence[Peer]) -> Health:
        lost = sum(peer.state in (PeerState.DISCONNECTED, PeerState.FAILED) for peer in peers)
        if lost and not any(peer.state is PeerState.CONNECTED for peer in peers):
            return Health.LOST
        here = (state for peer in peers for state in peer.directions.states.values())
        there = (state for told in self._told.values() for state in told.get(self.room.me, {}).values())
        return Health.DEGRADED if lost or any(state.bad for some in (here, there) for state in some) else Health.OK


def _state(received: Received, sender: User, kind: MediaKind) -> Reception:
    return received.get(sender, {}).get(kind, Reception.IDLE)


MATRIX = table(
    "MATRIX",
    on(Pace.READY, Changed, Pace.RECENT, Matrix.report),
    on(Pace.RECENT, ReportDue, Pace.READY),
    timers={Pace.RECENT: (ReportDue,)},
)
