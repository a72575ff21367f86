"""A report under the names of the W3C: Identifiers for WebRTC's Statistics API (webrtc-stats). Pure.

What is not known is left out, and so is what we do not count, as SSRCs. Bit rates and scores have no names there:
they are worked out of the counters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qbcall.core.model import StatsReport, StreamStats

Entry = dict[str, object]

PICTURE = {"frameWidth": "width", "frameHeight": "height", "framesPerSecond": "fps"}
REQUESTS = {"nackCount": "nacks", "pliCount": "plis"}
RECEIVED: Mapping[str, Mapping[str, str]] = {
    "audio": {"audioLevel": "audio_level"},
    "video": {
        **PICTURE,
        **REQUESTS,
        "framesDecoded": "frames_decoded",
        "framesDropped": "frames_dropped",
        "freezeCount": "freezes",
        "totalFreezesDuration": "freeze_seconds",
    },
}
"""`inbound-rtp`: W3C name -> ours, by kind."""
COUNTED = {"packetsReceived": "packets", "bytesReceived": "bytes", "packetsLost": "packets_lost", "jitter": "jitter"}
SENT: Mapping[str, Mapping[str, str]] = {"audio": {}, "video": {**PICTURE, **REQUESTS, "framesSent": "frames"}}
"""`outbound-rtp`."""
SOURCE: Mapping[str, Mapping[str, str]] = {
    "audio": {"audioLevel": "audio_level"},
    "video": {"width": "width", "height": "height"},
}
"""`media-source`."""
PATH = "P"
"""Id of the transport."""


def webrtc_stats(report: StatsReport, timestamp: float | None) -> dict[str, Entry]:
    """The entries by id, as in an RTCStatsReport; `timestamp` in milliseconds since the epoch."""
    entries = [*_path(report)]
    for kind, stream in report.received.items():
        entries += _received(kind.value, stream)
    for kind, stream in report.sent.items():
        entries += _sent(kind.value, stream, report.round_trip)
    stamp = {} if timestamp is None else {"timestamp": timestamp}
    return {str(entry["id"]): entry | stamp for entry in entries}


def _received(kind: str, stream: StreamStats) -> Iterator[Entry]:
    id = f"I-{kind}"
    came = {"framesReceived": _came(stream)} if kind == "video" else {}
    yield _entry("inbound-rtp", id, kind, _pick(stream, {**COUNTED, **RECEIVED[kind]}), came, _codec_of(id, stream))
    yield from _codec(id, kind, stream)


def _sent(kind: str, stream: StreamStats, round_trip: float | None) -> Iterator[Entry]:
    id, remote, source = f"O-{kind}", f"R-{kind}", f"S-{kind}"
    counted = _pick(stream, {"packetsSent": "packets", "bytesSent": "bytes", **SENT[kind]})
    links = {"remoteId": remote, "mediaSourceId": source}
    yield _entry("outbound-rtp", id, kind, counted, links, _codec_of(id, stream))
    told = _pick(stream, {"packetsLost": "packets_lost", "jitter": "jitter", "fractionLost": "loss"})
    yield _entry("remote-inbound-rtp", remote, kind, told, {"roundTripTime": round_trip, "localId": id})
    yield _entry("media-source", source, kind, _pick(stream, SOURCE[kind]))
    yield from _codec(id, kind, stream)


def _path(report: StatsReport) -> Iterator[Entry]:
    pair = report.local_candidate is not None or report.remote_candidate is not None
    yield {"type": "transport", "id": PATH, **({"selectedCandidatePairId": "CP"} if pair else {})}
    if not pair:
        return
    ends = (("local", "L", report.local_candidate), ("remote", "M", report.remote_candidate))
    for side, id, type in ends:
        yield _known({"type": f"{side}-candidate", "id": id, "transportId": PATH, "candidateType": type})
    yield {
        "type": "candidate-pair",
        "id": "CP",
        "transportId": PATH,
        "localCandidateId": "L",
        "remoteCandidateId": "M",
        "state": "succeeded",
        "nominated": True,
    }


def _came(stream: StreamStats) -> int | None:
    """Complete ones; ours leave out those that were dropped."""
    return None if stream.frames is None else stream.frames + (stream.frames_dropped or 0)


def _codec_of(id: str, stream: StreamStats) -> Entry:
    return {"transportId": PATH, "codecId": f"C{id}" if stream.codec is not None else None}


def _codec(id: str, kind: str, stream: StreamStats) -> Iterator[Entry]:
    if stream.codec is not None:
        yield {"type": "codec", "id": f"C{id}", "transportId": PATH, "mimeType": f"{kind}/{stream.codec}"}


def _entry(type: str, id: str, kind: str, *parts: Mapping[str, object]) -> Entry:
    named: Entry = {"type": type, "id": id, "kind": kind}
    return _known(named | {name: value for part in parts for name, value in part.items()})


def _pick(stream: StreamStats, names: Mapping[str, str]) -> Entry:
    return {theirs: getattr(stream, ours) for theirs, ours in names.items()}


def _known(entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if value is not None}
