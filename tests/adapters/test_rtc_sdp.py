"""Offers and answers of others: recorded, odd, and broken."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qbcall.adapters import rtc_sdp
from qbcall.core.inputs import AnswerReady, IceConnected, IceFailed, MediaBroke
from qbcall.core.model import CallMedia, Description, MediaKind
from qbcall.errors import NegotiationError
from tests.adapters.rtc_room import Endpoint, colour, is_near, join, run

FOLDER = Path(__file__).parent.parent / "vectors" / "quickblox"
AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO


def recorded_offers() -> dict[str, str]:
    """Every different SDP that a QuickBlox client sent with an invitation, by file and number."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if 'dir": "out' not in line or "actpass" not in line:
                continue
            for element in fromstring(json.loads(line)["xml"]).iter():
                text = (element.text or "").replace("\n", "\r\n")  # an XML parser makes LF of CR LF
                if element.tag.endswith("sdp") and text not in found.values():
                    found[f"{path.stem}-{len(found)}"] = text
    return found


OFFERS = recorded_offers()
VIDEO_OFFER = next(text for text in OFFERS.values() if "m=video" in text)
AUDIO_OFFER = next(text for text in OFFERS.values() if "m=video" not in text)


def answered(offer: str, media: CallMedia = CallMedia.VIDEO) -> rtc_sdp.Sdp:
    """What a real endpoint answers."""
    found: list[str] = []

    async def play() -> None:
        async with Endpoint("b") as b, Endpoint("a") as a:
            found.append((await b.answer(a, Description(offer), media)).sdp)

    run(play)
    return rtc_sdp.parse(found[0])


def refused(offer: str, media: CallMedia = CallMedia.VIDEO) -> str:
    """Why a real endpoint does not answer."""
    found: list[str] = []

    async def play() -> None:
        async with Endpoint("b") as b, Endpoint("a") as a:
            b.accept(a, Description(offer), media)
            found.append((await b.until(MediaBroke)).error)
            assert b.told(AnswerReady) == []

    run(play)
    return found[0]


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


def sections(offer: str) -> tuple[str, str, str]:
    """What comes before the m-lines, the audio and the video section."""
    head, audio, video = re.split(r"(?=^m=)", offer, flags=re.MULTILINE)
    return head, audio, video


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


def codecs_only(*names: str) -> str:
    """The video offer with these codecs for the picture."""
    head, audio, video = sections(VIDEO_OFFER)
    numbers = [str(number) for number, name, _ in rtc_sdp.parse(VIDEO_OFFER).sections[1].codecs if name in names]
    assert numbers
    kept = [line for line in video.split("\r\n") if not re.match(r"a=(rtpmap|fmtp|rtcp-fb):(\d+)", line)]
    kept += [f"a=rtpmap:{number} {name}/90000" for number, name in zip(numbers, names, strict=False)]
    first = re.sub(r"SAVPF .*", f"SAVPF {' '.join(numbers)}", kept[0])
    return head + audio + "\r\n".join([first, *(line for line in kept[1:] if line)]) + "\r\n"


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
        (without("fingerprint"), "no usable a=fingerprint"),
        (without("ice-ufrag"), "no usable a=ice-ufrag"),
        (without("ice-pwd"), "no usable a=ice-pwd"),
        (without("setup"), "no usable a=setup"),
        (VIDEO_OFFER.replace("a=mid:1", "a=mid:0"), "the same a=mid"),
        (VIDEO_OFFER.replace("a=rtcp-mux\r\n", ""), "RTCP mux"),
        (codecs_only("VP9"), "no common codec: .*VP9"),
        (codecs_only("AV1"), "no common codec: .*AV1.*VP8, H264"),
    ],
    ids=lambda value: str(value)[:20] if len(str(value)) < 60 else "offer",
)
def test_offer_of_no_use_is_refused_with_a_reason(offer: str, reason: str) -> None:
    assert re.search(reason, refused(offer))


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

    offer = rtc_sdp.read_offer(VIDEO_OFFER + many + "a=end-of-candidates\r\n", [VIDEO], admit)
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


# -- answers ---------------------------------------------------------------------------------------------------------


