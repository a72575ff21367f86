"""One other user of a call: what is known of them, and what is done.

Two regions hear the same inputs: `connection.py` has the rules of QuickBlox's peer connection state,
`reconnection.py` watches over a connection that was up. How it ends is in `ending.py`, its peer connections are in
`epochs.py`. A peer that is over hears nothing any more: that gate is in `Peer.feed`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from qbcall.core import events as ev
from qbcall.core.effects import (
    AcceptOffer,
    ApplyAnswer,
    CreateOffer,
    Drop,
    Emit,
    ReadStats,
)
from qbcall.core.epochs import Epochs
from qbcall.core.health import Change, Directions
from qbcall.core.inputs import (
    AcceptCall,
    AnswerDue,
    AnswerReady,
    CandidatesDue,
    CandidatesFound,
    ConnectDue,
    DialDue,
    MediaCounted,
    MediaFact,
    MediaFlowing,
    OfferReady,
    RemoteTrack,
    SendUpdate,
    StallDue,
    StartCall,
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
from qbcall.core.room import Merge, Restored, Room
from qbcall.core.signals import (
    Accept,
    Candidates,
    End,
    Invite,
    RestartAnswer,
    RestartOffer,
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
        self._offer: Description | None = None
        self._invite: Invite | None = None
        self._restart_id = ""
        """Of the offer, if the user takes us back into the call with it."""
        self._accept: Accept | RestartAnswer | None = None
        self._agreed = False
        self._tracks: set[MediaKind] = set()
        self.path_broken = False
        """The transport ended."""
        self.detail = ""
        """What is known of a failure, for people; told with the next state."""
        self._internal: deque[object] = deque()

    @property
    def state(self) -> PeerState:
        """State of the connection."""
        return self.connection.state

    @property
    def over(self) -> bool:
        """Whether nothing can happen any more."""
        return self.state is PeerState.CLOSED

    @property
    def agreed(self) -> bool:
        """Whether offer and answer were exchanged."""
        return self._agreed

    @property
    def farewell(self) -> Signal:
        """What is said to a user who did not notice that this is over."""
        return End(call=self.room.head.call)

    @property
    def dialled(self) -> bool:
        """Whether this side invited the user."""
        return self._invite is not None

    @property
    def takes_early(self) -> bool:
        """Whether this side invited the user, and said that it answers early offers."""
        return self._invite is not None and self._invite.early

    @property
    def has_offer(self) -> bool:
        """Whether the user's offer is here."""
        return self._offer is not None

    @property
    def answered(self) -> bool:
        """Whether this side accepted the user's offer."""
        return self._accept is not None

    @property
    def relies_on_early(self) -> bool:
        """Whether this side accepted over an early connection."""
        return isinstance(self._accept, Accept) and bool(self._accept.early)

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
        fields = {"call": self.room.head.call, "peer": self.user, "old": old, "new": new, "detail": detail}
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

    def offer(self, what: StartCall | AcceptCall) -> None:
        """This side offers."""
        self._open()
        self.room.out(
            CreateOffer(call=self._call, peer=self.user, epoch=self.epochs.newest, media=self.room.head.media)
        )
        self.connection.arm(AnswerDue, self.room.answer_deadline)

    def wait(self, what: AcceptCall) -> None:
        """The other side offers; whoever accepts in the last moment has still to make and repeat that offer."""
        self.connection.arm(AnswerDue, self.room.answer_deadline + self.room.policy.dialing_interval)

    def keep_offer(self, what: Invite) -> None:
        """The newest offer counts; it is answered when this user accepts."""
        self._offer = what.offer
        self.pin(what.offer)
        self._meet(what)

    def keep_restart(self, what: RestartOffer) -> None:
        """The newest offer counts; who sends it knows this side as one that acknowledges."""
        self._offer, self._restart_id = what.offer, what.offer_id
        self.receipts = True
        self.pin(what.offer)

    def answer_restart(self, what: RestartOffer) -> None:
        """This user is back in the call already, or its answer to an older offer came to nothing."""
        self.keep_restart(what)
        self._accept = None
        self.answer(AcceptCall(call=what.call))

    def answer(self, what: AcceptCall) -> None:
        """Answer the offer that is here."""
        assert self._offer is not None, "guarded by has_offer"
        self._open()
        self.connection.arm(ConnectDue, self.room.now + self.room.policy.connect_timeout)
        self.room.out(
            AcceptOffer(
                call=self._call,
                peer=self.user,
                epoch=self.epochs.newest,
                media=self.room.head.media,
                offer=self._offer,
            )
        )
        self.epochs.use()

    def answer_at_once(self, what: Invite) -> None:
        """Another callee offers, and this user is in the call already: no second question."""
        self.keep_offer(what)
        self.answer(AcceptCall(call=what.call))

    def answer_instead(self, what: Invite) -> None:
        """The caller gave up the early connection that this side accepted over: the usual order."""
        self._accept = None
        self.answer_at_once(what)

    def withdraw(self) -> None:
        """Take the own invitation back, under the id it was made with."""
        self.epochs.close()
        if self.dialled:
            self.room.transmit(self.user, self.farewell)
        self._invite = None

    def yield_to(self, what: Merge) -> None:
        """Both called, and the other one's call goes on: that is their yes, and this side answers at once."""
        self.emit(ev.PeerAccepted(call=self._call, peer=self.user, info=what.invite.info))
        self.answer_at_once(what.invite)

    def dial(self, what: OfferReady) -> None:
        """The offer is ready: invite, and repeat it. Only the caller's invitation carries words to the callee."""
        info = {} if self.room.incoming else self.room.info
        self._invite = Invite(
            head=self.room.head, offer=what.offer, info=info, data=self.room.data, receipts=True, early=True
        )
        self.redial(DialDue())

    def redial(self, what: DialDue) -> None:
        """Invite again: whoever was not online yet rings now."""
        assert self._invite is not None, "only dial() arms the timer"
        self.room.transmit(self.user, self._invite)
        self.connection.arm(DialDue, self.room.now + self.room.policy.dialing_interval)

    def give_up_early(self) -> None:
        """Answer no early offers any more; every invitation says so from now on."""
        self.epochs.discard()
        if self._invite is not None:
            self._invite = replace(self._invite, early=False)

    def ask_for_answer(self) -> None:
        """Invite again at once; an accept in the last moment has time for it."""
        self.connection.arm(AnswerDue, self.room.answer_deadline + self.room.policy.dialing_interval)
        self.redial(DialDue())

    def accepted(self, what: Accept) -> None:
        """The user accepted; the first device that does is the one."""
        self._agreed = True
        self.epochs.discard()
        self.pin(what.answer)
        self._meet(what)
        self.emit(ev.PeerAccepted(call=self._call, peer=self.user, info=what.info))
        assert self.epochs.present is not None, "this side offered"
        self.room.out(ApplyAnswer(call=self._call, peer=self.user, epoch=self.epochs.present, answer=what.answer))
        self.epochs.use()
        self.epochs.trickle()

    def accepted_early(self, what: Accept) -> None:
        """The user accepted, over the connection that was made while the call rang there."""
        self._agreed = True
        self.pin(what.answer)
        self._meet(what)
        self.emit(ev.PeerAccepted(call=self._call, peer=self.user, info=what.info))
        self._use_early()

    def accept_early(self, what: AcceptCall) -> None:
        """Accept over the connection that was made while the call rang."""
        assert self.epochs.early is not None, "guarded by has_early"
        self._agreed = True
        self._accept = Accept(
            call=self._call,
            answer=self.epochs.early.offer,
            info=self.room.info,
            data=self.room.data,
            receipts=True,
            early=self.epochs.early.id,
        )
        self.room.transmit(self.user, self._accept)
        self._use_early()

    def send_accept(self, what: AnswerReady) -> None:
        """The answer is ready; it is kept, for it may get lost."""
        self._agreed = True
        self._accept = (
            RestartAnswer(call=self._call, offer_id=self._restart_id, answer=what.answer)
            if self._restart_id
            else Accept(call=self._call, answer=what.answer, info=self.room.info, data=self.room.data, receipts=True)
        )
        self.room.transmit(self.user, self._accept)
        self.epochs.trickle_later(self.connection)

    def send_accept_again(self, what: Invite) -> None:
        """The user still invites: the accept was lost."""
        assert self._accept is not None, "guarded by answered"
        self.room.transmit(self.user, self._accept)
        self.epochs.trickle_later(self.connection)

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
        self.emit(ev.PeerUpdated(call=self._call, peer=self.user, info=what.info))

    def send_update(self, what: SendUpdate) -> None:
        """Application data."""
        self.room.transmit(self.user, Update(call=self._call, info=what.info))

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
            self.emit(kinds[what.kind](call=self._call, peer=self.user))

    def read_stats(self, what: StatsDue) -> None:
        """Measure again."""
        assert self.epochs.present is not None, "only a connected peer has the timer"
        self.room.out(ReadStats(call=self._call, peer=self.user, epoch=self.epochs.present))
        self.connection.arm(StatsDue, self.room.now + self.room.policy.stats_interval)

    def tell_stats(self, what: StatsRead) -> None:
        """Measured."""
        self.emit(ev.Stats(call=self._call, peer=self.user, report=what.report))

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

    @property
    def _call(self) -> CallId:
        return self.room.head.call

    def _tell_directions(self, changes: Iterable[Change]) -> None:
        for kind, old, new in changes:
            self.emit(ev.DirectionChanged(call=self._call, peer=self.user, kind=kind, old=old, new=new))

    def _meet(self, what: Invite | Accept) -> None:
        self.data, self.receipts = what.data, what.receipts

    def _expect(self, what: object) -> None:
        state = self.state
        if not self.feed(what):
            self.drop(f"{type(what).__name__} in state {state.name}")

    def _use_early(self) -> None:
        self.adopt()
        self.epochs.start_early()

    def _open(self) -> None:
        self.epochs.prepare()
        self.adopt()
