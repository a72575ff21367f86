"""Statistics under the names of the W3C."""

from __future__ import annotations

from collections import Counter

from qbcall.core.model import MediaKind, StatsReport, StreamStats

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO
SOUND = StreamStats(
    packets=9, bytes=90, packets_lost=1, loss=0.1, jitter=0.002, codec="opus", audio_level=0.5, mos=4.0
)
PICTURE = StreamStats(
    packets=30,
    bytes=3000,
    packets_lost=0,
    loss=0.0,
    jitter=0.004,
    codec="VP8",
    frames=10,
    frames_decoded=7,
    frames_dropped=2,
    fps=10.0,
    width=640,
    height=480,
    freezes=1,
    freeze_seconds=0.4,
    nacks=3,
    plis=2,
)
REPORT = StatsReport(
    round_trip=0.03,
    local_candidate="host",
    remote_candidate="relay",
    sent={AUDIO: SOUND, VIDEO: PICTURE},
    received={AUDIO: SOUND, VIDEO: PICTURE},
)
COMMON = {"type", "id", "timestamp"}
STREAM = {"kind", "transportId", "codecId", "ssrc"}
NAMES: dict[str, set[str]] = {
    "inbound-rtp": STREAM
    | {
        "packetsReceived",
        "bytesReceived",
        "packetsLost",
        "jitter",
        "framesReceived",
        "framesDecoded",
        "framesDropped",
    }
    | {"frameWidth", "frameHeight", "framesPerSecond", "freezeCount", "totalFreezesDuration", "nackCount", "pliCount"}
    | {"audioLevel"},
    "outbound-rtp": STREAM
    | {"packetsSent", "bytesSent", "remoteId", "mediaSourceId", "framesSent", "frameWidth", "frameHeight"}
    | {"framesPerSecond", "nackCount", "pliCount"},
    "remote-inbound-rtp": STREAM | {"packetsLost", "jitter", "fractionLost", "roundTripTime", "localId"},
    "media-source": {"kind", "audioLevel", "width", "height"},
    "codec": {"transportId", "mimeType"},
    "transport": {"selectedCandidatePairId"},
    "candidate-pair": {"transportId", "localCandidateId", "remoteCandidateId", "state", "nominated"},
    "local-candidate": {"transportId", "candidateType"},
    "remote-candidate": {"transportId", "candidateType"},
}
"""Members of the dictionaries of webrtc-stats that we may use, by type (sections 8.1 to 8.18)."""


def test_every_type_and_member_is_one_of_the_standard() -> None:
    entries = REPORT.w3c(5.0)
    assert Counter(entry["type"] for entry in entries.values()) == {
        **dict.fromkeys(("transport", "candidate-pair", "local-candidate", "remote-candidate"), 1),
        **dict.fromkeys(("inbound-rtp", "outbound-rtp", "remote-inbound-rtp", "media-source"), 2),
        "codec": 4,
    }
    for id, entry in entries.items():
        assert entry["id"] == id
        assert entry["timestamp"] == 5.0
        assert set(entry) - COMMON <= NAMES[str(entry["type"])]


def test_values_are_where_the_standard_has_them() -> None:
    entries = REPORT.w3c(5.0)
    picture = next(one for one in entries.values() if one["type"] == "inbound-rtp" and one["kind"] == "video")
    assert picture["framesReceived"] == 12
    assert (picture["framesDecoded"], picture["framesDropped"], picture["freezeCount"]) == (7, 2, 1)
    assert entries[str(picture["codecId"])]["mimeType"] == "video/VP8"
    sound = next(one for one in entries.values() if one["type"] == "outbound-rtp" and one["kind"] == "audio")
    told = entries[str(sound["remoteId"])]
    assert (told["roundTripTime"], told["fractionLost"], told["localId"]) == (0.03, 0.1, sound["id"])
    assert entries[str(sound["mediaSourceId"])]["audioLevel"] == 0.5


def test_links_lead_somewhere() -> None:
    entries = REPORT.w3c(5.0)
    for entry in entries.values():
        for name, value in entry.items():
            assert not name.endswith("Id") or value in entries


def test_what_is_not_known_is_left_out() -> None:
    assert set(StatsReport().w3c(1.0)) == {"P"}
    bare = StatsReport(sent={AUDIO: StreamStats()}, received={VIDEO: StreamStats()}).w3c()
    assert None not in [value for entry in bare.values() for value in entry.values()]
