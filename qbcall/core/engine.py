"""The door to the core: tell it what happened and when, carry out what it answers, ask when it wants to be woken."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from qbcall.core import events as ev
from qbcall.core.effects import Drop, Effect, Emit, Transmit
from qbcall.core.inputs import (
    AcceptCall,
    Arrived,
    Confirmed,
    Contacts,
    CreateCall,
    FromServer,
    GoOffline,
    GoOnline,
    HangUp,
    Input,
    LinkBroke,
    LinkUp,
    MediaFact,
    RejectCall,
    SendMessage,
    SendUpdate,
    StartCall,
    WithdrawMessage,
)
from qbcall.core.link import Link
from qbcall.core.machine import Due
from qbcall.core.mailbox import Mailbox
from qbcall.core.model import CallHead, CallId, CallState, DeclineReason, Device, Leads, User
from qbcall.core.policy import Policy
from qbcall.core.session import Session
from qbcall.core.signals import Accept, Decline, Invite, Message, NotKnown, Probe, RestartOffer, Signal
from qbcall.errors import InvalidArgument, InvalidState, LinkDown, SignalFailed

REMEMBERED_CALLS = 512
"""Calls that are over and still known, so that a late repetition does not ring again."""


def check_callees(me: User, callees: tuple[User, ...], limit: int) -> None:
    """See whether these users can be called together.

    Raises:
        InvalidArgument: nobody, more than a call has room for, the caller, or somebody twice.
    """
    if not callees:
        raise InvalidArgument("callees: nobody to call")
    if len(callees) + 1 > limit:
        raise InvalidArgument(
            f"callees: {len(callees) + 1} participants with the caller, a call has at most {limit} users"
        )
    if me in callees:
        raise InvalidArgument(f"callees: {me} is the caller")
    twice = next((user for user in callees if callees.count(user) > 1), None)
    if twice is not None:
        raise InvalidArgument(f"callees: {twice} is named twice")


class Engine:
    """All calls of one user, and the chat link they ride on. Pure: time is an argument, effects are returned."""

    def __init__(self, me: User, policy: Policy, *, leads: Leads, jitter: Callable[[], float] = lambda: 0.5) -> None:
        """Make an engine.

        Args:
            me: this user.
            policy: durations and limits of calls created from now on; may be replaced at any time.
            leads: which of two users offers.
            jitter: from 0 to 1, anew at each call; varies the pauses between attempts to reconnect.
        """
        self.me = me
        self.policy = policy
        self.link = Link(policy, jitter, self._put)
        self.sessions: dict[CallId, Session] = {}
        self.contacts: frozenset[User] = frozenset()
        self._leads = leads
        self._ended: OrderedDict[CallId, tuple[CallHead, Signal | None]] = OrderedDict()
        self._effects: list[Effect] = []
        self._now = 0.0
        self._device: Device | None = None

    def handle(self, what: Input, now: float) -> list[Effect]:
        """Take one input in.

        Args:
            what: what happened, or what the user wants.
            now: seconds on any steady clock; never runs backwards here.

        Raises:
            UsageError: the user wants what cannot be; nothing changed.
            LinkDown: the user wants to call, and there is no chat link; nothing changed.
        """
        self._tick(now)
        match what:
            case CreateCall():
                self._create(what)
            case StartCall() | AcceptCall() | RejectCall() | HangUp() | SendUpdate():
                self._command(what)
            case Arrived():
                self._arrived(what)
            case MediaFact():
                self._learn(what)
            case GoOnline() | GoOffline() | LinkUp() | LinkBroke():
                self._hear_link(what)
            case SendMessage() | WithdrawMessage() | Confirmed() | FromServer():
                self._carry_mail(what)
            case Contacts(users=users):
                self.contacts = users
        return self._taken()

    def advance(self, now: float) -> list[Effect]:
        """Let the timers that are due at `now` fall due, in their order."""
        self._tick(now)
        while (found := self._next()) is not None and found[0].at <= self._now:
            due, session = found
            if session is None:
                due.region.expire(due.timer)
                due.region.feed(due.timer())
                if not (self.link.online or self.link.coming_back):
                    self._tell_mail(Mailbox.link_lost)
            else:
                session.expire(due, self._now)
                self._forget_closed(session)
        return self._taken()

    def check(self, what: CreateCall) -> None:
        """See whether a call could be made, without making it.

        Raises:
            InvalidArgument: the callees or the id cannot be.
            InvalidState: a call with the same users is live.
            LinkDown: there is no chat link.
        """
        check_callees(self.me, what.callees, self.policy.max_participants)
        if what.call in self.sessions or what.call in self._ended:
            raise InvalidArgument(f"call: {what.call} is the id of another call")
        if not self.link.online:
            raise LinkDown("the chat is not connected: log in before calling")
        members = {self.me, *what.callees}
        for other in self.sessions.values():
            if set(other.head.members) == members:
                raise InvalidState(f"a call with the same users is live: {other.head.call} ({other.state.value})")

    def next_deadline(self) -> float | None:
        """When `advance` has something to do; None: not before the next input."""
        found = self._next()
        return None if found is None else found[0].at

    # -- commands ----------------------------------------------------------------------------------------------------

    def _create(self, what: CreateCall) -> None:
        self.check(what)
        self._open(CallHead(call=what.call, caller=self.me, callees=what.callees, media=what.media))

    def _command(self, what: StartCall | AcceptCall | RejectCall | HangUp | SendUpdate) -> None:
        session = self.sessions.get(what.call)
        if session is None:
            if what.call in self._ended and isinstance(what, (HangUp, RejectCall)):
                return
            known = "is over" if what.call in self._ended else "is not known"
            raise InvalidState(f"call {what.call} {known}")
        if isinstance(what, StartCall) and not self.link.online:
            raise LinkDown("the chat is not connected: log in before calling")
        if isinstance(what, SendUpdate) and what.to is not None and what.to not in session.peers:
            raise InvalidArgument(f"to: {what.to} is not in the call")
        session.command(what, self._now)
        self._forget_closed(session)

    def _learn(self, what: MediaFact) -> None:
        if (session := self.sessions.get(what.call)) is not None:
            session.fact(what, self._now)
            self._forget_closed(session)

    def _hear_link(self, what: GoOnline | GoOffline | LinkUp | LinkBroke) -> None:
        if isinstance(what, GoOffline):
            for call in tuple(self.sessions):
                self._command(HangUp(call=call))
            self.link.region.feed(what)
            return
        state = self.link.region.state.value
        if isinstance(what, LinkUp):
            self._device = what.device
        if self.link.region.feed(what):
            match what:
                case LinkUp(resumed=resumed):
                    for session in self.sessions.values():
                        session.link_up(self._now, resumed=resumed)
                case LinkBroke() if self.link.coming_back:
                    self._tell_mail(Mailbox.link_broke)
                case LinkBroke():
                    self._tell_mail(Mailbox.link_lost)
            return
        if isinstance(what, GoOnline):
            raise InvalidState(f"log in: the chat link is {state} already")
        self._drop(f"{type(what).__name__} while the chat link is {state}")

    # -- typed signals -----------------------------------------------------------------------------------------------

    def _carry_mail(self, what: SendMessage | WithdrawMessage | Confirmed | FromServer) -> None:
        match what:
            case SendMessage():
                self._send_message(what)
            case WithdrawMessage():
                if (session := self.sessions.get(what.call)) is not None:
                    session.mail.withdraw(what)
            case Confirmed():
                self._confirmed(what)
            case FromServer():
                self._from_server(what.message)

    def _send_message(self, what: SendMessage) -> None:
        session = self.sessions.get(what.call)
        if session is None:
            raise SignalFailed(404, "the call is over" if what.call in self._ended else "the call is not known")
        if not session.joined:
            raise SignalFailed(500, "this user does not take part in the call yet")
        session.now = self._now
        session.mail.send(what)

    def _confirmed(self, what: Confirmed) -> None:
        for effect in self.link.outbox.confirm(what.ticket):
            session = self.sessions.get(effect.head.call)
            if session is not None and isinstance(effect.signal, Message):
                session.now = self._now
                session.mail.confirmed(effect.to, effect.signal)

    def _from_server(self, message: Message) -> None:
        if message.call in self.sessions:
            fields = {"type": message.type, "data": message.data, "id": message.id}
            self._put(Emit(ev.Signal(call=message.call, sender=None, **fields)))
        else:
            self._drop("a message of the server for a call that is not running")

    def _tell_mail(self, what: Callable[[Mailbox], None]) -> None:
        for session in self.sessions.values():
            session.now = self._now
            what(session.mail)

    # -- signals -----------------------------------------------------------------------------------------------------

    def _arrived(self, what: Arrived) -> None:
        if what.device == self._device:
            return  # said to all devices of this user; it comes back to this one too
        signal = what.signal
        session = self.sessions.get(signal.call)
        if session is not None:
            session.hear(what.sender, what.device, signal, self._now)
            self._forget_closed(session)
        elif signal.call in self._ended:
            self._repeat_last_words(what.sender, signal)
        elif isinstance(signal, Invite):
            self._invited(what.sender, what.device, signal)
        elif isinstance(signal, (Probe, RestartOffer)) and self._may_rejoin(what.sender, signal.head):
            self._rejoin(what.sender, what.device, signal)
        else:
            self._drop(f"{type(signal).__name__} for an unknown call", what.sender)

    def _repeat_last_words(self, sender: User, signal: Signal) -> None:
        """Heal a reject or hang-up that was lost: its addressee still invites, or accepts."""
        head, words = self._ended[signal.call]
        if words is not None and sender in head.members and isinstance(signal, (Invite, Accept)):
            self.link.transmit(Transmit(to=sender, head=head, signal=words))

    def _invited(self, sender: User, device: Device, invite: Invite) -> None:
        head = invite.head
        crossing = self._crossing(sender, head)
        if crossing is not None and self._leads(self.me, sender):
            self._drop("an invitation that crossed this user's own, which goes on", sender)
        elif crossing is not None:
            self._merge(crossing, device, invite)
        elif (why := next((why for rule, why in INVITATIONS if not rule(self, sender, head)), None)) is not None:
            self._drop(why, sender)
        elif (reason := self._refusal(head)) is not None:
            self._refuse(sender, head, reason)
        else:
            trusted = self.policy.trusts(head.caller, self.contacts)
            self._open(head).ring(sender, device, invite, self._now, trusted=trusted)

    def _may_rejoin(self, sender: User, head: CallHead | None) -> bool:
        """A call that this user does not know, but is in: this program, or its machine, began anew."""
        if head is None or not self.policy.rejoin or self.me not in head.members or self._refusal(head) is not None:
            return False
        return all(rule(self, sender, head) for rule, _ in INVITATIONS[1:])

    def _rejoin(self, sender: User, device: Device, signal: Probe | RestartOffer) -> None:
        """Whoever lost this user is told why, and offers at once; that rings."""
        assert signal.head is not None, "guarded by _may_rejoin"
        if isinstance(signal, Probe):
            self.link.transmit(Transmit(to=sender, head=signal.head, signal=NotKnown(call=signal.call)))
        else:
            self._open(signal.head, rejoins=sender).ring_again(sender, device, signal, self._now)

    def _refusal(self, head: CallHead) -> DeclineReason | None:
        if len(head.members) > self.policy.max_participants:
            return DeclineReason.UNSUPPORTED
        busy = self.policy.reject_when_busy and bool(self.sessions)
        return DeclineReason.BUSY if busy or len(self.sessions) >= self.policy.max_calls else None

    def _refuse(self, sender: User, head: CallHead, reason: DeclineReason) -> None:
        words = Decline(call=head.call, reason=reason)
        self._remember(head, words)
        self.link.transmit(Transmit(to=sender, head=head, signal=words))
        self._put(Emit(ev.CallRefused(call=head.call, caller=head.caller, reason=reason)))

    def _crossing(self, sender: User, head: CallHead) -> Session | None:
        """This user's own call to the sender, if both call each other, alone, about the same, at the same time.

        Whom this user calls is welcome, whatever the policy says. Sound only and picture are not the same: nobody is
        seen who asked for sound only.
        """
        if not self.policy.answer_glare or head.caller != sender or head.callees != (self.me,):
            return None
        for session in self.sessions.values():
            mine = not session.incoming and session.head.callees == (sender,) and session.head.media is head.media
            if mine and session.state is CallState.PENDING:
                return session
        return None

    def _merge(self, session: Session, device: Device, invite: Invite) -> None:
        old = session.head
        del self.sessions[old.call]
        self.sessions[invite.call] = session
        self._remember(old, session.last_words)
        session.merge(device, invite, self._now)
        self._forget_closed(session)

    # -- details -----------------------------------------------------------------------------------------------------

    def _open(self, head: CallHead, *, rejoins: User | None = None) -> Session:
        session = Session(
            self.me,
            head,
            self.policy,
            now=self._now,
            leads=self._leads,
            out=self._put,
            line=self.link,
            rejoins=rejoins,
        )
        self.sessions[head.call] = session
        return session

    def _forget_closed(self, session: Session) -> None:
        if session.state is CallState.CLOSED and self.sessions.pop(session.head.call, None) is not None:
            self._remember(session.head, session.last_words)

    def _remember(self, head: CallHead, words: Signal | None) -> None:
        self._ended[head.call] = (head, words)
        while len(self._ended) > REMEMBERED_CALLS:
            self._ended.popitem(last=False)

    def _next(self) -> tuple[Due, Session | None] | None:
        return min(self._deadlines(), key=lambda found: found[0].at, default=None)

    def _deadlines(self) -> Iterator[tuple[Due, Session | None]]:
        for due in self.link.region.deadlines():
            yield due, None
        for session in self.sessions.values():
            for due in session.deadlines():
                yield due, session

    def _tick(self, now: float) -> None:
        self._now = max(now, self._now)
        self.link.now = self._now
        self.link.policy = self.policy

    def _drop(self, why: str, sender: User | None = None) -> None:
        self._put(Drop(why=why, sender=sender))

    def _put(self, effect: Effect) -> None:
        self._effects.append(effect)

    def _taken(self) -> list[Effect]:
        taken, self._effects = self._effects, []
        return taken


Rule = Callable[[Engine, User, CallHead], bool]
INVITATIONS: tuple[tuple[Rule, str], ...] = (
    (lambda engine, sender, head: engine.me in head.callees, "an invitation for somebody else"),
    (lambda engine, sender, head: sender != engine.me, "an invitation of this user's own"),
    (lambda engine, sender, head: sender in head.members, "an invitation of a user who is not in the call"),
    (lambda engine, sender, head: len(set(head.members)) == len(head.members), "a user named twice in an invitation"),
    (lambda engine, sender, head: engine.policy.accept_calls, "calls are not accepted"),
    (
        lambda engine, sender, head: all(
            engine.policy.allows(user, engine.contacts) for user in (sender, head.caller)
        ),
        "an invitation of a user who may not ring here",
    ),
)
"""What an invitation must fulfil to be shown at all. A stranger who may not ring learns nothing."""
