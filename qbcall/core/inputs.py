"""Everything that may happen to a call: wishes of the user, facts from the link and the media, timers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from qbcall.core.model import (
    CallId,
    CallMedia,
    Candidate,
    Counts,
    DeclineReason,
    Description,
    Device,
    Epoch,
    Info,
    MediaKind,
    StatsReport,
    User,
)
from qbcall.core.signals import Message, Signal

# -- wishes of the user: a wrong one raises UsageError and changes nothing -------------------------------------------


@dataclass(frozen=True, slots=True)
class GoOnline:
    """Log in."""


@dataclass(frozen=True, slots=True)
class GoOffline:
    """Log out; all calls end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCall:
    """Make a call, without dialing yet."""

    call: CallId
    callees: tuple[User, ...]
    media: CallMedia


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCall:
    """Dial."""

    call: CallId
    info: Info = field(default_factory=dict)
    data: str = ""
    """What this user says about itself for the whole call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptCall:
    """Accept an incoming call."""

    call: CallId
    info: Info = field(default_factory=dict)
    data: str = ""
    """What this user says about itself for the whole call."""
    sends_all: bool = True
    """All that the call is about is sent; a connection that was made while it rang agreed on that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectCall:
    """Reject an incoming call."""

    call: CallId
    info: Info = field(default_factory=dict)
    reason: DeclineReason = DeclineReason.DECLINED


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Leave a call in whatever state it is; again is no error."""

    call: CallId
    info: Info = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendUpdate:
    """Tell application data to one participant, or to all."""

    call: CallId
    info: Info
    to: User | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Send a typed signal to one participant, or to all, this user included."""

    call: CallId
    id: str
    type: str
    data: str
    to: User | None = None
    wait_for_link: bool = True
    """Where the link is being made again: send it then; otherwise it fails at once (Vonage: retryAfterReconnect)."""
    ttl: float | None = None
    """Seconds after which it fails if it is not done."""
    ack: bool = False
    """Somebody waits for the participants to acknowledge it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawMessage:
    """Do not send it, if it was not sent yet."""

    call: CallId
    id: str


# -- facts from the chat link ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp:
    """Logged in; signals can be sent."""

    device: Device
    resumed: bool = False
    """The server kept the session of before, and what arrived meanwhile (XEP-0198)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBroke:
    """The chat link broke, or could not be made."""

    reason: Exception
    """What happened, a `LinkError`."""
    fatal: bool
    """Trying again is pointless or harmful: refused credentials, a conflict, no safe TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """The contacts of the account, all of them: at each login, and when they change."""

    users: frozenset[User]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The server has everything that was transmitted up to this ticket."""

    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FromServer:
    """A message of the chat server itself, or of a component that is trusted like it."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A signal came in."""

    sender: User
    device: Device
    signal: Signal


# -- facts from the media, about one peer connection -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFact:
    """Something about the peer connection number `epoch` to `peer` in `call`."""

    call: CallId
    peer: User
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReady(MediaFact):
    """`CreateOffer` was carried out."""

    offer: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReady(MediaFact):
    """`AcceptOffer` was carried out."""

    answer: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatesFound(MediaFact):
    """More addresses of ours, that are not in our offer or answer."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IceChecking(MediaFact):
    """ICE looks for a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IceConnected(MediaFact):
    """A path was found and the DTLS handshake is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IceFailed(MediaFact):
    """No path was found, or the transport ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFlowing(MediaFact):
    """Packets arrived since the last such fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCounted(MediaFact):
    """What came until now; told several times a second while there is a path."""

    counts: Mapping[MediaKind, Counts]
    """Of the kinds that are to come, as was agreed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaBroke(MediaFact):
    """An offer or answer could not be made or used."""

    error: str
    """For people."""
    theirs: bool = False
    """What the peer sent is the reason; it may be told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTrack(MediaFact):
    """Media of this kind comes in from the peer; told after `IceConnected`."""

    kind: MediaKind


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsRead(MediaFact):
    """`ReadStats` was carried out."""

    report: StatsReport


# -- timers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timer:
    """A time is over; each kind of timer is a class of its own."""


class AnswerDue(Timer):
    """The answer interval is over."""


class DialDue(Timer):
    """The dialing interval is over: repeat the invitation."""


class ConnectDue(Timer):
    """Accepted, but no media path was found in time."""


class CandidatesDue(Timer):
    """The peer had time to take our answer: it can use candidates now."""


class StallDue(Timer):
    """Nothing was heard from a connected peer for the stall timeout."""


class DisconnectDue(Timer):
    """The disconnect interval is over."""


class ProbeDue(Timer):
    """A lost user is asked whether their client still knows the call."""


@dataclass(frozen=True, slots=True)
class RestartDue(Timer):
    """A lost connection did not come back, or its last restart did not work: make it anew."""


class StatsDue(Timer):
    """The statistics interval is over."""


class ResendDue(Timer):
    """A participant did not acknowledge messages that the server has: send them again."""


class ReceiptDue(Timer):
    """What participants said is acknowledged now."""


class ExpireDue(Timer):
    """The time of a message is over."""


class ReportDue(Timer):
    """The others may be told again what this user receives."""


class BackoffDue(Timer):
    """Time to dial the server again."""


class GiveUpDue(Timer):
    """The window for reconnecting to the server is over."""


Input = (
    GoOnline
    | GoOffline
    | CreateCall
    | StartCall
    | AcceptCall
    | RejectCall
    | HangUp
    | SendUpdate
    | SendMessage
    | WithdrawMessage
    | LinkUp
    | LinkBroke
    | Contacts
    | Confirmed
    | FromServer
    | Arrived
    | OfferReady
    | AnswerReady
    | CandidatesFound
    | IceChecking
    | IceConnected
    | IceFailed
    | MediaFlowing
    | MediaCounted
    | MediaBroke
    | RemoteTrack
    | StatsRead
)
"""What the engine is told. Timers are not told, they fall due: see `Engine.advance`."""

Post = Callable[[Input], None]
"""How the adapters tell facts. Never raises; called on the event loop's thread."""
