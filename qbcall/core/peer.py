"""One other user of a call: the connection to them, and what becomes of it when it is lost.

Two regions hear the same inputs. CONNECTION is QuickBlox's peer connection state; RECONNECTION watches over a
connection that was up. A peer that is over hears nothing any more: that gate is in `Peer.feed`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from qbcall.core import events as ev
from qbcall.core.effects import (
    AcceptOffer,
    AddCandidates,
    ApplyAnswer,
    CloseMedia,
    CreateOffer,
    Drop,
    Effect,
    Emit,
    ReadStats,
)
from qbcall.core.inputs import (
    AcceptCall,
    AnswerDue,
    AnswerReady,
    ConnectDue,
    DialDue,
    DisconnectDue,
    HangUp,
    IceChecking,
    IceConnected,
    IceFailed,
    MediaBroke,
    MediaFact,
    MediaFlowing,
    OfferReady,
    RejectCall,
    RemoteTrack,
    SendUpdate,
    StallDue,
    StartCall,
    StatsDue,
    StatsRead,
    Timer,
)
from qbcall.core.machine import Region, ignored, on, stay, table
from qbcall.core.model import (
    CallHead,
    CallId,
    Candidate,
    DeclineReason,
    Description,
    Device,
    EndReason,
    Epoch,
    Info,
    MediaKind,
    PeerState,
    ReconnectionState,
    User,
)
from qbcall.core.policy import Policy
from qbcall.core.signals import (
    Accept,
    Candidates,
    Decline,
    End,
    Invite,
    RestartAnswer,
    RestartOffer,
    Signal,
    Update,
)

MAX_CANDIDATES = 50
"""Candidates of one peer that are used; a client has rarely more than 10."""
OVERSLEPT = 0.25
"""Seconds; a timer that falls due later than this was held up by something."""


# -- inputs from the call itself -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ring:
    """The call came in; this user was called as well, their offer is not here yet."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Both users called each other; the other one's call goes on."""

    invite: Invite


@dataclass(frozen=True, slots=True)
class Abandon:
    """The call ends here without a word."""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The connection did not come back."""


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing happened; see whether something follows from what happened elsewhere."""


class Room(Protocol):
    """What a peer needs from its call."""

    head: CallHead
    policy: Policy
    now: float
    """Seconds, the time of the present input."""
    late: float
    """Seconds by which the present timer fell due too late."""
    incoming: bool
    """Somebody else started the call."""
    joined: bool
    """This user takes part: called, or accepted."""
    info: Info
    """What this user said when calling or accepting."""
    answer_deadline: float

    def out(self, effect: Effect) -> None:
        """Ask the outside."""

    def transmit(self, to: User, signal: Signal) -> None:
        """Send, if there is a link."""

    def leads(self, user: User) -> bool:
        """Whether this side offers to that user, if both were called."""


