"""Peer connections that only pretend: an answer fits exactly one offer, a path can be cut, packets tick."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from qbcall.core.effects import (
    AcceptOffer,
    AddCandidates,
    ApplyAnswer,
    CloseMedia,
    CreateOffer,
    MediaEffect,
    ReadStats,
    StartMedia,
)
from qbcall.core.inputs import (
    AnswerReady,
    CandidatesFound,
    IceChecking,
    IceConnected,
    IceFailed,
    Input,
    MediaBroke,
    MediaCounted,
    MediaFlowing,
    OfferReady,
    RemoteTrack,
    StatsRead,
)
from qbcall.core.model import (
    CallId,
    CallMedia,
    Candidate,
    Counts,
    Description,
    Device,
    Epoch,
    MediaKind,
    StatsReport,
    User,
)

FLOW = 0.5
"""Seconds between two `MediaFlowing` of a connection that is up."""
LOOK = 0.25
"""Seconds between two `MediaCounted`."""
CHECKS = 63.5
"""How long ICE tries before it gives up (aioice: seven STUN timeouts, the first of 0.5 s)."""


class Place(Protocol):
    """What the media need of the world."""

    def later(self, delay: float, what: Callable[[], object]) -> None:
        """Do something after a while."""

    def tell(self, device: Device, what: Input) -> None:
        """Tell an engine a fact."""

    def passes(self, every: float, step: float) -> bool:
        """Whether what happens every so many seconds happens in the present step."""

    def reaches(self, one: User, other: User) -> bool:
        """Whether packets pass between two users."""


@dataclass(slots=True, eq=False)
class Connection:
    """One pretended RTCPeerConnection."""

    device: Device
    user: User
    call: CallId
    peer: User
    epoch: Epoch
    media: CallMedia
    local: str = ""
    remote: str = ""
    other: Connection | None = None
    up: bool = False
    early: bool = False
    silent: float = 0.0
    counts: dict[MediaKind, Counts] = field(default_factory=dict)

    @property
    def name(self) -> tuple[Device, CallId, User, Epoch]:
        """What facts and effects call it."""
        return self.device, self.call, self.peer, self.epoch


@dataclass(kw_only=True)
class Stream:
    """How media goes from one user to another."""

    packets: frozenset[MediaKind] = frozenset(MediaKind)
    """Kinds whose packets arrive."""
    frames: frozenset[MediaKind] = frozenset(MediaKind)
    """Kinds whose packets can be decoded."""
    sent: frozenset[MediaKind] = frozenset(MediaKind)
    """Kinds that are sent at all."""
    ended: frozenset[MediaKind] = frozenset()
    """Kinds that the sender said goodbye to."""
    agreed: frozenset[MediaKind] = frozenset(MediaKind)
    every: float = 0.0
    """Seconds between packets, if more than between looks."""


class PretendMedia:
    """All peer connections of a world."""

    def __init__(self, world: Place) -> None:
        self.ready = 0.0
        """Seconds until an offer or answer is made."""
        self.ice = 0.1
        """Seconds until a path is found."""
        self.finds: tuple[float, ...] = ()
        """Seconds after an offer or answer at which one more candidate is found."""
        self.consent = 30.0
        """After so many seconds without a packet aioice ends the transport (RFC 7675; six checks of 5 s)."""
        self.broken: set[User] = set()
        """Users whose offers and answers cannot be made."""
        self.counting = False
        """Whether what comes is counted."""
        self.streams: dict[tuple[User, User], Stream] = {}
        """How media goes from one user to another, where it is not as it should be."""
        self.read = 0
        """Statistics that were asked for."""
        self.open: dict[tuple[Device, CallId, User, Epoch], Connection] = {}
        self._world = world
        self._by_sdp: dict[str, Connection] = {}
        self._count = itertools.count(1)

    def perform(self, device: Device, user: User, effect: MediaEffect) -> None:
        """Carry out one effect."""
        match effect:
            case CreateOffer() | AcceptOffer():
                made = Connection(device, user, effect.call, effect.peer, effect.epoch, effect.media)
                made.early = effect.early
                self._make(made, effect.offer if isinstance(effect, AcceptOffer) else None)
            case ApplyAnswer():
                self._apply(self.open[device, effect.call, effect.peer, effect.epoch], effect.answer)
            case CloseMedia():
                self._close(self.open.pop((device, effect.call, effect.peer, effect.epoch)))
            case StartMedia():
                started = self.open[device, effect.call, effect.peer, effect.epoch]
                assert started.early
                started.early = False
                if started.up:
                    self._tell_connected(started)
            case ReadStats():
                self.read += 1
                self._tell(self.open[device, effect.call, effect.peer, effect.epoch], StatsRead, report=StatsReport())
            case AddCandidates():
                assert (device, effect.call, effect.peer, effect.epoch) in self.open
            case _:
                raise AssertionError(effect)

    def end(self, device: Device) -> None:
        """The process of a device ends, and its connections with it."""
        self.open = {name: one for name, one in self.open.items() if one.device != device}

    def _make(self, made: Connection, offer: Description | None) -> None:
        self.open[made.name] = made
        if made.user in self.broken:
            self._tell(made, MediaBroke, after=self.ready, error="no encoder")
            return
        number = next(self._count)
        made.local = f"offer {number}" if offer is None else f"answer {number} to {offer.sdp.splitlines()[0]}"
        made.local += f"\na=fingerprint:sha-256 {made.device}"  # kept by a device that gets another resource
        self._by_sdp[made.local] = made
        for delay in () if made.early else self.finds:
            some = (Candidate(f"candidate:{made.user} {made.epoch} {delay:g}"),)
            self._tell(made, CandidatesFound, after=self.ready + delay, candidates=some)
        if offer is None:
            self._tell(made, OfferReady, after=self.ready, offer=Description(made.local))
            return
        made.remote = offer.sdp
        self._tell(made, AnswerReady, after=self.ready, answer=Description(made.local))
        self._check(made, self.ready)

    def _apply(self, offerer: Connection, answer: Description) -> None:
        offerer.remote = answer.sdp
        answerer = self._by_sdp.get(answer.sdp)
        if answerer is not None and answerer.remote == offerer.local:
            offerer.other, answerer.other = answerer, offerer
        self._check(offerer, 0.0)

    def _check(self, one: Connection, after: float) -> None:
        self._tell(one, IceChecking, after=after)
        self._world.later(after + self.ice, partial(self._try, one, CHECKS))

    def _try(self, one: Connection, left: float) -> None:
        other = one.other
        if one.name not in self.open or one.up:
            return
        if other is not None and other.name in self.open and self._world.reaches(one.user, other.user):
            for end in (one, other):
                end.up = True
                self._tell_connected(end)
                self._world.later(FLOW, partial(self._flow, end))
                if self.counting:
                    self._world.later(LOOK, partial(self._look, end))
        elif left <= 0:
            self._tell(one, IceFailed)
        else:
            self._world.later(1.0, partial(self._try, one, left - 1.0))

    def _tell_connected(self, end: Connection) -> None:
        self._tell(end, IceConnected)
        for kind in () if end.early else end.media.kinds:
            self._tell(end, RemoteTrack, kind=kind)

    def _flow(self, one: Connection) -> None:
        other = one.other
        if one.name not in self.open or not one.up or other is None:
            return
        if other.name in self.open and self._world.reaches(one.user, other.user):
            one.silent = 0.0
            self._world.tell(one.device, MediaFlowing(call=one.call, peer=one.peer, epoch=one.epoch))
        else:
            one.silent += FLOW
        if one.silent >= self.consent:
            self._end(one)
        else:
            self._world.later(FLOW, partial(self._flow, one))

    def _look(self, one: Connection) -> None:
        """Count: ten packets and five frames of each kind a look, and a report a second."""
        other = one.other
        if one.name not in self.open or not one.up or other is None:
            return
        stream = self.streams.get((other.user, one.user), Stream())
        there = other.name in self.open and self._world.reaches(one.user, other.user)
        for kind in one.media.kinds:
            was = one.counts.get(kind, Counts())
            now = was
            if there and kind in stream.sent:
                now = replace(now, announced=was.announced + 10)
            if there and self._world.passes(1.0, LOOK):
                now = replace(now, reports=was.reports + 1)
            if there and kind in stream.packets & stream.sent and self._world.passes(stream.every, LOOK):
                frames = was.frames + (5 if kind in stream.frames else 0)
                now = replace(now, packets=was.packets + 10, frames=frames)
            one.counts[kind] = replace(now, ended=kind in stream.ended)
        counts = {kind: count for kind, count in one.counts.items() if kind in stream.agreed}
        self._world.tell(one.device, MediaCounted(call=one.call, peer=one.peer, epoch=one.epoch, counts=counts))
        self._world.later(LOOK, partial(self._look, one))

    def _close(self, gone: Connection) -> None:
        other = gone.other
        if gone.up and other is not None and self._world.reaches(gone.user, other.user):
            self._world.later(0.001, partial(self._end, other))  # DTLS close_notify

    def _end(self, one: Connection) -> None:
        if one.name in self.open and one.up:
            one.up = False
            self._tell(one, IceFailed)

    def _tell(self, one: Connection, fact: Callable[..., Input], *, after: float = 0.0, **fields: object) -> None:
        told = fact(call=one.call, peer=one.peer, epoch=one.epoch, **fields)
        self._world.later(after, partial(self._world.tell, one.device, told))
