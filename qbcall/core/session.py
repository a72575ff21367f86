"""One call: its state, its participants, and what follows from one for the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qbcall.core import events as ev
from qbcall.core.agreeing import withdraw
from qbcall.core.connection import new_peer
from qbcall.core.effects import Drop, Effect, Emit, ReleaseCall, Transmit
from qbcall.core.inputs import (
    AcceptCall,
    AnswerDue,
    HangUp,
    MediaFact,
    RejectCall,
    SendUpdate,
    StartCall,
    Timer,
)
from qbcall.core.machine import Due, Region, on, stay, table
from qbcall.core.mailbox import Mailbox
from qbcall.core.matrix import Matrix
from qbcall.core.model import CallHead, CallId, CallState, Device, EndReason, Info, Leads, PeerState, User
from qbcall.core.peer import Peer
from qbcall.core.policy import Policy
from qbcall.core.reconnection import Reconnection
from qbcall.core.room import Abandon, Line, Merge, Ring, Settle
from qbcall.core.signals import (
    Accept,
    Decline,
    End,
    Invite,
    Message,
    Receipt,
    ReceptionReport,
    RestartAnswer,
    RestartOffer,
    Signal,
)
from qbcall.errors import InvalidState

Command = StartCall | AcceptCall | RejectCall | HangUp | SendUpdate


class Session:
    """One call. Keeps the policy that it was created with."""

    def __init__(
        self,
        me: User,
        head: CallHead,
        policy: Policy,
        *,
        now: float,
        leads: Leads,
        out: Callable[[Effect], None],
        line: Line,
        rejoins: User | None = None,
    ) -> None:
        """`rejoins` is who takes this user back into a call that was forgotten here."""
        self.me = me
        self.head = head
        self.policy = policy
        self.now = now
        self.late = 0.0
        self.out = out
        self.rejoins = rejoins is not None
        self.host = rejoins or head.caller
        """Whose word this user answers, if the call came in."""
        self.incoming = self.host != me
        self.joined = not self.incoming
        self.trusted = False
        self.info: Info = {}
        self.reason: EndReason | None = None
        self.answer_deadline = now + policy.answer_timeout
        self._leads = leads
        self._line = line
        self.data = ""
        self.present: list[User] = []
        """The others who take part now."""
        self.mail = Mailbox(self)
        self.matrix = Matrix(self)
        self.last_reason: EndReason | None = None
        self.last_words: Signal | None = End(call=head.call)
        """What is said again to a user who did not notice that the call is over; None: nothing was ever said."""
        self.region = Region(SESSION, self, CallState.NEW)
        self.peers = {user: new_peer(self, user) for user in head.members if user != me}
        self._open_peers = list(self.peers.values())

    @property
    def state(self) -> CallState:
        """State of the call."""
        return self.region.state

    def command(self, what: Command, now: float) -> None:
        """A wish of the user.

        Raises:
            InvalidState: it cannot be fulfilled in this state.
        """
        self.now = now
        if not self.region.handles(what):
            side = "an incoming" if self.incoming else "an outgoing"
            raise InvalidState(f"{COMMANDS[type(what)]}: not possible for {side} call that is {self.state.value}")
        self.region.feed(what)
        self.settle()

    def ring(self, sender: User, device: Device, invite: Invite, now: float, *, trusted: bool) -> None:
        """The call came in, told by the caller or, if that was lost, by another callee."""
        self.now = now
        self.trusted = trusted
        self.region.feed(invite)
        for user, peer in self.peers.items():
            if user == sender:
                peer.hear(device, invite)
            else:
                peer.feed(Ring())
        self.settle()

    def ring_again(self, sender: User, device: Device, offer: RestartOffer, now: float) -> None:
        """This user was in the call, and is taken back by one who lost them."""
        self.now = now
        self.region.feed(offer)
        for peer in self.peers.values():
            peer.feed(Ring())
        self.peers[sender].hear(device, offer)
        self.settle()

    def hear(self, sender: User, device: Device, signal: Signal, now: float) -> None:
        """A signal of this call arrived."""
        self.now = now
        if sender == self.me and isinstance(signal, (Accept, Decline, RestartAnswer)):
            self.region.feed(signal)
            self.settle()
            return
        if isinstance(signal, (Message, Receipt)) and sender in self.peers:
            self._mail(sender, signal)
            return
        if isinstance(signal, ReceptionReport) and sender in self.peers:
            self._note_report(sender, signal)
            return
        if sender not in self.peers:
            self.out(Drop(why=f"{type(signal).__name__} of a user who is not in the call", sender=sender))
            return
        self.peers[sender].hear(device, signal)
        self.settle()

    def fact(self, what: MediaFact, now: float) -> None:
        """Something about a peer connection; of an older one it does not matter any more."""
        self.now = now
        peer = self.peers.get(what.peer)
        if peer is not None and peer.epochs.concerns(what.epoch):
            peer.learn(what)
            self.settle()

    def merge(self, device: Device, invite: Invite, now: float) -> None:
        """Both users called each other: go on under the other one's call."""
        self.now = now
        (peer,) = self.peers.values()
        withdraw(peer)
        was, self.head = self.head.call, invite.head
        self.last_words = End(call=self.head.call)
        self.incoming = True
        self.out(Emit(ev.CallMerged(call=self.head.call, was=was)))
        peer.speaker = device
        peer.feed(Merge(invite))
        self.settle()

    def deadlines(self) -> Iterator[Due]:
        """The timers that run. Of two due at once, the first comes first."""
        yield from self.region.deadlines()
        yield from self.mail.region.deadlines()
        yield from self.matrix.region.deadlines()
        for peer in self._open_peers:
            yield from peer.connection.deadlines()
            yield from peer.reconnection.deadlines()

    def expire(self, due: Due, now: float) -> None:
        """A timer of this call fell due."""
        self.now = now
        self.late = now - due.at
        due.region.expire(due.timer)
        owner = due.region.owner
        match owner:
            case Peer():
                owner.feed(due.timer())
            case Reconnection():
                owner.peer.feed(due.timer())
            case Mailbox() | Matrix():
                due.region.feed(due.timer())
            case _:
                self.region.feed(due.timer())
        self.settle()

    def settle(self) -> None:
        """Draw the conclusions, until nothing changes."""
        before: object = None
        while before != (now := (self.state, tuple(peer.state for peer in self._open_peers))):
            before = now
            for peer in self._open_peers:
                peer.feed(Settle())
            for peer in [peer for peer in self._open_peers if peer.over]:
                self._open_peers.remove(peer)
                self.last_reason = peer.end_reason
            self._note_who_is_there()
            self.region.feed(Settle())
        if self.state is not CallState.CLOSED:
            self.matrix.settle()

    def link_up(self, now: float, *, resumed: bool) -> None:
        """The chat link is back; what is not kept for it is said anew."""
        self.now = now
        self.mail.link_up(resumed=resumed)
        self.matrix.repeat()
        self.settle()

    # -- the room of the peers ---------------------------------------------------------------------------------------

    def transmit(self, to: User, signal: Signal) -> None:
        """See `Room`. What this user says to the caller, their other devices hear too: there it rings no more."""
        self._line.transmit(Transmit(to=to, head=self.head, signal=signal))
        answers = (RestartAnswer,) if self.rejoins else (Accept, Decline)
        if to == self.host and isinstance(signal, answers):
            self._line.transmit(Transmit(to=self.me, head=self.head, signal=signal))

    # -- the room of the mailbox -------------------------------------------------------------------------------------

    @property
    def call(self) -> CallId:
        """See `MailRoom`."""
        return self.head.call

    @property
    def online(self) -> bool:
        """See `MailRoom`."""
        return self._line.online

    @property
    def coming_back(self) -> bool:
        """See `MailRoom`."""
        return self._line.coming_back

    # -- the room of the peers, again --------------------------------------------------------------------------------

    def leads(self, user: User) -> bool:
        """See `Room`. The caller offers to everybody, also where the own invitation of a callee came first."""
        return not self.rejoins and user != self.head.caller and self._leads(self.me, user)

    def began_anew(self, user: User) -> None:
        """See `Room`. What was on its way to their client is lost, and it counts from one again."""
        self.mail.left(user)
        self.mail.acknowledges(user)
        self.matrix.left(user)
        self.matrix.repeat()

    def restarts(self, user: User) -> bool:
        """See `Room`. Who called does not matter any more."""
        return self._leads(self.me, user)

    # -- the owner of the region -------------------------------------------------------------------------------------

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`. Only a call that rings here has a timer of its own; dialing is timed for each callee."""
        return self.answer_deadline if self.incoming else None

    def changed(self, old: CallState, new: CallState) -> None:
        """See `Owner`."""
        call = self.head.call
        if new is CallState.CLOSED:
            self.mail.close()
        if not (self.incoming and new is CallState.PENDING):
            self.out(Emit(ev.CallStateChanged(call=call, old=old, new=new)))
        if new is CallState.CLOSED:
            assert self.reason is not None, "every way to CLOSED gives a reason"
            self.out(Emit(ev.CallClosed(call=call, reason=self.reason)))
            self.out(ReleaseCall(call=call))

    # -- actions -----------------------------------------------------------------------------------------------------

    def start(self, what: StartCall) -> None:
        """Dial everybody. The answer interval begins now."""
        self.info, self.data = what.info, what.data
        self.answer_deadline = self.now + self.policy.answer_timeout
        self._tell(what)

    def announce(self, what: Invite) -> None:
        """Ring."""
        head = what.head
        self.out(
            Emit(
                ev.IncomingCall(
                    call=head.call, caller=head.caller, callees=head.callees, media=head.media, info=what.info
                )
            )
        )

    def announce_again(self, what: RestartOffer) -> None:
        """Ring: whoever offers waits for this user. Who once called whom does not matter any more."""
        head = self.head
        callees = tuple(user for user in head.members if user != self.host)
        self.out(
            Emit(
                ev.IncomingCall(
                    call=head.call, caller=self.host, callees=callees, media=head.media, info={}, again=True
                )
            )
        )

    def join(self, what: AcceptCall) -> None:
        """Answer every offer that is here, offer to those whom this side leads, wait for the rest.

        Whoever accepts in the last moment has time for an answer, also where one invitation gets lost.
        """
        self.joined = True
        self.info, self.data = what.info, what.data
        self.answer_deadline = max(self.answer_deadline, self.now + 2 * self.policy.dialing_interval)
        self._tell(what)

    def decline(self, what: RejectCall | HangUp) -> None:
        """Reject; everybody is told, not only the caller. Hanging up a call that rings is rejecting it."""
        self.reason = EndReason.DECLINED
        what = what if isinstance(what, RejectCall) else RejectCall(call=what.call, info=what.info)
        self.last_words = Decline(call=what.call, reason=what.reason, info=what.info)
        self._tell(what)

    def leave(self, what: HangUp) -> None:
        """Hang up."""
        self.reason = EndReason.HUNG_UP
        self._tell(what)

    def miss(self, what: AnswerDue) -> None:
        """Nobody answered here."""
        self.reason = EndReason.MISSED
        self.last_words = None
        self._tell(Abandon(self.reason))

    def taken_elsewhere(self, what: Accept | Decline | RestartAnswer) -> None:
        """Another device of this user accepted or rejected; it tells everybody what there is to tell."""
        self.reason = EndReason.ELSEWHERE
        self.last_words = None
        self._tell(Abandon(self.reason))

    def cancelled(self, what: Settle) -> None:
        """The caller hung up while it rang: the others need not wait for this user any more."""
        self.reason = EndReason.CANCELLED
        self._tell(HangUp(call=self.head.call))

    def finish(self, what: Settle) -> None:
        """The last participant went; how, is how the call ended."""
        self.reason = self.last_reason

    def send_update(self, what: SendUpdate) -> None:
        """Application data, to one or to all."""
        for user, peer in self.peers.items():
            if what.to in (None, user):
                peer.feed(what)

    def _mail(self, sender: User, signal: Message | Receipt) -> None:
        if self.rejoins and not self.peers[sender].agreed:
            self.out(Drop(why=f"{type(signal).__name__} that was meant for the client of before", sender=sender))
        elif self.peers[sender].over:
            self.out(Drop(why=f"{type(signal).__name__} of a user who left", sender=sender))
        elif isinstance(signal, Message):
            self.mail.hear(sender, signal)
        else:
            self.mail.read(sender, signal)
            if signal.again:
                self.matrix.repeat()
                self.settle()

    def _note_report(self, sender: User, report: ReceptionReport) -> None:
        if sender in self.present:
            self.matrix.hear(sender, report)
            self.settle()
        else:
            self.out(Drop(why="a report of a user who does not take part", sender=sender))

    def _note_who_is_there(self) -> None:
        """Tell who takes part, and who does not any more."""
        if self.state is CallState.CLOSED:
            return
        for user, peer in self.peers.items():
            if peer.agreed and not peer.over and user not in self.present:
                self.present.append(user)
                if peer.receipts:
                    self.mail.acknowledges(user)
                self.out(Emit(ev.ParticipantJoined(call=self.head.call, peer=user, data=peer.data)))
                self.mail.joined(user)
                self.matrix.repeat()
            elif peer.over and user in self.present:
                self.present.remove(user)
                assert peer.end_reason is not None, "every way to the end gives a reason"
                self.out(Emit(ev.ParticipantLeft(call=self.head.call, peer=user, reason=peer.end_reason)))
                self.mail.left(user)
                self.matrix.left(user)

    def _tell(self, what: object) -> None:
        for peer in self.peers.values():
            peer.feed(what)


COMMANDS: dict[type[Command], str] = {
    StartCall: "start",
    AcceptCall: "accept",
    RejectCall: "reject",
    HangUp: "hang up",
    SendUpdate: "update",
}


# -- guards ----------------------------------------------------------------------------------------------------------


def ringing(session: Session, what: object) -> bool:
    """The call came in and is not answered."""
    return session.incoming and not session.joined


def caller_gone(session: Session, what: object) -> bool:
    """The call rings, and whoever made it is gone."""
    return ringing(session, what) and session.peers[session.host].over


def all_gone(session: Session, what: object) -> bool:
    """Nobody is left to talk to."""
    return all(peer.over for peer in session.peers.values())


def somebody_agreed(session: Session, what: object) -> bool:
    """A user accepted."""
    return session.joined and any(peer.agreed and not peer.over for peer in session.peers.values())


def somebody_connected(session: Session, what: object) -> bool:
    """Media flows with a user."""
    return any(peer.state is PeerState.CONNECTED for peer in session.peers.values())


# -- the table -------------------------------------------------------------------------------------------------------

S = CallState
OPEN = (S.PENDING, S.CONNECTING, S.CONNECTED)

SESSION = table(
    "SESSION",
    on(S.NEW, StartCall, S.PENDING, Session.start),
    on(S.NEW, Invite, S.PENDING, Session.announce),
    on(S.NEW, RestartOffer, S.PENDING, Session.announce_again),
    on(S.PENDING, AcceptCall, S.CONNECTING, Session.join, when=ringing),
    on(S.PENDING, RejectCall, S.CLOSED, Session.decline, when=ringing),
    on(S.PENDING, HangUp, S.CLOSED, Session.decline, when=ringing),
    on(S.PENDING, AnswerDue, S.CLOSED, Session.miss),
    on(S.PENDING, Accept, S.CLOSED, Session.taken_elsewhere, when=ringing),
    on(S.PENDING, Decline, S.CLOSED, Session.taken_elsewhere, when=ringing),
    on(S.PENDING, RestartAnswer, S.CLOSED, Session.taken_elsewhere, when=ringing),
    on(S.PENDING, Settle, S.CLOSED, Session.cancelled, when=caller_gone),
    on(OPEN, Settle, S.CLOSED, Session.finish, when=all_gone),
    on((S.PENDING, S.CONNECTING), Settle, S.CONNECTED, when=somebody_connected),
    on(S.PENDING, Settle, S.CONNECTING, when=somebody_agreed),
    on((S.NEW, *OPEN), HangUp, S.CLOSED, Session.leave),
    on(OPEN, SendUpdate, stay, Session.send_update),
    timers={S.PENDING: (AnswerDue,)},
)