class Peer:
    """One other user of a call."""

    def __init__(self, room: Room, user: User) -> None:
        self.room = room
        self.user = user
        self.connection = Region(CONNECTION, self, PeerState.NEW)
        self.reconnection = Region(RECONNECTION, Reconnection(self), ReconnectionState.STABLE)
        self.epoch = Epoch(0)
        self.device: Device | None = None
        """The one device that takes part for this user, once it is known."""
        self.end_reason: EndReason | None = None
        self.speaker: Device | None = None
        """Device that sent the present signal."""
        self.doubt: End | None = None
        """A hang-up that came from another device than the one that takes part."""
        self._media_open = False
        self._offer: Description | None = None
        self._invite: Invite | None = None
        self._accept: Accept | None = None
        self._agreed = False
        self._candidates: list[Candidate] = []
        self._heard_candidates = 0
        self._tracks: set[MediaKind] = set()
        self._path_broken = False
        self._detail = ""
        self.lost_at = 0.0
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
    def has_offer(self) -> bool:
        """Whether the user's offer is here."""
        return self._offer is not None

    @property
    def answered(self) -> bool:
        """Whether this side accepted the user's offer."""
        return self._accept is not None

    @property
    def path_broken(self) -> bool:
        """Whether the transport ended while it was connected."""
        return self._path_broken

    def concerns(self, epoch: Epoch) -> bool:
        """Whether a fact is about the present peer connection."""
        return self._media_open and epoch == self.epoch

    def feed(self, what: object) -> bool:
        """Apply the rules for this input; False if there is none."""
        if self.over:
            return False
        handled = self.connection.feed(what)
        handled |= self.reconnection.feed(what)
        while self._internal and not self.over:
            self.connection.feed(self._internal.popleft())
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
        """A fact about the present peer connection."""
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
            self._close()
        event = STATE_EVENTS.get(new, ev.PeerStateChanged)
        detail, self._detail = self._detail, ""
        fields = {"call": self.room.head.call, "peer": self.user, "old": old, "new": new, "detail": detail}
        if new is PeerState.CLOSED:
            reason = self.end_reason or EndReason.HUNG_UP
            self.emit(ev.PeerClosed(**fields, reason=reason))  # type: ignore[arg-type]  # one table of fields
        else:
            self.emit(event(**fields))  # type: ignore[arg-type]  # as above

    def emit(self, event: ev.Event) -> None:
        """Tell the user."""
        self.room.out(Emit(event))

    # -- actions -----------------------------------------------------------------------------------------------------

    def offer(self, what: StartCall | AcceptCall) -> None:
        """This side offers."""
        self._open()
        self.room.out(CreateOffer(call=self._call, peer=self.user, epoch=self.epoch, media=self.room.head.media))
        self.connection.arm(AnswerDue, self.room.answer_deadline)

    def wait(self, what: AcceptCall) -> None:
        """The other side offers; whoever accepts in the last moment has still to make and repeat that offer."""
        self.connection.arm(AnswerDue, self.room.answer_deadline + self.room.policy.dialing_interval)

    def keep_offer(self, what: Invite) -> None:
        """The newest offer counts; it is answered when this user accepts."""
        self._offer = what.offer
        self.device = self.speaker

    def answer(self, what: AcceptCall) -> None:
        """Answer the offer that is here."""
        assert self._offer is not None, "guarded by has_offer"
        self._open()
        self.room.out(
            AcceptOffer(
                call=self._call,
                peer=self.user,
                epoch=self.epoch,
                media=self.room.head.media,
                offer=self._offer,
            )
        )
        self._use_candidates()

    def answer_at_once(self, what: Invite) -> None:
        """Another callee offers, and this user is in the call already: no second question."""
        self.keep_offer(what)
        self.answer(AcceptCall(call=what.call))

    def withdraw(self) -> None:
        """Take the own invitation back, under the id it was made with."""
        self._close()
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
        self._invite = Invite(head=self.room.head, offer=what.offer, info=info)
        self.redial(DialDue())

    def redial(self, what: DialDue) -> None:
        """Invite again: whoever was not online yet rings now."""
        assert self._invite is not None, "only dial() arms the timer"
        self.room.transmit(self.user, self._invite)
        self.connection.arm(DialDue, self.room.now + self.room.policy.dialing_interval)

    def accepted(self, what: Accept) -> None:
        """The user accepted; the first device that does is the one."""
        self._agreed = True
        self.device = self.speaker
        self.emit(ev.PeerAccepted(call=self._call, peer=self.user, info=what.info))
        self.room.out(ApplyAnswer(call=self._call, peer=self.user, epoch=self.epoch, answer=what.answer))
        self._use_candidates()

    def send_accept(self, what: AnswerReady) -> None:
        """The answer is ready; it is kept, for it may get lost."""
        self._agreed = True
        self._accept = Accept(call=self._call, answer=what.answer, info=self.room.info)
        self.room.transmit(self.user, self._accept)

    def send_accept_again(self, what: Invite) -> None:
        """The user still invites: the accept was lost."""
        assert self._accept is not None, "guarded by answered"
        self.room.transmit(self.user, self._accept)

    def keep_candidates(self, what: Candidates) -> None:
        """Too early to use them."""
        room = MAX_CANDIDATES - self._heard_candidates
        if len(what.candidates) > room:
            self.drop(f"more than {MAX_CANDIDATES} candidates")
        some = what.candidates[:room]
        self._heard_candidates += len(some)
        self._candidates.extend(some)

    def add_candidates(self, what: Candidates) -> None:
        """More paths to try."""
        self.keep_candidates(what)
        self._use_candidates()

    def hear_update(self, what: Update) -> None:
        """Application data."""
        self.emit(ev.PeerUpdated(call=self._call, peer=self.user, info=what.info))

    def send_update(self, what: SendUpdate) -> None:
        """Application data."""
        self.room.transmit(self.user, Update(call=self._call, info=what.info))

    def heard(self, what: MediaFlowing) -> None:
        """Packets come in."""
        self.connection.arm(StallDue, self.room.now + self.room.policy.stall_timeout)

    def listen_again(self, what: StallDue) -> None:
        """The silence may be this side's own: what came in meanwhile is told after the timer."""
        self.connection.arm(StallDue, self.room.now + self.room.policy.stall_timeout)

    def note_broken_path(self, what: IceFailed) -> None:
        """The transport ended. A hang-up may be on its way, so this is no loss before the stall timeout."""
        self._path_broken = True

    def add_track(self, what: RemoteTrack) -> None:
        """The first media of this kind; later connections go on with the same track."""
        if what.kind not in self._tracks:
            self._tracks.add(what.kind)
            kinds = {MediaKind.AUDIO: ev.AudioTrackAdded, MediaKind.VIDEO: ev.VideoTrackAdded}
            self.emit(kinds[what.kind](call=self._call, peer=self.user))

    def read_stats(self, what: StatsDue) -> None:
        """Measure again."""
        self.room.out(ReadStats(call=self._call, peer=self.user, epoch=self.epoch))
        self.connection.arm(StatsDue, self.room.now + self.room.policy.stats_interval)

    def tell_stats(self, what: StatsRead) -> None:
        """Measured."""
        self.emit(ev.Stats(call=self._call, peer=self.user, report=what.report))

    # -- actions that end it -----------------------------------------------------------------------------------------

    def not_answered(self, what: AnswerDue) -> None:
        """The answer interval is over; a callee that still rings is told to stop (ours, compatible)."""
        self.end_reason = EndReason.NO_ANSWER
        self.emit(ev.PeerNoAnswer(call=self._call, peer=self.user))
        if self.dialled:
            self.room.transmit(self.user, self.farewell)

    def rejected(self, what: Decline) -> None:
        """The user rejected the call."""
        busy = what.reason is DeclineReason.BUSY
        self.end_reason = EndReason.BUSY if busy else EndReason.REJECTED
        self.emit(ev.PeerRejected(call=self._call, peer=self.user, info=what.info, reason=what.reason))

    def hung_up(self, what: End) -> None:
        """The user left."""
        self.end_reason = EndReason.REMOTE_HUNG_UP
        self.emit(ev.PeerHungUp(call=self._call, peer=self.user, info=what.info))

    def doubt_end(self, what: End) -> None:
        """Another device of the user hung up: one that accepted too late, or the same one under a new name."""
        self.doubt = what

    def believe_end(self, what: StallDue) -> None:
        """After the hang-up of another device no packet came any more: it was the one that took part."""
        assert self.doubt is not None, "guarded by in_doubt"
        self.hung_up(self.doubt)

    def leave(self, what: HangUp) -> None:
        """This user left."""
        self.end_reason = EndReason.HUNG_UP
        self.room.transmit(self.user, End(call=self._call, info=what.info))

    def decline(self, what: RejectCall) -> None:
        """This user rejected the call."""
        self.end_reason = EndReason.DECLINED
        self.room.transmit(self.user, Decline(call=self._call, reason=what.reason, info=what.info))

    def forget(self, what: HangUp) -> None:
        """Nothing was sent yet: nothing has to be taken back."""
        self.end_reason = EndReason.HUNG_UP

    def miss(self, what: Abandon) -> None:
        """This user did not answer; the caller has a timer of their own."""
        self.end_reason = EndReason.MISSED

    def fail(self, what: IceFailed | MediaBroke | ConnectDue) -> None:
        """Media cannot be established."""
        self.end_reason = EndReason.MEDIA_FAILED
        self._detail = what.error if isinstance(what, MediaBroke) else FAILURES[type(what)]
        if self.has_offer and not self.answered:
            reason = DeclineReason.UNSUPPORTED
            self.room.transmit(self.user, Decline(call=self._call, reason=reason))
        elif self.dialled or self.answered:
            self.room.transmit(self.user, self.farewell)

    def say_goodbye(self, what: GaveUp) -> None:
        """The connection did not come back."""
        self.end_reason = EndReason.DISCONNECT_TIMEOUT
        self.room.transmit(self.user, self.farewell)

    def later(self, what: object) -> None:
        """Feed this to the connection once the present input is done."""
        self._internal.append(what)

    # -- details -----------------------------------------------------------------------------------------------------

    @property
    def _call(self) -> CallId:
        return self.room.head.call

    def _expect(self, what: object) -> None:
        state = self.state
        if not self.feed(what):
            self.drop(f"{type(what).__name__} in state {state.name}")

    def _open(self) -> None:
        self._close()
        self.epoch = Epoch(self.epoch + 1)
        self._media_open = True

    def _close(self) -> None:
        if self._media_open:
            self._media_open = False
            self.room.out(CloseMedia(call=self._call, peer=self.user, epoch=self.epoch))

    def _use_candidates(self) -> None:
        if self._candidates:
            some, self._candidates = tuple(self._candidates), []
            self.room.out(AddCandidates(call=self._call, peer=self.user, epoch=self.epoch, candidates=some))


