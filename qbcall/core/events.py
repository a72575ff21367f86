"""Everything the user is told.

One occurrence is one event. Subscribing to a class also gives its subclasses: `PeerStateChanged` hears every change
of a peer, `PeerConnected` only that one. `docs/from-quickblox.md` maps QuickBlox's callbacks to these classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qbcall.core.model import (
    CallId,
    CallMedia,
    CallState,
    DeclineReason,
    EndReason,
    Health,
    Info,
    MediaKind,
    PeerState,
    Reception,
    StatsReport,
    User,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something the user may want to know."""


# -- the chat link ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEvent(Event):
    """Something about the connection to the chat server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOnline(LinkEvent):
    """Logged in for the first time."""

    device: str
    """Full JID of this client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReconnecting(LinkEvent):
    """The connection broke by accident; it is being made again. Told once."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReconnected(LinkEvent):
    """The connection is back."""

    resumed: bool = False
    """Whether the server kept the session (XEP-0198); what was not done meanwhile is sent again in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLost(LinkEvent):
    """The connection is gone for good, and nobody tries again."""

    error: Exception
    """Why, a `LinkError`."""


# -- calls -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent(Event):
    """Something about one call."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall(CallEvent):
    """A new call rings here. QuickBlox: didReceiveNewSession."""

    caller: User
    callees: tuple[User, ...]
    """Everybody who is called, this user among them."""
    media: CallMedia
    info: Info
    """What the caller says with it."""
    again: bool = False
    """This user was in the call before this program began anew; others wait for them in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(CallEvent):
    """A typed signal arrived (Vonage: receivedSignalType); each once, and those of one sender in their order."""

    sender: User | None
    """Maybe this user itself; None: the chat server."""
    type: str
    """May be empty."""
    data: str
    """May be empty."""
    id: str
    """Given by the sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSent(CallEvent):
    """The chat server has a signal of this user for all whom it is for."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalDelivered(CallEvent):
    """A signal of this user was told to the applications of all whom it is for."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalNotSent(CallEvent):
    """A signal of this user failed after it was taken."""

    id: str
    code: int
    """As of `SignalFailed`."""
    detail: str
    """Why, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStateChanged(CallEvent):
    """The call moved forward. QuickBlox: session:didChangeState."""

    old: CallState
    new: CallState


@dataclass(frozen=True, slots=True, kw_only=True)
class CallClosed(CallEvent):
    """The call is over; nothing follows for it. QuickBlox: sessionDidClose."""

    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMerged(CallEvent):
    """Two users called each other at once: this call goes on under the id of the other one, `call`."""

    was: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRefused(CallEvent):
    """An incoming call was rejected without ringing. QuickBlox JS: onInvalidEventsListener('onCall')."""

    caller: User
    reason: DeclineReason


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged(CallEvent):
    """How this user's part of the call is."""

    old: Health
    new: Health


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixChanged(CallEvent):
    """Another participant said what it receives. What this user receives is told by `DirectionChanged`."""

    receiver: User
    sender: User
    """Of the media, maybe this user itself."""
    kind: MediaKind
    old: Reception
    new: Reception


# -- one user of a call ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerEvent(CallEvent):
    """Something about one other user of a call."""

    peer: User


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantJoined(PeerEvent):
    """A user takes part in the call (Vonage: connectionCreated). Nobody is told it of themselves."""

    data: str
    """What the user says about itself, fixed for the call; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantLeft(PeerEvent):
    """A user who took part does not any more (Vonage: connectionDestroyed)."""

    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAccepted(PeerEvent):
    """The user accepted this side's call. QuickBlox: acceptedByUser."""

    info: Info


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRejected(PeerEvent):
    """The user rejected the call. QuickBlox: rejectedByUser."""

    info: Info
    reason: DeclineReason


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerHungUp(PeerEvent):
    """The user hung up. QuickBlox: hungUpByUser."""

    info: Info


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerNoAnswer(PeerEvent):
    """The user did not answer within the answer interval. QuickBlox: userDidNotRespond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerUpdated(PeerEvent):
    """The user told application data."""

    info: Info


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStateChanged(PeerEvent):
    """The connection to the user changed. QuickBlox: didChangeConnectionState:forUser."""

    old: PeerState
    new: PeerState
    detail: str = ""
    """For people: why, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnecting(PeerStateChanged):
    """Media is being negotiated. QuickBlox: startedConnectingToUser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnected(PeerStateChanged):
    """There is a path for media. QuickBlox: connectedToUser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDisconnected(PeerStateChanged):
    """Nothing is heard from the user. QuickBlox: disconnectedFromUser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFailed(PeerStateChanged):
    """The path failed. QuickBlox: connectionFailedForUser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerClosed(PeerStateChanged):
    """The connection to the user is over. QuickBlox: connectionClosedForUser."""

    reason: EndReason


STATE_EVENTS: dict[PeerState, type[PeerStateChanged]] = {
    PeerState.CONNECTING: PeerConnecting,
    PeerState.CONNECTED: PeerConnected,
    PeerState.DISCONNECTED: PeerDisconnected,
    PeerState.FAILED: PeerFailed,
}
"""The class that tells a state, where it is not `PeerStateChanged` itself; CLOSED needs a reason too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectionChanged(PeerEvent):
    """QuickBlox: didChangeRconnectionState:forUser (spelled so)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReconnecting(ReconnectionChanged):
    """A connection that was up is lost; the disconnect interval runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReconnected(ReconnectionChanged):
    """It came back."""

    gap: float
    """Seconds between the loss and the return."""
    attempts: int = 0
    """Fresh peer connections that it took; 0: the old one came back by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReconnectFailed(ReconnectionChanged):
    """It did not come back within the disconnect interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackAdded(PeerEvent):
    """Media comes in from the user: `call.peer(user).audio` or `.video`. Once for each kind."""

    kind: MediaKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrackAdded(TrackAdded):
    """QuickBlox: receivedRemoteAudioTrack:fromUser."""

    kind: MediaKind = field(default=MediaKind.AUDIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrackAdded(TrackAdded):
    """QuickBlox: receivedRemoteVideoTrack:fromUser."""

    kind: MediaKind = field(default=MediaKind.VIDEO)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionChanged(PeerEvent):
    """What comes of one kind of media from the user changed, as this side counts it."""

    kind: MediaKind
    old: Reception
    new: Reception


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats(PeerEvent):
    """A measurement, every statistics interval. QuickBlox: updatedStatsReport:forUserID."""

    report: StatsReport