def reject(kind: str) -> Callable[[str], str]:
    """Rejects one section of an answer, as callees without that kind of media do."""

    def edit(answer: str) -> str:
        sdp = rtc_sdp.parse(answer)
        texts = [
            section.text(port=0, lines=["c=IN IP4 0.0.0.0", f"a=mid:{section.mid}", "a=inactive"])
            if section.kind == kind
            else section.text()
            for section in sdp.sections
        ]
        kept = next(section.mid for section in sdp.sections if section.kind != kind)
        lines = [f"a=group:BUNDLE {kept}" if line.startswith("a=group") else line for line in sdp.lines]
        return "".join(f"{line}\r\n" for line in lines) + "".join(texts)

    return edit


@pytest.mark.parametrize("kind", [AUDIO, VIDEO], ids=lambda kind: kind.value)
def test_rejected_section_leaves_the_other_one(kind: MediaKind) -> None:
    other = VIDEO if kind is AUDIO else AUDIO

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            answer = await b.answer(a, await a.offer(b))
            a.apply(b, Description(reject(kind.value)(answer.sdp)))
            await a.until(IceConnected)
            await a.frame(b, other, more=5)
            await b.frame(a, other, more=5)
            assert not a.frames[b.user, kind]

    run(play)


def test_answer_of_an_audio_only_callee_is_used() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            answer = await b.answer(a, await a.offer(b), CallMedia.AUDIO)
            a.apply(b, answer)
            await a.frame(b, AUDIO)
            await b.frame(a, AUDIO)

    run(play)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda sdp: "", "no SDP"),
        (lambda sdp: re.sub(r"m=video[\s\S]*", "", sdp), "not those of the offer"),
        (lambda sdp: reject("video")(reject("audio")(sdp)), "rejects everything"),
        (lambda sdp: sdp.replace("a=setup:active", "a=setup:actpass"), "DTLS setup"),
        (lambda sdp: re.sub(r"VP8|H264|rtx", "VP9", sdp), "no common codec"),
    ],
)
def test_answer_of_no_use_is_told_with_a_reason(edit: Callable[[str], str], reason: str) -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            answer = await b.answer(a, await a.offer(b))
            a.apply(b, Description(edit(answer.sdp)))
            assert re.search(reason, (await a.until(MediaBroke)).error)

    run(play)


def test_wrong_fingerprint_connects_nobody() -> None:
    """The key of the DTLS handshake is the one that came with the signalling (RFC 8122)."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            answer = await b.answer(a, await a.offer(b))
            a.apply(b, Description(re.sub(r"(fingerprint:sha-\d+) ..:..", r"\1 00:00", answer.sdp)))
            await a.until(IceFailed)
            assert a.told(IceConnected) == []

    run(play)


# -- garbage ---------------------------------------------------------------------------------------------------------

LINES = VIDEO_OFFER.split("\r\n")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A recorded offer with some lines lost, repeated, moved or written over."""
    lines = [*LINES, "a=x"]
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["lose", "repeat", "move", "cut", "write", "number"])):
            case "lose":
                del lines[at : at + 20]
                lines.append("a=x")
            case "repeat":
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, 20))]
            case "write":
                lines[at] += draw(st.text(max_size=8))
            case "number":
                lines[at] = re.sub(r"\d+", str(draw(st.integers(-1, 2**40))), lines[at], count=1)
    return "\r\n".join(lines)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_offer_is_answered_or_refused(offer: str) -> None:
    """Never an exception, neither here nor in a task."""

    async def play() -> None:
        async with Endpoint("b") as b, Endpoint("a") as a:
            b.accept(a, Description(offer))
            await b.condition(lambda: bool(b.told(AnswerReady) or b.told(MediaBroke)))

    run(play)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_mutated_offer_is_read_or_refused(offer: str) -> None:
    with contextlib.suppress(NegotiationError):
        read = rtc_sdp.read_offer(offer, [AUDIO, VIDEO], lambda _: True)
        assert set(read.kinds) <= {AUDIO, VIDEO}
        assert read.text.count("\nm=") == len(read.kinds)


def test_connection_after_a_broken_one_works() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b", colour=(40, 200, 40)) as b:
            b.accept(a, Description("rubbish"), epoch=1)
            await b.until(MediaBroke)
            b.leave(a, epoch=1)
            await join(a, b, epoch=2)
            assert is_near(colour(await a.frame(b, VIDEO)), (40, 200, 40))

    run(play)
