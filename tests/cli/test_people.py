"""What people read while a call goes on."""

from __future__ import annotations

import pytest

from qbcall.cli.people import described
from qbcall.core import events as ev
from qbcall.core.model import (
    CallId,
    CallMedia,
    CallState,
    DeclineReason,
    Health,
    MediaKind,
    PeerState,
    Reception,
    StatsReport,
    User,
)
from qbcall.errors import ServerUnreachable

CALL = CallId("c1")
AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO
BOB = User("bob@localhost")
ANN = User("ann@localhost")


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (ev.LinkOnline(device="ann@localhost/x"), "online as ann@localhost/x"),
        (ev.LinkReconnecting(reason="broke"), "chat lost, connecting again: broke"),
        (ev.LinkReconnected(), "chat is back"),
        (ev.LinkLost(error=ServerUnreachable("gone")), "chat lost for good: gone"),
        (
            ev.IncomingCall(call=CALL, caller=BOB, callees=(ANN,), media=CallMedia.VIDEO, info={"topic": "x"}),
            "bob@localhost calls (video, 2 users) (topic=x)",
        ),
        (
            ev.CallRefused(call=CALL, caller=BOB, reason=DeclineReason.BUSY),
            "refused a call of bob@localhost: busy",
        ),
        (ev.CallStateChanged(call=CALL, old=CallState.NEW, new=CallState.PENDING), None),
        (ev.PeerAccepted(call=CALL, peer=BOB, info={}), "bob@localhost accepted"),
        (
            ev.PeerRejected(call=CALL, peer=BOB, info={"why": "no"}, reason=DeclineReason.DECLINED),
            "bob@localhost rejected: declined (why=no)",
        ),
        (ev.PeerHungUp(call=CALL, peer=BOB, info={}), "bob@localhost hung up"),
        (ev.PeerNoAnswer(call=CALL, peer=BOB), "bob@localhost did not answer"),
        (ev.PeerUpdated(call=CALL, peer=BOB, info={"x": "y"}), "bob@localhost says (x=y)"),
        (
            ev.PeerConnected(call=CALL, peer=BOB, old=PeerState.CHECKING, new=PeerState.CONNECTED),
            "bob@localhost connected",
        ),
        (
            ev.PeerFailed(call=CALL, peer=BOB, old=PeerState.CHECKING, new=PeerState.FAILED, detail="no path"),
            "bob@localhost failed: no path",
        ),
        (ev.PeerStateChanged(call=CALL, peer=BOB, old=PeerState.CONNECTING, new=PeerState.CHECKING), None),
        (ev.PeerReconnected(call=CALL, peer=BOB, gap=1.25), "bob@localhost is back after 1.2 s"),
        (
            ev.DirectionChanged(call=CALL, peer=BOB, kind=AUDIO, old=Reception.FLOWING, new=Reception.STALLED),
            "you do not hear bob@localhost (stalled)",
        ),
        (
            ev.DirectionChanged(call=CALL, peer=BOB, kind=VIDEO, old=Reception.SILENT, new=Reception.FLOWING),
            "you see bob@localhost again",
        ),
        (ev.DirectionChanged(call=CALL, peer=BOB, kind=AUDIO, old=Reception.IDLE, new=Reception.FLOWING), None),
        (ev.DirectionChanged(call=CALL, peer=BOB, kind=AUDIO, old=Reception.STALLED, new=Reception.LOST), None),
        (
            ev.MatrixChanged(
                call=CALL, receiver=BOB, sender=ANN, kind=VIDEO, old=Reception.FLOWING, new=Reception.LOST
            ),
            "bob@localhost does not see ann@localhost (lost)",
        ),
        (
            ev.MatrixChanged(
                call=CALL, receiver=BOB, sender=ANN, kind=AUDIO, old=Reception.LOST, new=Reception.FLOWING
            ),
            "bob@localhost hears ann@localhost again",
        ),
        (ev.HealthChanged(call=CALL, old=Health.OK, new=Health.DEGRADED), "the call is degraded"),
        (ev.Stats(call=CALL, peer=BOB, report=StatsReport(round_trip=0.01)), "bob@localhost: rtt 10 ms"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_event_is_told_in_a_sentence(event: ev.Event, sentence: str | None) -> None:
    assert described(event) == sentence
