"""One other user of a call: what is known of them, and what is done.

Two regions hear the same inputs: `connection.py` has the rules of QuickBlox's peer connection state,
`reconnection.py` watches over a connection that was up. How both sides agree on one is in `agreeing.py`, how it
ends in `ending.py`. The peer connections are in `epochs.py`. A peer that is over hears nothing any more: that gate
is in `Peer.feed`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from qbcall.core import events as ev
from qbcall.core.effects import Drop, Emit, ReadStats
from qbcall.core.epochs import Epochs
from qbcall.core.health import Change, Directions
from qbcall.core.inputs import (
    AnswerDue,
    CandidatesDue,
    CandidatesFound,
    ConnectDue,
    MediaCounted,
    MediaFact,
    MediaFlowing,
    RemoteTrack,
    SendUpdate,
    StallDue,
    StatsDue,
    StatsRead,
    Timer,
)
from qbcall.core.machine import Region, Table
from qbcall.core.model import (
    CallId,
    Description,
    Device,
    EndReason,
    MediaKind,
    PeerState,
    User,
)
from qbcall.core.pinning import fingerprints
from qbcall.core.room import Restored, Room
from qbcall.core.signals import (
    Accept,
    Candidates,
    End,
    Invite,
    RestartAnswer,
    Signal,
    Update,
)


class Peer:
    """One other user of a call."""

    def __init__(
        self,
        room: Room,
        user: User,
        rules: Table[Peer, PeerState],
        watch: Callable[[Peer], Region[Any, Any]],
        preconnect: Callable[[Peer], Region[Any, Any]],
    ) -> None:
        self.room = room
        self.user = user
        self.connection = Region(rules, self, PeerState.NEW)
        self.reconnection = watch(self)
        self.preconnection = preconnect(self)
        self.epochs = Epochs(room, user)
        """The peer connections to the user."""
        self.data = ""
        """What the user says about itself."""
        self.receipts = False
        """The user's client acknowledges messages."""
        self.directions = Directions()
        """What comes from the user."""
        self.device: Device | None = None
        """The one device that takes part for this user, once it is known."""
        self.end_reason: EndReason | None = None
        self.pins: frozenset[str] = frozenset()
        """Fingerprints of its keys."""
        self.speaker: Device | None = None
        """Device that sent the present signal."""
        self.doubt: End | None = None
        """A hang-up that came from another device than the one that takes part."""
        self.doubted_at = 0.0
        """Seconds; when it came."""
        self.their_offer: Description | None = None
        self.restart_id = ""
        """Of their offer, if the user takes us back into the call with it."""
        self.invite: Invite | None = None
        """What this side says to the user until they answer."""
        self.acceptance: Accept | RestartAnswer | None = None
        """What this side answers to the user, for it may get lost."""
        self.agreed = False
        """Offer and answer were exchanged."""
        self._tracks: set[MediaKind] = set()
        self.path_broken = False
        """The transport ended."""
        self.detail = ""
        """What is known of a failure, for people; told with the next state."""
        self._internal: deque[object] = deque()

    @property
    def call(self) -> CallId:
        """The call it belongs to."""
        return self.room.head.call

    @property
    def state(self) -> PeerState:
        """State of the connection."""
        return self.connection.state

    @property
    def over(self) -> bool:
        """Whether nothing can happen any more."""
        return self.state is PeerState.CLOSED

    @property
    def farewell(self) -> Signal:
        """What is said to a user who did not notice that this is over."""
        return End(call=self.call)

    @property
    def dialled(self) -> bool:
        """Whether this side invited the user."""
        return self.invite is not None

    @property
    def takes_early(self) -> bool:
        """Whether this side invited the user, and said that it answers early offers."""
        return self.invite is not None and self.invite.early

    @property
    def has_offer(self) -> bool:
        """Whether the user's offer is here."""
        return self.their_offer is not None

    @property
    def answered(self) -> bool:
        """Whether this side accepted the user's offer."""
        return self.acceptance is not None

    @property
    def relies_on_early(self) -> bool:
        """Whether this side accepted over an early connection."""
        return isinstance(self.acceptance, Accept) and bool(self.acceptance.early)

    def feed(self, what: object) -> bool:
        """Apply the rules for this input; False if there is none."""
        if self.over:
            return False
        fresh = isinstance(what, MediaFact) and what.epoch == self.epochs.fresh
        handled = not fresh and self.connection.feed(what)
        handled |= self.reconnection.feed(what)
        handled |= self.preconnection.feed(what)
        while self._internal and not self.over:
            inside = self._internal.popleft()
            self.connection.feed(inside)
            self.reconnection.feed(inside)
        return handled

    def hear(self, device: Device, signal: Signal) -> None:
        """A signal of this user arrived."""
        if self.over:
            if isinstance(signal, (Invite, Accept)):
                self.room.transmit(self.user, self.farewell)
            return
        self.speaker = device
        self._expect(signal)

    def learn(self, fact: MediaFact) -> None:
        """A fact about a peer connection."""
        self._expect(fact)

    def drop(self, why: str) -> None:
        """Something that makes no sense here."""
        self.room.out(Drop(why=why, sender=self.user))

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`."""
        room = self.room
        if timer is AnswerDue:
            return room.answer_deadline if room.joined else None
        if timer is StatsDue and not room.policy.stats_interval:
            return None
        return {
            ConnectDue: room.now + room.policy.connect_timeout,
            StallDue: room.now + room.policy.stall_timeout,
            StatsDue: room.now + room.policy.stats_interval,
        }.get(timer)

    def changed(self, old: PeerState, new: PeerState) -> None:
        """See `Owner`."""
        if new is PeerState.CLOSED:
            self.epochs.close()
        event = ev.STATE_EVENTS.get(new, ev.PeerStateChanged)
        detail, self.detail = self.detail, ""
        fields = {"call": self.call, "peer": self.user, "old": old, "new": new, "detail": detail}
        if new is PeerState.CLOSED:
            reason = self.end_reason or EndReason.HUNG_UP
            self.emit(ev.PeerClosed(**fields, reason=reason))  # type: ignore[arg-type]  # one table of fields
        else:
            self.emit(event(**fields))  # type: ignore[arg-type]  # as above
        if new in (PeerState.DISCONNECTED, PeerState.FAILED):
            self._tell_directions(self.directions.lose())

    def emit(self, event: ev.Event) -> None:
        """Tell the user."""
        self.room.out(Emit(event))

    # -- actions -----------------------------------------------------------------------------------------------------

    def keep_candidates(self, what: Candidates) -> None:
        """Too early to use them."""
        self.epochs.keep(what.candidates)

    def add_candidates(self, what: Candidates) -> None:
        """More paths to try."""
        self.keep_candidates(what)
        self.epochs.use()

    def find_candidates(self, what: CandidatesFound) -> None:
        """More paths for the peer to try, once it can."""
        self.epochs.find(what.candidates)

    def candidates_due(self, what: CandidatesDue) -> None:
        """The peer took our answer."""
        self.epochs.send()

    def hear_update(self, what: Update) -> None:
        """Application data."""
        self.emit(ev.PeerUpdated(call=self.call, peer=self.user, info=what.info))

    def send_update(self, what: SendUpdate) -> None:
        """Application data."""
        self.room.transmit(self.user, Update(call=self.call, info=what.info))

    def heard(self, what: MediaFlowing | Restored) -> None:
        """Packets come in. When they still do after a hang-up, it was not of the device that takes part."""
        if self.room.now >= self.doubted_at + self.room.policy.stall_timeout:
            self.doubt = None
        self.connection.arm(StallDue, self.room.now + self.room.policy.stall_timeout)

    def listen_again(self, what: StallDue) -> None:
        """The silence may be this side's own: what came in meanwhile is told after the timer."""
        self.connection.arm(StallDue, self.room.now + self.room.policy.stall_timeout)

    def count(self, what: MediaCounted) -> None:
        """See what comes. Clients that acknowledge are qbcalls, which send whatever happens."""
        self._tell_directions(
            self.directions.look(what.counts, self.room.now, epoch=what.epoch, may_pause=not self.receipts)
        )

    def add_track(self, what: RemoteTrack) -> None:
        """The first media of this kind; later connections go on with the same track."""
        if what.kind not in self._tracks:
            self._tracks.add(what.kind)
            kinds = {MediaKind.AUDIO: ev.AudioTrackAdded, MediaKind.VIDEO: ev.VideoTrackAdded}
            self.emit(kinds[what.kind](call=self.call, peer=self.user))

    def read_stats(self, what: StatsDue) -> None:
        """Measure again."""
        assert self.epochs.present is not None, "only a connected peer has the timer"
        self.room.out(ReadStats(call=self.call, peer=self.user, epoch=self.epochs.present))
        self.connection.arm(StatsDue, self.room.now + self.room.policy.stats_interval)

    def tell_stats(self, what: StatsRead) -> None:
        """Measured."""
        self.emit(ev.Stats(call=self.call, peer=self.user, report=what.report))

    # -- what the regions beside it use, too -------------------------------------------------------------------------

    def adopt(self) -> None:
        """The fresh peer connection takes the place of the present one."""
        self.epochs.adopt()
        self.path_broken = False
        self.doubt = None

    def pin(self, described: Description) -> None:
        """The device that sent the present signal is the one that takes part, with these keys."""
        self.device = self.speaker
        self.pins = fingerprints(described)

    def knows(self, described: Description) -> bool:
        """Whether the present signal comes from the device that takes part, or from one with its keys."""
        shown = fingerprints(described)
        return self.device in {None, self.speaker} or bool(shown and shown <= self.pins)

    def say(self, signal: Signal) -> None:
        """Send a signal to this user."""
        self.room.transmit(self.user, signal)

    def later(self, what: object) -> None:
        """Feed this to the connection once the present input is done."""
        self._internal.append(what)

    # -- details -----------------------------------------------------------------------------------------------------

    def _tell_directions(self, changes: Iterable[Change]) -> None:
        for kind, old, new in changes:
            self.emit(ev.DirectionChanged(call=self.call, peer=self.user, kind=kind, old=old, new=new))

    def _expect(self, what: object) -> None:
        state = self.state
        if not self.feed(what):
            self.drop(f"{type(what).__name__} in state {state.name}")
