"""Every event becomes a line that the schema describes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from qbcall.cli.lines import LINES, TYPES, line_of, schema
from qbcall.core import events as ev
from qbcall.core.model import (
    CallId,
    CallMedia,
    CallState,
    DeclineReason,
    EndReason,
    Health,
    MediaKind,
    PeerState,
    Reception,
    StatsReport,
    StreamStats,
    User,
)
from qbcall.errors import ServerUnreachable
from tests.cli.conftest import VALIDATOR, Line

DOCS = Path(__file__).parent.parent.parent / "docs" / "cli.md"
CALL = CallId("c1")
ANN, BOB = User("ann@localhost"), User("bob@localhost")
REPORT = StatsReport(
    round_trip=0.01,
    local_candidate="host",
    sent={MediaKind.AUDIO: StreamStats(bitrate=1.0, packets=2, codec="opus")},
    received={MediaKind.VIDEO: StreamStats(width=640, height=480, fps=30.0)},
)

EVENTS: tuple[tuple[ev.Event, str, Line], ...] = (
    (ev.LinkOnline(device="ann@localhost/x"), "link.online", {"device": "ann@localhost/x"}),
    (ev.LinkReconnecting(reason="broke"), "link.reconnecting", {"reason": "broke"}),
    (ev.LinkReconnected(resumed=True), "link.reconnected", {"resumed": True}),
    (ev.LinkLost(error=ServerUnreachable("gone")), "link.lost", {"error": "gone"}),
    (ev.LinkLost(error=ServerUnreachable()), "link.lost", {"error": "ServerUnreachable"}),
    (
        ev.IncomingCall(
            call=CALL, caller=BOB, callees=(User("ann@localhost"),), media=CallMedia.AUDIO, info={"a": "b"}
        ),
        "call.incoming",
        {
            "call": "c1",
            "caller": BOB,
            "callees": ["ann@localhost"],
            "media": "audio",
            "info": {"a": "b"},
            "again": False,
        },
    ),
    (
        ev.CallStateChanged(call=CALL, old=CallState.NEW, new=CallState.PENDING),
        "call.state",
        {"call": "c1", "old": "new", "new": "pending"},
    ),
    (ev.CallMerged(call=CALL, was=CallId("c0")), "call.merged", {"call": "c1", "was": "c0"}),
    (
        ev.CallRefused(call=CALL, caller=BOB, reason=DeclineReason.BUSY),
        "call.refused",
        {"call": "c1", "caller": BOB, "reason": "busy"},
    ),
    (ev.PeerAccepted(call=CALL, peer=BOB, info={}), "peer.accepted", {"call": "c1", "peer": BOB, "info": {}}),
    (
        ev.PeerRejected(call=CALL, peer=BOB, info={"why": "no"}, reason=DeclineReason.DECLINED),
        "peer.rejected",
        {"call": "c1", "peer": BOB, "info": {"why": "no"}, "reason": "declined"},
    ),
    (ev.PeerHungUp(call=CALL, peer=BOB, info={}), "peer.hung_up", {"call": "c1", "peer": BOB, "info": {}}),
    (ev.PeerNoAnswer(call=CALL, peer=BOB), "peer.no_answer", {"call": "c1", "peer": BOB}),
    (
        ev.PeerUpdated(call=CALL, peer=BOB, info={"x": "y"}),
        "peer.updated",
        {"call": "c1", "peer": BOB, "info": {"x": "y"}},
    ),
    (
        ev.PeerConnected(call=CALL, peer=BOB, old=PeerState.CHECKING, new=PeerState.CONNECTED),
        "peer.state",
        {"call": "c1", "peer": BOB, "old": "checking", "new": "connected", "detail": "", "reason": None},
    ),
    (
        ev.PeerClosed(call=CALL, peer=BOB, old=PeerState.FAILED, new=PeerState.CLOSED, reason=EndReason.MEDIA_FAILED),
        "peer.state",
        {"call": "c1", "peer": BOB, "old": "failed", "new": "closed", "detail": "", "reason": "media_failed"},
    ),
    (ev.VideoTrackAdded(call=CALL, peer=BOB), "peer.track", {"call": "c1", "peer": BOB, "kind": "video"}),
    (ev.AudioTrackAdded(call=CALL, peer=BOB), "peer.track", {"call": "c1", "peer": BOB, "kind": "audio"}),
    (
        ev.ParticipantJoined(call=CALL, peer=BOB, data="x"),
        "participant.joined",
        {"call": "c1", "peer": BOB, "data": "x"},
    ),
    (
        ev.ParticipantLeft(call=CALL, peer=BOB, reason=EndReason.REMOTE_HUNG_UP),
        "participant.left",
        {"call": "c1", "peer": BOB, "reason": "remote_hung_up"},
    ),
    (
        ev.Signal(call=CALL, sender=None, type="chat", data="hi", id="1"),
        "signal",
        {"call": "c1", "sender": None, "signal_type": "chat", "data": "hi", "id": "1"},
    ),
    (ev.SignalSent(call=CALL, id="1"), "signal.sent", {"call": "c1", "id": "1"}),
    (ev.SignalDelivered(call=CALL, id="1"), "signal.delivered", {"call": "c1", "id": "1"}),
    (
        ev.SignalNotSent(call=CALL, id="1", code=500, detail="gone"),
        "signal.not_sent",
        {"call": "c1", "id": "1", "code": 500, "detail": "gone"},
    ),
    (
        ev.DirectionChanged(call=CALL, peer=BOB, kind=MediaKind.AUDIO, old=Reception.FLOWING, new=Reception.STALLED),
        "peer.direction",
        {"call": "c1", "peer": BOB, "kind": "audio", "old": "flowing", "new": "stalled"},
    ),
    (
        ev.HealthChanged(call=CALL, old=Health.OK, new=Health.DEGRADED),
        "call.health",
        {"call": "c1", "old": "ok", "new": "degraded"},
    ),
    (
        ev.MatrixChanged(
            call=CALL, receiver=BOB, sender=ANN, kind=MediaKind.VIDEO, old=Reception.IDLE, new=Reception.FLOWING
        ),
        "call.matrix",
        {"call": "c1", "receiver": BOB, "sender": ANN, "kind": "video", "old": "idle", "new": "flowing"},
    ),
    (ev.PeerReconnecting(call=CALL, peer=BOB), "peer.reconnecting", {"call": "c1", "peer": BOB}),
    (
        ev.PeerReconnected(call=CALL, peer=BOB, gap=1.5, attempts=2),
        "peer.reconnected",
        {"call": "c1", "peer": BOB, "gap": 1.5, "attempts": 2},
    ),
    (ev.PeerReconnectFailed(call=CALL, peer=BOB), "peer.reconnect_failed", {"call": "c1", "peer": BOB}),
)


@pytest.mark.parametrize(("event", "name", "expected"), EVENTS, ids=lambda value: type(value).__name__)
def test_event_is_told_as_its_line(event: ev.Event, name: str, expected: Line) -> None:
    line = line_of(event, 12.3456)
    assert line is not None
    told = json.loads(line.model_dump_json())
    VALIDATOR.validate(told)
    assert str(told.pop("t")).endswith("Z")
    assert told == {"v": 1, "mono": 12.346, "type": name, **expected}


def test_statistics_are_told_by_kind_of_media() -> None:
    line = line_of(ev.Stats(call=CALL, peer=BOB, report=REPORT), 0.0)
    assert line is not None
    told = json.loads(line.model_dump_json())
    VALIDATOR.validate(told)
    assert told["report"]["sent"]["audio"]["codec"] == "opus"
    assert told["report"]["received"]["video"]["width"] == 640


def test_every_class_of_events_has_a_line_but_what_is_told_otherwise() -> None:
    """`call.ended` says more than the end of a call."""
    groups = {ev.Event, ev.LinkEvent, ev.CallEvent, ev.PeerEvent, ev.ReconnectionChanged}
    kinds = [kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, ev.Event)]
    untold = {kind for kind in kinds if not any(base in LINES for base in kind.__mro__)}
    assert untold - groups == {ev.CallClosed}
    assert line_of(ev.CallClosed(call=CALL, reason=EndReason.HUNG_UP), 0.0) is None


@pytest.mark.parametrize(
    "spoilt",
    [
        {"v": 2, "t": "x", "mono": 1.0, "type": "link.reconnected", "resumed": True},
        {"v": 1, "mono": 1.0, "type": "link.reconnected", "resumed": True},
        {"v": 1, "t": "x", "mono": 1.0, "type": "link.rejoined"},
        {"v": 1, "t": "x", "mono": 1.0, "type": "link.reconnected", "resumed": True, "more": 1},
        {"v": 1, "t": "x", "mono": 1.0, "type": "call.state", "call": "c", "old": "new", "new": "gone"},
    ],
)
def test_wrong_line_does_not_pass_the_schema(spoilt: Line) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(spoilt)


def test_schema_names_every_type() -> None:
    told = schema()["discriminator"]
    assert isinstance(told, dict)
    mapping = told["mapping"]
    assert isinstance(mapping, dict)
    assert tuple(sorted(mapping)) == TYPES


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text(encoding="utf-8")
