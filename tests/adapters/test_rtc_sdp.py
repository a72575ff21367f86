"""Offers of QuickBlox clients, and broken ones."""

from __future__ import annotations

import re

import pytest

from qbcall.adapters import rtc_sdp
from qbcall.core.model import CallMedia, MediaKind
from tests.adapters.rtc_offers import (
    AUDIO_OFFER,
    OFFERS,
    VIDEO_OFFER,
    answered,
    codecs_only,
    picture_only,
    refused,
    sections,
    sound_only,
)

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO


@pytest.mark.parametrize("name", OFFERS)
def test_recorded_offer_is_answered(name: str) -> None:
    """Section for section, with VP8 and Opus first."""
    offer = rtc_sdp.parse(OFFERS[name])
    answer = answered(OFFERS[name])
    assert [section.kind for section in answer.sections] == [section.kind for section in offer.sections]
    assert [section.mid for section in answer.sections] == [section.mid for section in offer.sections]
    assert [section.codecs[0][1] for section in answer.sections] == ["opus", "VP8"][: len(answer.sections)]
    assert answer.bundle == offer.bundle


def test_there_are_recorded_offers_of_both_kinds() -> None:
    assert len(OFFERS) >= 10
    assert "m=audio" in AUDIO_OFFER


def test_lines_ended_by_lf_are_answered() -> None:
    assert len(answered(VIDEO_OFFER.replace("\r\n", "\n")).sections) == 2


def test_bandwidth_line_ended_otherwise_is_answered() -> None:
    """The QuickBlox SDK inserts `b=AS` with LF between lines that end in CR LF."""
    offer = re.sub(r"(m=video.*\r\nc=.*)\r\n", "\\1\r\nb=AS:256\n", VIDEO_OFFER)
    assert "b=AS" in offer
    assert len(answered(offer).sections) == 2


def test_profile_of_old_clients_is_answered_alike() -> None:
    answer = answered(VIDEO_OFFER.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"))
    assert {section.profile for section in answer.sections} == {"RTP/SAVPF"}


def test_extmap_allow_mixed_is_passed_over() -> None:
    assert len(answered(VIDEO_OFFER.replace("t=0 0\r\n", "t=0 0\r\na=extmap-allow-mixed\r\n")).sections) == 2


def test_audio_call_rejects_video_that_is_offered() -> None:
    answer = answered(VIDEO_OFFER, CallMedia.AUDIO)
    assert [(section.kind, section.port == 0) for section in answer.sections] == [("audio", False), ("video", True)]
    assert answer.bundle == ("0",)


def test_video_call_with_audio_only_is_answered() -> None:
    assert [section.kind for section in answered(AUDIO_OFFER).sections] == ["audio"]


def test_second_video_and_data_are_rejected_in_their_places() -> None:
    head, audio, video = sections(VIDEO_OFFER)
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\n"
    head = head.replace("BUNDLE 0 1", "BUNDLE 9 0 1 2")
    answer = answered(head + data + audio + video + video.replace("a=mid:1", "a=mid:2"))
    assert [(one.kind, one.mid, one.port == 0) for one in answer.sections] == [
        ("application", "9", True),
        ("audio", "0", False),
        ("video", "1", False),
        ("video", "2", True),
    ]
    assert answer.bundle == ("0", "1")


def test_section_the_peer_rejects_itself_is_rejected() -> None:
    answer = answered(VIDEO_OFFER.replace("m=video 9", "m=video 0"))
    assert [section.port == 0 for section in answer.sections] == [False, True]


def test_bundled_section_without_port_is_no_rejected_one() -> None:
    """RFC 8843: port 0 with a=bundle-only."""
    offer = VIDEO_OFFER.replace("m=video 9", "m=video 0").replace("a=mid:1", "a=bundle-only\r\na=mid:1")
    assert [section.port == 0 for section in answered(offer).sections] == [False, False]


def test_sections_without_mid_and_bundle_are_answered_without_bundle() -> None:
    offer = re.sub(r"a=(mid|group):.*\r\n", "", VIDEO_OFFER)
    answer = answered(offer)
    assert len(answer.sections) == 2
    assert answer.bundle == ()


def test_missing_direction_means_both() -> None:
    answer = answered(VIDEO_OFFER.replace("a=sendrecv\r\n", ""))
    assert [section.first("sendrecv") for section in answer.sections] == ["", ""]


def without(name: str) -> str:
    return re.sub(rf"a={name}:.*\r\n", "", VIDEO_OFFER)


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        ("", "no SDP"),
        ("hello", "no SDP"),
        ("v=0\r\n", "no SDP"),
        ("v=0\r\nm=audio\r\n", "m-line that cannot be read"),
        (VIDEO_OFFER + "a=x:" + "y" * 65536, "at most 65536"),
        (VIDEO_OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 20, "at most 16"),
        (VIDEO_OFFER.replace("m=audio 9", "m=audio 0").replace("m=video 9", "m=video 0"), "no audio or video"),
        (VIDEO_OFFER.replace("m=audio", "m=text").replace("m=video", "m=message"), "no audio or video"),
        (without("fingerprint"), "no usable a=fingerprint of SHA-256 or longer"),
        (re.sub("fingerprint:.*", "fingerprint:sha-1 " + ":".join(["AB"] * 20), VIDEO_OFFER), "of SHA-256 or longer"),
        (re.sub("fingerprint:.*", "fingerprint:md5 " + ":".join(["AB"] * 32), VIDEO_OFFER), "of SHA-256 or longer"),
        (re.sub("(fingerprint:sha-256 ..):.*", r"\1", VIDEO_OFFER), "of SHA-256 or longer"),
        (without("ice-ufrag"), "no usable a=ice-ufrag"),
        (without("ice-pwd"), "no usable a=ice-pwd"),
        (without("setup"), "no usable a=setup"),
        (VIDEO_OFFER.replace("a=mid:1", "a=mid:0"), "the same a=mid"),
        (VIDEO_OFFER.replace("a=rtcp-mux\r\n", ""), "RTCP mux"),
        (picture_only(codecs_only("VP9", "AV1")), "the peer offers VP9 and AV1 only; qbcall has VP8 and H264$"),
        (picture_only(codecs_only("AV1")), "the peer offers AV1 only; qbcall has VP8 and H264$"),
        (picture_only(codecs_only("H264")), "the peer offers H264 of another profile only; qbcall has VP8 and H264$"),
        (picture_only(codecs_only()), "the peer offers nothing only; qbcall has VP8 and H264$"),
        (sound_only("ISAC"), "the peer offers ISAC only; qbcall has opus, G722, PCMU and PCMA$"),
    ],
    ids=lambda value: str(value)[:20] if len(str(value)) < 60 else "offer",
)
def test_offer_of_no_use_is_refused_with_a_reason(offer: str, reason: str) -> None:
    assert re.search(reason, refused(offer))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("VP9", "AV1"), "no common codec for video: the peer offers VP9 and AV1 only; qbcall has VP8 and H264$"),
        ((), "no common codec for video: the peer offers nothing only"),
    ],
    ids=["unknown", "none"],
)
def test_picture_of_no_common_codec_is_refused_though_the_sound_could_be_heard(
    names: tuple[str, ...], reason: str
) -> None:
    assert re.search(reason, refused(codecs_only(*names)))


