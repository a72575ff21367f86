"""What programs read on standard output: one JSON object a line (NDJSON). `qbcall schema` prints the JSON Schema."""

from __future__ import annotations

import dataclasses
from typing import Annotated, get_args

from pydantic import Field, JsonValue, TypeAdapter

from qbcall.cli.call_lines import (
    CallEndedLine,
    CallHealthLine,
    CallIncomingLine,
    CallMatrixLine,
    CallMergedLine,
    CallRefusedLine,
    CallStateLine,
    LinkLostLine,
    LinkOnlineLine,
    LinkReconnectedLine,
    LinkReconnectingLine,
    ParticipantJoinedLine,
    ParticipantLeftLine,
    PeerAcceptedLine,
    PeerDirectionLine,
    PeerHungUpLine,
    PeerNoAnswerLine,
    PeerReconnectedLine,
    PeerReconnectFailedLine,
    PeerReconnectingLine,
    PeerRejectedLine,
    PeerStateLine,
    PeerTrackLine,
    PeerUpdatedLine,
    SignalDeliveredLine,
    SignalLine,
    SignalNotSentLine,
    SignalSentLine,
    StatsLine,
)
from qbcall.cli.line import Line, stamp
from qbcall.cli.program_lines import (
    ConfigLine,
    DeviceLine,
    DevServerLine,
    DoctorCheckLine,
    DoctorSummaryLine,
    ExitLine,
    HelloLine,
)
from qbcall.core import events as ev

AnyLine = (
    HelloLine
    | ExitLine
    | LinkOnlineLine
    | LinkReconnectingLine
    | LinkReconnectedLine
    | LinkLostLine
    | CallIncomingLine
    | CallStateLine
    | CallMergedLine
    | CallRefusedLine
    | CallEndedLine
    | PeerStateLine
    | PeerAcceptedLine
    | PeerRejectedLine
    | PeerHungUpLine
    | PeerNoAnswerLine
    | PeerUpdatedLine
    | PeerTrackLine
    | PeerDirectionLine
    | CallHealthLine
    | CallMatrixLine
    | PeerReconnectingLine
    | PeerReconnectedLine
    | PeerReconnectFailedLine
    | ParticipantJoinedLine
    | ParticipantLeftLine
    | SignalLine
    | SignalSentLine
    | SignalDeliveredLine
    | SignalNotSentLine
    | StatsLine
    | DeviceLine
    | ConfigLine
    | DevServerLine
    | DoctorCheckLine
    | DoctorSummaryLine
)

LINES: dict[type[ev.Event], type[Line]] = {
    ev.LinkOnline: LinkOnlineLine,
    ev.LinkReconnecting: LinkReconnectingLine,
    ev.LinkReconnected: LinkReconnectedLine,
    ev.LinkLost: LinkLostLine,
    ev.IncomingCall: CallIncomingLine,
    ev.CallStateChanged: CallStateLine,
    ev.CallMerged: CallMergedLine,
    ev.CallRefused: CallRefusedLine,
    ev.PeerStateChanged: PeerStateLine,
    ev.PeerAccepted: PeerAcceptedLine,
    ev.PeerRejected: PeerRejectedLine,
    ev.PeerHungUp: PeerHungUpLine,
    ev.PeerNoAnswer: PeerNoAnswerLine,
    ev.PeerUpdated: PeerUpdatedLine,
    ev.TrackAdded: PeerTrackLine,
    ev.DirectionChanged: PeerDirectionLine,
    ev.HealthChanged: CallHealthLine,
    ev.MatrixChanged: CallMatrixLine,
    ev.PeerReconnecting: PeerReconnectingLine,
    ev.PeerReconnected: PeerReconnectedLine,
    ev.PeerReconnectFailed: PeerReconnectFailedLine,
    ev.ParticipantJoined: ParticipantJoinedLine,
    ev.ParticipantLeft: ParticipantLeftLine,
    ev.Signal: SignalLine,
    ev.SignalSent: SignalSentLine,
    ev.SignalDelivered: SignalDeliveredLine,
    ev.SignalNotSent: SignalNotSentLine,
    ev.Stats: StatsLine,
}
"""Class of event, or the nearest one above it -> its line. `CallClosed` has none: `call.ended` says more."""


def line_of(event: ev.Event, mono: float) -> Line | None:
    """The line that tells an event; None: it is told otherwise."""
    model = next((LINES[kind] for kind in type(event).__mro__ if kind in LINES), None)
    if model is None:
        return None
    told = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if isinstance(event, ev.Signal):  # a line has a type of its own
        told["signal_type"] = told.pop("type")
    return model.model_validate(stamp(mono) | told)


def schema() -> dict[str, JsonValue]:
    """JSON Schema (2020-12) of one line."""
    tagged: TypeAdapter[object] = TypeAdapter(Annotated[AnyLine, Field(discriminator="type")])
    told = tagged.json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A line of qbcall", **told}


TYPES = tuple(sorted(str(model.model_fields["type"].default) for model in get_args(AnyLine)))
"""All values of `type`."""
