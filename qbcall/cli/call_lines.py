"""The lines about calls and the chat link: one for each event, and the end of a call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, PlainSerializer
from pydantic import WithJsonSchema as JsonSchema

from qbcall.cli.exit_codes import Outcome
from qbcall.cli.line import Line
from qbcall.core.model import (
    CallMedia,
    CallState,
    DeclineReason,
    EndReason,
    Health,
    MediaKind,
    PeerState,
    Reception,
    StatsReport,
)

PeerStateName = Annotated[
    PeerState,
    PlainSerializer(lambda state: state.name.lower(), return_type=str),
    JsonSchema({"enum": [state.name.lower() for state in PeerState if state is not PeerState.COUNT]}),
]
ErrorText = Annotated[str, BeforeValidator(lambda error: str(error) or type(error).__name__)]


class LinkOnlineLine(Line):
    """Logged in."""

    type: Literal["link.online"] = "link.online"
    device: str
    """Full JID of this client."""


class LinkReconnectingLine(Line):
    """The chat link broke and is made again."""

    type: Literal["link.reconnecting"] = "link.reconnecting"
    reason: str


class LinkReconnectedLine(Line):
    """The chat link is back."""

    type: Literal["link.reconnected"] = "link.reconnected"
    resumed: bool
    """Whether the server kept the session (XEP-0198)."""


class LinkLostLine(Line):
    """The chat link is gone for good."""

    type: Literal["link.lost"] = "link.lost"
    error: ErrorText


class CallLine(Line):
    """About one call."""

    call: str
    """Name of the call, the same at all participants."""


class CallIncomingLine(CallLine):
    """A call rings here."""

    type: Literal["call.incoming"] = "call.incoming"
    caller: str
    callees: tuple[str, ...]
    media: CallMedia
    info: dict[str, str]
    again: bool
    """This user was in the call before this program began anew."""


class CallStateLine(CallLine):
    """The call moved forward."""

    type: Literal["call.state"] = "call.state"
    old: CallState
    new: CallState


class CallMergedLine(CallLine):
    """Both called each other: the call `was` goes on as `call`."""

    type: Literal["call.merged"] = "call.merged"
    was: str


class CallRefusedLine(CallLine):
    """An incoming call was rejected without ringing; no `call.ended` follows."""

    type: Literal["call.refused"] = "call.refused"
    caller: str
    reason: DeclineReason


class PeerSummary(BaseModel):
    """How it went with one other user of a call."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    state: PeerStateName
    end_reason: EndReason | None
    accepted_ms: float | None
    """From the beginning of the call until offer and answer were exchanged."""
    connected_ms: float | None
    """From the accept until media was connected."""
    frames: dict[MediaKind, int]
    """Received and decoded; audio: blocks of samples."""
    packets_lost: int | None
    """Of those that the user sent."""
    bytes_received: int | None
    bytes_sent: int | None
    reports: list[JsonValue]
    """What sinks that check received media found."""


class CallEndedLine(CallLine):
    """The call is over: exactly once for each call."""

    type: Literal["call.ended"] = "call.ended"
    reason: EndReason
    outcome: Outcome
    incoming: bool
    caller: str
    media: CallMedia
    ringing: float | None
    """Seconds until it was accepted, or ended."""
    connecting: float | None
    """Seconds from the accept until media was connected, or it ended; null: never accepted."""
    connected: float | None
    """Seconds from then to the end; null: never connected."""
    peers: dict[str, PeerSummary]


class PeerLine(CallLine):
    """About one other user of a call."""

    peer: str
    """Bare JID."""


class PeerStateLine(PeerLine):
    """The connection to the user changed."""

    type: Literal["peer.state"] = "peer.state"
    old: PeerStateName
    new: PeerStateName
    detail: str
    """For people."""
    reason: EndReason | None = None
    """With `closed`: why."""


class PeerAcceptedLine(PeerLine):
    """The user accepted."""

    type: Literal["peer.accepted"] = "peer.accepted"
    info: dict[str, str]


class PeerRejectedLine(PeerLine):
    """The user rejected the call."""

    type: Literal["peer.rejected"] = "peer.rejected"
    reason: DeclineReason
    info: dict[str, str]


class PeerHungUpLine(PeerLine):
    """The user hung up."""

    type: Literal["peer.hung_up"] = "peer.hung_up"
    info: dict[str, str]


class PeerNoAnswerLine(PeerLine):
    """The user did not answer."""

    type: Literal["peer.no_answer"] = "peer.no_answer"


class PeerUpdatedLine(PeerLine):
    """The user told application data."""

    type: Literal["peer.updated"] = "peer.updated"
    info: dict[str, str]


class PeerTrackLine(PeerLine):
    """Media of this kind comes in."""

    type: Literal["peer.track"] = "peer.track"
    kind: MediaKind


class PeerDirectionLine(PeerLine):
    """What comes of one kind of media from the user changed, as this side counts it."""

    type: Literal["peer.direction"] = "peer.direction"
    kind: MediaKind
    old: Reception
    new: Reception


class CallHealthLine(CallLine):
    """How this side's part of the call is changed."""

    type: Literal["call.health"] = "call.health"
    old: Health
    new: Health


class CallMatrixLine(CallLine):
    """Another participant said what it receives; of this side `peer.direction` tells it."""

    type: Literal["call.matrix"] = "call.matrix"
    receiver: str
    """Bare JID."""
    sender: str
    """Of the media, bare JID; maybe the own one."""
    kind: MediaKind
    old: Reception
    new: Reception


class PeerReconnectingLine(PeerLine):
    """The connection to the user is lost; the disconnect interval runs."""

    type: Literal["peer.reconnecting"] = "peer.reconnecting"


class PeerReconnectedLine(PeerLine):
    """The connection to the user came back."""

    type: Literal["peer.reconnected"] = "peer.reconnected"
    gap: float
    """Seconds without it."""
    attempts: int
    """Fresh connections that it took; 0: it came back by itself."""


class PeerReconnectFailedLine(PeerLine):
    """The connection to the user did not come back."""

    type: Literal["peer.reconnect_failed"] = "peer.reconnect_failed"


class ParticipantJoinedLine(PeerLine):
    """The user takes part in the call."""

    type: Literal["participant.joined"] = "participant.joined"
    data: str
    """What the user says about itself."""


class ParticipantLeftLine(PeerLine):
    """The user took part, and does not any more."""

    type: Literal["participant.left"] = "participant.left"
    reason: EndReason


class SignalLine(CallLine):
    """A typed signal arrived."""

    type: Literal["signal"] = "signal"
    sender: str | None
    """Bare JID, maybe the own one; null: the chat server."""
    signal_type: str
    data: str
    id: str


class SignalSentLine(CallLine):
    """The chat server has a typed signal of this side for all whom it is for."""

    type: Literal["signal.sent"] = "signal.sent"
    id: str


class SignalDeliveredLine(CallLine):
    """A typed signal of this side was told to the applications of all whom it is for."""

    type: Literal["signal.delivered"] = "signal.delivered"
    id: str


class SignalNotSentLine(CallLine):
    """A typed signal of this side failed."""

    type: Literal["signal.not_sent"] = "signal.not_sent"
    id: str
    code: int
    detail: str


class StatsLine(PeerLine):
    """A measurement of the connection to the user."""

    type: Literal["stats"] = "stats"
    report: StatsReport
