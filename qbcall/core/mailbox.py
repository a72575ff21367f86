"""The typed signals of one call: to whom, in which order, and whether they arrived.

Between two participants messages are counted. The receiver tells the application in the order of the numbers and each
number once, and acknowledges up to the last it told; the sender keeps a message until then, and sends it again when
its link is made anew or nothing is heard. So a server that dies loses nothing. Clients that do not acknowledge (the
QuickBlox SDKs) are sent each message once more at most: where their server did not confirm it before the link broke.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from qbcall.core import events as ev
from qbcall.core.effects import Effect, Emit
from qbcall.core.inputs import ExpireDue, ReceiptDue, ResendDue, SendMessage, Timer, WithdrawMessage
from qbcall.core.machine import Region, on, stay, table
from qbcall.core.mailroom import Busy, Correspondent, MailRoom, Quiet, Traffic
from qbcall.core.model import User
from qbcall.core.signals import Message, Receipt
from qbcall.errors import SignalFailed

MOST_WAITING = 1000
"""Messages of one call that are not done; more are refused (429)."""
RESEND = 3.0
"""Seconds without an acknowledgement until messages are sent again; doubles each time."""
SLOWEST_RESEND = 24.0
RECEIPT_DELAY = 0.2
"""Seconds that an acknowledgement may wait for more to acknowledge, if the sender does not wait for it."""
RECEIPT_EVERY = 16
"""Messages that one acknowledgement is for, at most."""


@dataclass(slots=True)
class Letter:
    """One message of this user's, until everybody has it."""

    what: SendMessage
    expires: float | None
    """Seconds on the core's clock."""
    unsent: set[User] = field(default_factory=set)
    """For whom it was not handed to the link; all, while the link is away."""
    unconfirmed: set[User] = field(default_factory=set)
    """For whom the server may not have it."""
    unread: set[User] = field(default_factory=set)
    """Who may not have it."""
    sent: bool = False
    """The application was told that the server has it."""


