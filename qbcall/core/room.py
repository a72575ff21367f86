"""What a peer and its call say to each other inside the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from qbcall.core.effects import (
    Effect,
    Transmit,
)
from qbcall.core.model import (
    CallHead,
    Description,
    Device,
    EndReason,
    Info,
    User,
)
from qbcall.core.policy import Policy
from qbcall.core.signals import (
    Invite,
    Signal,
)


@dataclass(frozen=True, slots=True)
class Ring:
    """The call came in; this user was called as well, their offer is not here yet."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Both users called each other; the other one's call goes on."""

    invite: Invite


@dataclass(frozen=True, slots=True)
class Abandon:
    """The call ends here without a word to the others."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The connection did not come back."""


@dataclass(frozen=True, slots=True)
class Distrust:
    """Somebody wanted to take the place of the device that takes part."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A fresh peer connection took the place of the lost one."""


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing happened; see whether something follows from what happened elsewhere."""


@dataclass(frozen=True, slots=True)
class Early:
    """A connection that was made while the call rings, and that an accept may name."""

    id: str
    device: Device | None
    """Of the other user."""
    offer: Description
    """What the callee offered."""
    heard_at: float
    """Seconds; when the other side was heard."""


class Line(Protocol):
    """What a call needs from the chat link."""

    @property
    def online(self) -> bool:
        """Whether signals can be sent now."""

    @property
    def coming_back(self) -> bool:
        """Whether the link broke and is made again."""

    def transmit(self, effect: Transmit) -> None:
        """Send now, or once the link is back if nothing else would heal the loss."""


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
    rejoins: bool
    """This user was in the call before, but forgot it."""
    joined: bool
    """This user takes part: called, or accepted."""
    trusted: bool
    """The caller may know where this user is before the call is accepted."""
    info: Info
    """What this user said when calling or accepting."""
    data: str
    """What this user says about itself, to everybody."""
    answer_deadline: float

    def out(self, effect: Effect) -> None:
        """Ask the outside."""

    def transmit(self, to: User, signal: Signal) -> None:
        """Send, if there is a link."""

    def leads(self, user: User) -> bool:
        """Whether this side offers to that user, if both were called."""

    def began_anew(self, user: User) -> None:
        """The client of this user has forgotten the call, and is in it again."""

    def restarts(self, user: User) -> bool:
        """Whether this side's offers count when the connection to that user is made anew."""
