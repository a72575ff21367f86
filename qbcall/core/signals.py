"""What calls say to each other, whatever the dialect on the wire.

The words follow XEP-0353 and XEP-0166 where they have one. Each dialect writes and reads them its own way; what it
cannot say it leaves out. A signal without a head names its call only: some clients send no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qbcall.core.model import (
    CallHead,
    CallId,
    Candidate,
    DeclineReason,
    Description,
    Info,
    MediaKind,
    Reception,
    User,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """Come into this call; repeated every dialing interval until it is answered."""

    head: CallHead
    offer: Description
    info: Info = field(default_factory=dict)
    data: str = ""
    """What the sender says about itself for the whole call, at most 1000 characters (Vonage: connection data)."""
    receipts: bool = False
    """The sender acknowledges messages."""
    early: bool = False
    """The sender answers early offers."""

    @property
    def call(self) -> CallId:
        """The call it belongs to."""
        return self.head.call


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """The invitation is accepted."""

    call: CallId
    answer: Description
    info: Info = field(default_factory=dict)
    data: str = ""
    """As in `Invite`."""
    receipts: bool = False
    """As in `Invite`."""
    early: str = ""
    """Id of the early offer whose connection is to be used: `answer` is that offer. Empty: `answer` is an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """The invitation is rejected."""

    call: CallId
    reason: DeclineReason = DeclineReason.DECLINED
    info: Info = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The sender leaves: cancels before the answer, hangs up after it."""

    call: CallId
    info: Info = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """More ICE candidates of the sender; at least one."""

    call: CallId
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Application data within a call."""

    call: CallId
    info: Info


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyOffer:
    """An offer of a callee for a connection while the call rings."""

    call: CallId
    offer_id: str
    offer: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyAnswer:
    """The caller's answer to the early offer of the same id."""

    call: CallId
    offer_id: str
    answer: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartOffer:
    """A fresh offer for a connection that was lost."""

    call: CallId
    offer_id: str
    offer: Description
    head: CallHead | None = None
    """Of what is heard, if it tells all about the call: for a client that began anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartAnswer:
    """The answer to the restart offer of the same id."""

    call: CallId
    offer_id: str
    answer: Description
    anew: bool = False
    """The sender's client began anew, and did not know the call: it has other keys. See `NotKnown`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Does the addressee know this call? Asked of a user who is lost: their client may have begun anew."""

    call: CallId
    head: CallHead | None = None
    """Of what is heard, if it tells all about the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotKnown:
    """The sender's client does not know the call, and wants to be in it again."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A typed signal of the application (Vonage: signaling)."""

    call: CallId
    type: str
    """At most 128 characters of `A-Za-z0-9-_~`; may be empty."""
    data: str
    """At most 8192 bytes in UTF-8; may be empty."""
    id: str
    """Given by the sender; the same to all participants, and when it is sent again."""
    seq: int | None = None
    """1, 2, 3, ... from one participant to another within a call; None: of a client that does not count."""
    ack: bool = False
    """The sender waits for the receipt: it is not to be delayed."""
    brief: bool = False
    """Of what is sent: the addressee's client needs nothing that the call's id tells. Not seen by who gets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """All messages of the addressee up to this number arrived, and were told to the application."""

    call: CallId
    seq: int
    """0: none yet."""
    again: bool = False
    """What comes after it may be lost, and should be sent again: the server has forgotten the reader's session."""
    brief: bool = False
    """As of messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionReport:
    """What the sender receives of the other participants; said when it changes, all of it."""

    call: CallId
    received: Mapping[User, Mapping[MediaKind, Reception]]
    """What is not named is IDLE."""
    brief: bool = False
    """As of messages."""


Signal = (
    Message
    | Receipt
    | ReceptionReport
    | Invite
    | Accept
    | Decline
    | End
    | Candidates
    | Update
    | EarlyOffer
    | EarlyAnswer
    | RestartOffer
    | RestartAnswer
    | Probe
    | NotKnown
)