STATE_EVENTS: dict[PeerState, type[ev.PeerStateChanged]] = {
    PeerState.CONNECTING: ev.PeerConnecting,
    PeerState.CONNECTED: ev.PeerConnected,
    PeerState.DISCONNECTED: ev.PeerDisconnected,
    PeerState.FAILED: ev.PeerFailed,
}
FAILURES: dict[type[object], str] = {
    IceFailed: "no network path to the peer was found",
    ConnectDue: "no network path to the peer was found in time",
}


class Reconnection:
    """Watches over a connection that was up."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`."""
        return self.peer.room.now + self.peer.room.policy.disconnect_timeout

    def changed(self, old: ReconnectionState, new: ReconnectionState) -> None:
        """See `Owner`. Each action tells its own event."""

    def begin(self, what: StallDue) -> None:
        """The connection is lost."""
        self.peer.lost_at = self.peer.room.now
        self.peer.emit(ev.PeerReconnecting(call=self._call, peer=self.peer.user))

    def succeed(self, what: MediaFlowing) -> None:
        """It came back by itself."""
        gap = self.peer.room.now - self.peer.lost_at
        self.peer.emit(ev.PeerReconnected(call=self._call, peer=self.peer.user, gap=gap))

    def give_up(self, what: DisconnectDue) -> None:
        """It did not come back."""
        self.peer.emit(ev.PeerReconnectFailed(call=self._call, peer=self.peer.user))
        self.peer.later(GaveUp())

    @property
    def _call(self) -> CallId:
        return self.peer.room.head.call


