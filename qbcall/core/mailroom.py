"""What the mailbox of a call knows of each participant, and what it needs of the call."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from qbcall.core.effects import Effect
from qbcall.core.inputs import SendMessage
from qbcall.core.model import CallId, User
from qbcall.core.signals import Message, Signal

MOST_EARLY = 1000
"""Messages that may wait for one that is missing; more are sent again."""
WINDOW = 64
"""Messages that are sent again and not acknowledged, at most: servers limit how much a user may say."""


class Traffic(enum.Enum):
    """Whether something is under way."""

    QUIET = "quiet"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Busy:
    """Something is under way."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing is under way."""


class MailRoom(Protocol):
    """What a mailbox needs of its call."""

    me: User
    now: float
    """Seconds, the time of the present input."""

    @property
    def call(self) -> CallId:
        """The call, under its present name."""

    @property
    def present(self) -> Collection[User]:
        """The other users who take part now."""

    @property
    def online(self) -> bool:
        """Whether something can be sent now."""

    @property
    def coming_back(self) -> bool:
        """Whether the chat link broke and is made again."""

    def out(self, effect: Effect) -> None:
        """Ask the outside."""

    def transmit(self, to: User, signal: Signal) -> None:
        """Send; the link keeps a message until the server has it."""


@dataclass(slots=True)
class Correspondent:
    """One participant: what is under way to them, and what came."""

    receipts: bool = False
    """Their client acknowledges."""
    unread: deque[Message] = field(default_factory=deque)
    """Sent and not acknowledged, the oldest first."""
    confirmed: set[str] = field(default_factory=set)
    """Ids of those that the server has, or had; the link takes care of the others."""
    told: int = 0
    """Number of their last message that was told to the application."""
    acknowledged: int = 0
    """Number of the last one that they know was told."""
    _last: int = 0
    _again: tuple[int, int] = (0, 0)
    """Numbers of the last message that was looked at, and of the last that may be lost."""
    _early: dict[int, Message] = field(default_factory=dict)
    _uncounted: deque[Message] = field(default_factory=deque)

    def next(self, call: CallId, what: SendMessage) -> Message:
        """The next message to them."""
        self._last += 1
        told = {"type": what.type, "data": what.data, "id": what.id}
        message = Message(call=call, seq=self._last, ack=what.ack, brief=self.receipts, **told)
        self.unread.append(message)
        return message

    def read(self, seq: int) -> list[Message]:
        """They have all up to this number; these they had not before."""
        found = []
        while self.unread and (self.unread[0].seq or 0) <= seq:
            found.append(self.unread.popleft())
            self.confirmed.discard(found[-1].id)
        return found

    def confirm(self, message: Message) -> None:
        """The server has it; of who does not acknowledge, nothing more will be heard of it."""
        first = self.unread[0].seq if self.unread else None
        if first is None or (message.seq or 0) < first:
            return
        self.confirmed.add(message.id)
        if not self.receipts:
            self.read(message.seq or 0)

    def lost(self) -> None:
        """What the server had and they did not acknowledge has to be sent again."""
        some = [one.seq or 0 for one in self.unread if one.id in self.confirmed]
        if some:
            self._again = (some[0] - 1, some[-1])

    def repetitions(self) -> list[Message]:
        """What is to be sent again now. The rest waits until some of it is acknowledged."""
        if not self.unread:
            return []
        done, last = self._again
        last = min(last, (self.unread[0].seq or 0) + WINDOW - 1)
        self._again = (max(done, last), self._again[1])
        found = [one for one in self.unread if done < (one.seq or 0) <= last and one.id in self.confirmed]
        self.confirmed.difference_update(one.id for one in found)
        return found

    def take(self, message: Message) -> bool:
        """Keep what came until it is told; False: it was told before."""
        if message.seq is None:
            if len(self._uncounted) < MOST_EARLY:
                self._uncounted.append(message)
            return True
        if message.seq <= self.told:
            return False
        if message.seq - self.told <= MOST_EARLY:
            self._early[message.seq] = message
        return True

    def ready(self) -> Message | None:
        """The next one to tell, if it is here."""
        if self._uncounted:
            return self._uncounted.popleft()
        message = self._early.pop(self.told + 1, None)
        if message is not None:
            self.told += 1
        return message