def test_sound_of_no_common_codec_is_refused_though_the_picture_could_be_seen() -> None:
    head, audio, video = sections(VIDEO_OFFER)
    offer = head + re.sub(r"a=rtpmap:(\d+) [^/]+/\d+", r"a=rtpmap:\1 ISAC/16000", audio) + video
    assert "no common codec for audio: the peer offers ISAC only" in refused(offer)


def test_second_picture_is_taken_where_the_first_has_no_common_codec() -> None:
    head, audio, video = sections(VIDEO_OFFER)
    unknown = sections(codecs_only("VP9"))[2]
    answer = answered(head + audio + unknown.replace("a=mid:1", "a=mid:2") + video)
    assert [(one.mid, one.port == 0) for one in answer.sections] == [("0", False), ("2", True), ("1", False)]


def test_names_of_codecs_that_are_told_are_few_and_short() -> None:
    many = "".join(f"a=rtpmap:{96 + at % 30} {'x' * 500}{at}/90000\r\n" for at in range(90))
    reason = refused(picture_only(codecs_only()) + many)
    assert "xxx" in reason
    assert len(reason) < 300


def test_h264_is_answered_where_it_is_all_there_is() -> None:
    head, audio, video = sections(VIDEO_OFFER)
    answer = answered(head + audio + re.sub(r"a=rtpmap:\d+ VP8/90000\r\n", "", video))
    assert answer.sections[1].codecs[0][1] == "H264"


def test_no_more_candidates_than_the_limit_and_no_names_reach_the_library() -> None:
    many = "".join(f"a=candidate:1 1 udp 1 192.0.2.1 {port} typ host\r\n" for port in range(1, 40))
    seen: list[str] = []

    def admit(text: str) -> bool:
        seen.append(text)
        return len(seen) <= 3

    offer = rtc_sdp.read_offer(VIDEO_OFFER + many + "a=end-of-candidates\r\n", [VIDEO], admit, lambda _: None)
    assert offer.text.count("a=candidate:") == 3
    assert "end-of-candidates" not in offer.text


@pytest.mark.parametrize(
    ("mid", "line", "expected"),
    [
        ("a", None, "a"),
        ("b", None, None),
        (None, 0, "a"),
        (None, 2, None),
        (None, None, "a"),
        ("unused", None, "a"),
        ("unused", 1, "a"),
        (None, 99, "a"),
        (None, -1, "a"),
    ],
)
def test_candidate_finds_its_transport(mid: str | None, line: int | None, expected: str | None) -> None:
    remote = rtc_sdp.Remote("", ("a", "", "b"), ("a", "b"))
    assert remote.transport_of(mid, line) == expected