# -- guards ----------------------------------------------------------------------------------------------------------


def joined(peer: Peer, what: object) -> bool:
    """This user takes part already."""
    return peer.room.joined


def has_offer(peer: Peer, what: object) -> bool:
    """The other side's offer is here."""
    return peer.has_offer


def leads(peer: Peer, what: object) -> bool:
    """Of two callees, this side offers."""
    return peer.room.leads(peer.user)


def dialled(peer: Peer, what: object) -> bool:
    """This side invited the user."""
    return peer.dialled


def answered(peer: Peer, what: object) -> bool:
    """This side accepted the user's offer."""
    return peer.answered


def path_broken(peer: Peer, what: object) -> bool:
    """The transport ended."""
    return peer.path_broken


def media_failed(peer: Peer, what: object) -> bool:
    """Media was never established: there is nothing to wait for."""
    return peer.end_reason is EndReason.MEDIA_FAILED


def takes_part(peer: Peer, what: object) -> bool:
    """Until one device of the user is known to take part, each may speak for them."""
    return peer.device is None or peer.device == peer.speaker


def in_doubt(peer: Peer, what: object) -> bool:
    """Another device of the user hung up."""
    return peer.doubt is not None


def overslept(peer: Peer, what: object) -> bool:
    """This process did not run when it should: it was stopped, or busy."""
    return peer.room.late > OVERSLEPT


def is_connected(watch: Reconnection, what: object) -> bool:
    """The connection took the packets as a sign of life; after a failure they are none."""
    return watch.peer.state is PeerState.CONNECTED


def is_lost(watch: Reconnection, what: object) -> bool:
    """The connection did not end over it."""
    return watch.peer.state in {PeerState.DISCONNECTED, PeerState.FAILED}


# -- the tables ------------------------------------------------------------------------------------------------------

P = PeerState
SETTING_UP = (P.CONNECTING, P.CHECKING)
ESTABLISHED = (P.CONNECTED, P.DISCONNECTED, P.FAILED)
UP = (*SETTING_UP, *ESTABLISHED)
LIVE = (P.PENDING, *UP)
ENDED = (P.NO_ANSWER, P.REJECTED, P.HANG_UP, P.DISCONNECT_TIMEOUT)