class Mailbox:
    """What this user writes and gets within one call."""

    def __init__(self, room: MailRoom) -> None:
        self.room = room
        self.region = Region(MAIL, self, Traffic.QUIET)
        self._letters: dict[str, Letter] = {}
        """Not done, in the order in which they were written."""
        self._with: dict[User, Correspondent] = {}
        self._pause = RESEND
        self._receipts_due = False

    # -- what this user does -----------------------------------------------------------------------------------------

    def send(self, what: SendMessage) -> None:
        """Write to one participant, or to all.

        Raises:
            SignalFailed: it cannot be sent; nothing was.
        """
        readers = self._readers(what)
        if not self.room.online and not (what.wait_for_link and self.room.coming_back):
            raise SignalFailed(500, "the chat is not connected")
        if len(self._letters) >= MOST_WAITING:
            raise SignalFailed(429, f"{MOST_WAITING} signals of this call wait already")
        letter = Letter(what, None if what.ttl is None else self.room.now + what.ttl, unsent=readers)
        self._letters[what.id] = letter
        if self.room.online:
            self._post(letter)
        self._settle()

    def _readers(self, what: SendMessage) -> set[User]:
        present = self.room.present
        if what.to is None:
            return set(present)
        if what.to in present:
            return {what.to}
        if what.to == self.room.me:
            return set()
        raise SignalFailed(404, f"{what.to} is not in the call")

    def withdraw(self, what: WithdrawMessage) -> None:
        """Nobody waits for it any more; what was handed to the link is on its way."""
        letter = self._letters.get(what.id)
        if letter is not None and letter.unsent:
            del self._letters[what.id]
        self._settle()

    # -- what the link tells -----------------------------------------------------------------------------------------

    def link_up(self, *, resumed: bool) -> None:
        """Send what waited. A server that has forgotten this user lost what it had of and for them."""
        for user, other in self._with.items():
            if other.receipts:
                self._acknowledge(user, again=not resumed)
            if not resumed:
                other.lost()
                self._repeat(user)
        for letter in list(self._letters.values()):
            self._post(letter)
        self._settle()

    def link_broke(self) -> None:
        """What must not wait fails; the server may have it, or not."""
        for letter in list(self._letters.values()):
            if not letter.what.wait_for_link and not letter.sent:
                self._fail(letter, 500, "the chat broke; it may have been delivered or not")
        self._settle()

    def link_lost(self) -> None:
        """Nothing is sent any more."""
        for letter in list(self._letters.values()):
            if not letter.sent:
                self._fail(letter, 500, "the chat did not come back")
        self._settle()

    def confirmed(self, user: User, message: Message) -> None:
        """The server has it for this user."""
        self._other(user).confirm(message)
        letter = self._letters.get(message.id)
        if letter is not None:
            letter.unconfirmed.discard(user)
            self._advance(letter)
        self._settle()

    # -- what others do ----------------------------------------------------------------------------------------------

    def acknowledges(self, user: User) -> None:
        """This participant's client acknowledges messages."""
        self._other(user).receipts = True

    def joined(self, user: User) -> None:
        """What came from this user before they took part is told now."""
        self._tell(user)

    def left(self, user: User) -> None:
        """This user gets nothing more."""
        self._with.pop(user, None)
        for letter in list(self._letters.values()):
            if user in letter.unsent | letter.unconfirmed | letter.unread:
                for some in (letter.unsent, letter.unconfirmed, letter.unread):
                    some.discard(user)
                if letter.what.to == user:
                    self._fail(letter, 404, f"{user} left the call")
                else:
                    self._advance(letter)
        self._settle()

    def close(self) -> None:
        """The call is over."""
        self._with.clear()
        for letter in list(self._letters.values()):
            self._fail(letter, 404, "the call is over")
        self._settle()

    def hear(self, user: User, message: Message) -> None:
        """A message arrived."""
        other = self._other(user)
        if not other.take(message):
            self._acknowledge(user)  # it came before: the acknowledgement was lost
        self._tell(user)

    def read(self, user: User, receipt: Receipt) -> None:
        """A participant acknowledges."""
        other = self._other(user)
        other.receipts = True
        if receipt.again:
            other.lost()
        for message in other.read(receipt.seq):
            letter = self._letters.get(message.id)
            if letter is not None:
                letter.unconfirmed.discard(user)
                letter.unread.discard(user)
                self._advance(letter)
            self._pause = RESEND
            self.region.arm(ResendDue, self.room.now + self._pause)
        self._repeat(user)
        self._settle()

    # -- timers ------------------------------------------------------------------------------------------------------

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`."""
        if timer is ReceiptDue:
            return None  # armed by what arrives
        if timer is ResendDue:
            return self.room.now + self._pause
        return min((one.expires for one in self._letters.values() if one.expires is not None), default=None)

    def changed(self, old: Traffic, new: Traffic) -> None:
        """See `Owner`."""

    def resend(self, what: ResendDue) -> None:
        """Nothing was acknowledged for a while."""
        for user, other in self._with.items():
            if other.receipts and self.room.online:
                other.lost()
                self._repeat(user)
        self._pause = min(2 * self._pause, SLOWEST_RESEND)
        self.region.arm(ResendDue, self.room.now + self._pause)

    def write_receipts(self, what: ReceiptDue) -> None:
        """Acknowledge what was told."""
        self._receipts_due = False
        for user, other in self._with.items():
            if other.told > other.acknowledged:
                self._acknowledge(user)

    def expire(self, what: ExpireDue) -> None:
        """Some were not done in time."""
        for letter in list(self._letters.values()):
            if letter.expires is not None and letter.expires <= self.room.now:
                self._fail(letter, 500, f"not done within {letter.what.ttl:g} s")
        self._settle()

    # -- details -----------------------------------------------------------------------------------------------------

    def _other(self, user: User) -> Correspondent:
        return self._with.setdefault(user, Correspondent())

    def _out(self, event: ev.Event) -> None:
        effect: Effect = Emit(event)
        self.room.out(effect)

    def _post(self, letter: Letter) -> None:
        """Hand it to the link."""
        what = letter.what
        for user in self.room.present:
            if user in letter.unsent:
                letter.unsent.discard(user)
                letter.unconfirmed.add(user)
                message = self._other(user).next(self.room.call, what)
                if self._other(user).receipts:
                    letter.unread.add(user)
                self.room.transmit(user, message)
        letter.unsent.clear()
        self._advance(letter)

    def _repeat(self, user: User) -> None:
        for message in self._other(user).repetitions():
            self.room.transmit(user, message)

    def _advance(self, letter: Letter) -> None:
        """Tell how far it is."""
        if letter.unsent or letter.what.id not in self._letters:
            return
        if not letter.unconfirmed and not letter.sent:
            letter.sent = True
            if letter.what.to in (None, self.room.me):
                what = letter.what
                self._out(
                    ev.Signal(call=self.room.call, sender=self.room.me, type=what.type, data=what.data, id=what.id)
                )
            self._out(ev.SignalSent(call=self.room.call, id=letter.what.id))
        if not letter.unconfirmed and not letter.unread:
            del self._letters[letter.what.id]
            self._out(ev.SignalDelivered(call=self.room.call, id=letter.what.id))

    def _fail(self, letter: Letter, code: int, detail: str) -> None:
        del self._letters[letter.what.id]
        self._out(ev.SignalNotSent(call=self.room.call, id=letter.what.id, code=code, detail=detail))

    def _tell(self, user: User) -> None:
        """Tell what is complete up to here."""
        if user not in self.room.present:
            return
        other = self._other(user)
        told = list(self._ready(other))
        for one in told:
            self._out(ev.Signal(call=self.room.call, sender=user, type=one.type, data=one.data, id=one.id))
        if any(one.ack for one in told) or other.told - other.acknowledged >= RECEIPT_EVERY:
            self._acknowledge(user)
        elif other.told > other.acknowledged and not self._receipts_due:
            self._receipts_due = True
            self.region.arm(ReceiptDue, self.room.now + RECEIPT_DELAY)

    @staticmethod
    def _ready(other: Correspondent) -> Iterator[Message]:
        while (message := other.ready()) is not None:
            yield message

    def _acknowledge(self, user: User, *, again: bool = False) -> None:
        other = self._other(user)
        other.acknowledged = other.told
        self.room.transmit(user, Receipt(call=self.room.call, seq=other.told, again=again, brief=other.receipts))

    def _settle(self) -> None:
        """See whether there is anything to wait for."""
        busy = bool(self._letters) or any(other.receipts and other.unread for other in self._with.values())
        self.region.feed(Busy() if busy else Quiet())
        expires = self.deadline(ExpireDue)
        if not busy:
            self._pause = RESEND
        elif expires is not None:
            self.region.arm(ExpireDue, expires)


MAIL = table(
    "MAIL",
    on(Traffic.QUIET, Busy, Traffic.BUSY),
    on(Traffic.BUSY, Quiet, Traffic.QUIET),
    on((Traffic.QUIET, Traffic.BUSY), ReceiptDue, stay, Mailbox.write_receipts),
    on(Traffic.BUSY, ResendDue, stay, Mailbox.resend),
    on(Traffic.BUSY, ExpireDue, stay, Mailbox.expire),
    timers={Traffic.QUIET: (ReceiptDue,), Traffic.BUSY: (ReceiptDue, ExpireDue, ResendDue)},
)
