"""The peer connections to one other user, and the candidates that go with them.

Each has a number, its epoch. There is a present one, and at times a fresh one that is to take its place: where a lost
connection is made anew, or while the call rings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qbcall.core.effects import AddCandidates, CloseMedia, Drop, StartMedia
from qbcall.core.inputs import CandidatesDue
from qbcall.core.machine import Region
from qbcall.core.model import CallId, Candidate, Epoch, User
from qbcall.core.room import Early, Room
from qbcall.core.signals import Candidates
from qbcall.core.trickle import SETTLE_TIME, Trickle

MAX_CANDIDATES = 50
"""Candidates of one peer that are used; a client has rarely more than 10."""


class Epochs:
    """The peer connections to one user."""

    def __init__(self, room: Room, user: User) -> None:
        self._room = room
        self._user = user
        self.newest = Epoch(0)
        self.present: Epoch | None = None
        self.fresh: Epoch | None = None
        """The one that is to take the place of the present one."""
        self.early: Early | None = None
        """What is known of `fresh` while the call rings, once an accept may name it."""
        self._ours = Trickle()
        self._theirs: list[Candidate] = []
        """Those that wait for a peer connection."""
        self._heard = 0
        """How many of theirs there were."""

    def concerns(self, epoch: Epoch) -> bool:
        """Whether a fact is about the present peer connection, or the one that is to take its place."""
        return epoch in (self.present, self.fresh)

    def prepare(self, *, trickle: bool = True) -> None:
        """One more peer connection, beside the present one; `trickle`: candidates are about it from now on."""
        self.discard()
        self.newest = self.fresh = Epoch(self.newest + 1)
        if trickle:
            self._heard = 0
            self._ours = Trickle()

    def adopt(self) -> None:
        """The fresh peer connection takes the place of the present one."""
        self._close(self.present)
        self.present, self.fresh = self.fresh, None
        self.early = None

    def start_early(self) -> None:
        """Media flows over the present one, which was made early: its description had all candidates."""
        self._theirs, self._ours = [], Trickle()
        self._room.out(StartMedia(call=self._call, peer=self._user, epoch=self.newest))

    def discard(self) -> None:
        """The fresh peer connection is not wanted any more."""
        self._close(self.fresh)
        self.fresh = self.early = None

    def close(self) -> None:
        """Nothing is wanted any more."""
        self.discard()
        self._close(self.present)
        self.present = None

    # -- candidates --------------------------------------------------------------------------------------------------

    def keep(self, candidates: tuple[Candidate, ...]) -> None:
        """More paths that the user offers; too early to use them."""
        room = MAX_CANDIDATES - self._heard
        if len(candidates) > room:
            self._room.out(Drop(why=f"more than {MAX_CANDIDATES} candidates", sender=self._user))
        some = candidates[:room]
        self._heard += len(some)
        self._theirs.extend(some)

    def use(self) -> None:
        """Try the paths that the user offers."""
        if self._theirs:
            some, self._theirs = tuple(self._theirs), []
            epoch = self.fresh or self.present
            assert epoch is not None, "candidates are kept until there is a peer connection"
            self._room.out(AddCandidates(call=self._call, peer=self._user, epoch=epoch, candidates=some))

    def find(self, candidates: Iterable[Candidate]) -> None:
        """More paths for the user to try, once their client can."""
        self._ours.keep(candidates)
        self.send()

    def trickle(self) -> None:
        """The user's answer is here: its client can use our candidates."""
        self._ours.open(self._room.now)
        self.send()

    def trickle_later(self, region: Region[Any, Any]) -> None:
        """Our answer is on its way: the user's client can use our candidates soon."""
        at = self._room.now + SETTLE_TIME
        self._ours.open(at)
        region.arm(CandidatesDue, at)

    def send(self) -> None:
        """Send those that the user's client can use now."""
        some = self._ours.take(self._room.now)
        if some:
            self._room.transmit(self._user, Candidates(call=self._call, candidates=some))

    # -- details -----------------------------------------------------------------------------------------------------

    @property
    def _call(self) -> CallId:
        return self._room.head.call

    def _close(self, epoch: Epoch | None) -> None:
        if epoch is not None:
            self._room.out(CloseMedia(call=self._call, peer=self._user, epoch=epoch))
