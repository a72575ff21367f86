"""Everything that the core may ask of the outside."""

from __future__ import annotations

from dataclasses import dataclass

from qbcall.core.events import Event
from qbcall.core.model import CallHead, CallId, CallMedia, Candidate, Description, Epoch, User
from qbcall.core.signals import Signal


@dataclass(frozen=True, slots=True)
class DialLink:
    """Log in to the chat server; `LinkUp` or `LinkBroke` follows."""


@dataclass(frozen=True, slots=True)
class DropLink:
    """Log out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmit:
    """Send a signal to all devices of a user."""

    to: User
    head: CallHead
    signal: Signal
    ticket: int | None = None
    """Given where it matters whether the server has it: `Confirmed` follows, unless the link breaks before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaEffect:
    """Something to do with the peer connection number `epoch` to `peer` in `call`."""

    call: CallId
    peer: User
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOffer(MediaEffect):
    """Make a peer connection and an offer; `OfferReady` or `MediaBroke` follows."""

    media: CallMedia
    early: bool = False
    """Nothing is sent and nothing delivered before `StartMedia`; the offer has all candidates that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOffer(MediaEffect):
    """Make a peer connection and an answer; `AnswerReady` or `MediaBroke` follows."""

    media: CallMedia
    offer: Description
    early: bool = False
    """As in `CreateOffer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyAnswer(MediaEffect):
    """Use the answer to the offer of this epoch."""

    answer: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMedia(MediaEffect):
    """An early connection is used from now on: `IceConnected` and `RemoteTrack` follow, though it was connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCandidates(MediaEffect):
    """Use more remote candidates."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseMedia(MediaEffect):
    """Close the peer connection; facts about it do not matter any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStats(MediaEffect):
    """Measure; `StatsRead` follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCall:
    """The call is over: give up what its participants shared (sources, sinks)."""

    call: CallId


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the user."""

    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Something arrived that makes no sense here: count it, log it once."""

    why: str
    """For people; the same text for the same kind of nonsense, so that it can be counted."""
    sender: User | None = None


Effect = (
    DialLink
    | DropLink
    | Transmit
    | CreateOffer
    | AcceptOffer
    | ApplyAnswer
    | StartMedia
    | AddCandidates
    | CloseMedia
    | ReadStats
    | ReleaseCall
    | Emit
    | Drop
)