CONNECTION = table(
    "CONNECTION",
    on(P.NEW, StartCall, P.PENDING, Peer.offer),
    on(P.NEW, Ring, P.PENDING),
    on(P.NEW, Invite, P.PENDING, Peer.keep_offer),
    on(P.PENDING, AcceptCall, P.CONNECTING, Peer.answer, when=has_offer),
    on(P.PENDING, AcceptCall, stay, Peer.offer, when=leads),
    on(P.PENDING, AcceptCall, stay, Peer.wait),
    on(P.PENDING, OfferReady, stay, Peer.dial),
    on(P.PENDING, DialDue, stay, Peer.redial),
    on(P.PENDING, Merge, P.CONNECTING, Peer.yield_to),
    on(P.PENDING, Invite, stay, when=dialled),
    on(P.PENDING, Invite, P.CONNECTING, Peer.answer_at_once, when=joined),
    on(P.PENDING, Invite, stay, Peer.keep_offer),
    on(P.PENDING, Accept, P.CONNECTING, Peer.accepted, when=dialled),
    on(P.PENDING, AnswerDue, P.NO_ANSWER, Peer.not_answered),
    on(P.PENDING, Candidates, stay, Peer.keep_candidates),
    on((P.PENDING, *SETTING_UP), MediaBroke, P.FAILED, Peer.fail),
    on(SETTING_UP, AnswerReady, stay, Peer.send_accept),
    on(P.CONNECTING, IceChecking, P.CHECKING),
    on(SETTING_UP, IceConnected, P.CONNECTED),
    on(SETTING_UP, IceFailed, P.FAILED, Peer.fail),
    on(SETTING_UP, ConnectDue, P.FAILED, Peer.fail),
    on(UP, Invite, stay, Peer.send_accept_again, when=answered),
    on(UP, Candidates, stay, Peer.add_candidates),
    on(ESTABLISHED, RemoteTrack, stay, Peer.add_track),
    on(P.CONNECTED, MediaFlowing, stay, Peer.heard),
    on(P.CONNECTED, IceFailed, stay, Peer.note_broken_path),
    on(P.CONNECTED, StallDue, P.HANG_UP, Peer.believe_end, when=in_doubt),
    on(P.CONNECTED, StallDue, P.FAILED, when=path_broken),
    on(P.CONNECTED, StallDue, stay, Peer.listen_again, when=overslept),
    on(P.CONNECTED, StallDue, P.DISCONNECTED),
    on(P.CONNECTED, StatsDue, stay, Peer.read_stats),
    on(ESTABLISHED, StatsRead, stay, Peer.tell_stats),
    on(P.DISCONNECTED, MediaFlowing, P.CONNECTED),
    on(P.DISCONNECTED, IceFailed, P.FAILED),
    on((P.DISCONNECTED, P.FAILED), GaveUp, P.DISCONNECT_TIMEOUT, Peer.say_goodbye),
    on(LIVE, Update, stay, Peer.hear_update),
    on(UP, SendUpdate, stay, Peer.send_update),
    on(LIVE, Decline, P.REJECTED, Peer.rejected, when=takes_part),
    on((*SETTING_UP, P.CONNECTED), End, P.HANG_UP, Peer.hung_up, when=takes_part),
    on(P.CONNECTED, End, stay, Peer.doubt_end),
    on((P.PENDING, P.DISCONNECTED, P.FAILED), End, P.HANG_UP, Peer.hung_up),
    on(P.NEW, HangUp, P.CLOSED, Peer.forget),
    on(LIVE, HangUp, P.CLOSED, Peer.leave),
    on(P.PENDING, RejectCall, P.CLOSED, Peer.decline),
    on(P.PENDING, Abandon, P.CLOSED, Peer.miss),
    on(ENDED, Settle, P.CLOSED),
    on(P.FAILED, Settle, P.CLOSED, when=media_failed),
    ignored(UP, Accept, because="a repetition, or another device of the user; the first one takes part"),
    ignored(LIVE, Decline, because="of another device of the user; the first one takes part"),
    ignored(SETTING_UP, End, because="of another device of the user; the first one takes part"),
    ignored(UP, Invite, because="the answer is being made, or this side's own offer was accepted"),
    ignored(P.CHECKING, IceChecking, because="QuickBlox tells a state once"),
    ignored(ESTABLISHED, IceChecking, IceConnected, because="ICE re-nominates"),
    ignored(P.FAILED, IceFailed, MediaFlowing, because="the transport ended; what is left of it does not matter"),
    ignored(ESTABLISHED, MediaBroke, because="the path decides, not a late error"),
    ignored(SETTING_UP, MediaFlowing, because="packets of ICE itself"),
    ignored(LIVE, RestartOffer, RestartAnswer, because="fresh offers come with reconnection"),
    timers={
        P.PENDING: (AnswerDue, DialDue),
        P.CONNECTING: (ConnectDue,),
        P.CHECKING: (ConnectDue,),
        P.CONNECTED: (StallDue, StatsDue),
    },
)

R = ReconnectionState
RECONNECTION = table(
    "RECONNECTION",
    on(R.STABLE, StallDue, R.RECONNECTING, Reconnection.begin, when=is_lost),
    on(R.RECONNECTING, MediaFlowing, R.STABLE, Reconnection.succeed, when=is_connected),
    on(R.RECONNECTING, DisconnectDue, R.FAILED, Reconnection.give_up),
    timers={R.RECONNECTING: (DisconnectDue,)},
)
