"""What there is to say about a call that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import JsonValue, TypeAdapter

from qbcall.cli.call_lines import CallEndedLine, PeerSummary
from qbcall.cli.exit_codes import Outcome, outcome_of
from qbcall.cli.line import stamp
from qbcall.core.model import MediaKind, StreamStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qbcall.call import Call
    from qbcall.peer import Peer

_JSON: TypeAdapter[object] = TypeAdapter(object)


def outcome(call: Call) -> Outcome:
    """How a call went that is over."""
    assert call.end_reason is not None, "asked of a call that is over"
    return outcome_of(call.end_reason, call.connected_at is not None)


def summary(call: Call, mono: float) -> CallEndedLine:
    """The line `call.ended` of a call that is over."""
    accepted = call.accepted_at or call.closed_at
    connected = call.connected_at or call.closed_at
    return CallEndedLine.model_validate(
        {
            **stamp(mono),
            "call": call.id,
            "reason": call.end_reason,
            "outcome": outcome(call),
            "incoming": call.incoming,
            "caller": call.caller,
            "media": call.media,
            "ringing": _between(call.created_at, accepted),
            "connecting": _between(call.accepted_at, connected),
            "connected": _between(call.connected_at, call.closed_at),
            "peers": {user: _peer(call, peer) for user, peer in call.peers.items()},
        }
    )


def _peer(call: Call, peer: Peer) -> PeerSummary:
    sent, received = (peer.stats.sent, peer.stats.received) if peer.stats else ({}, {})
    tracks = {MediaKind.AUDIO: peer.audio, MediaKind.VIDEO: peer.video}
    return PeerSummary(
        state=peer.state,
        end_reason=peer.end_reason,
        accepted_ms=_between(call.created_at, peer.accepted_at, scale=1e3),
        connected_ms=_between(peer.accepted_at, peer.connected_at, scale=1e3),
        frames={kind: track.frames for kind, track in tracks.items() if track is not None},
        packets_lost=_sum(stream.packets_lost for stream in _streams(received)),
        bytes_received=_sum(stream.bytes for stream in _streams(received)),
        bytes_sent=_sum(stream.bytes for stream in _streams(sent)),
        reports=list(_reports(call, peer)),
    )


def _reports(call: Call, peer: Peer) -> Iterable[JsonValue]:
    """What each sink that has `report(user)` found out about this user."""
    for sink in call.sinks:
        report = getattr(sink, "report", None)
        if callable(report) and (found := report(peer.user)) is not None:
            yield _JSON.dump_python(found, mode="json", fallback=str)


def _streams(streams: Mapping[MediaKind, StreamStats]) -> Iterable[StreamStats]:
    return streams.values()


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _between(start: float | None, end: float | None, *, scale: float = 1.0) -> float | None:
    return None if start is None or end is None else round((end - start) * scale, 3)
