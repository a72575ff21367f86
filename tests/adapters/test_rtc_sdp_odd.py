"""Real media between two endpoints whose offers and answers are made odd on the way."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from qbcall.adapters import rtc_sdp
from qbcall.core.inputs import IceChecking, IceConnected, IceFailed, MediaBroke
from qbcall.core.model import Candidate, Description, MediaKind
from tests.adapters.rtc_offers import VIDEO_OFFER, sections
from tests.adapters.rtc_room import Endpoint, join, run

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO
MDNS = "9b36eaac-bb2e-49bb-bb78-21c41c499900.local"
Edit = Callable[[str], str]


def unchanged(sdp: str) -> str:
    return sdp


def with_codec(name: str) -> Edit:
    """Leaves nothing else in the picture's section."""

    def edit(sdp: str) -> str:
        head, audio, video = sections(sdp)
        codecs = rtc_sdp.parse(sdp).sections[1].codecs
        for number in [number for number, other, _ in codecs if other != name]:
            video = re.sub(rf"a=(rtpmap|fmtp|rtcp-fb):{number} .*\r\n", "", video)
            video = re.sub(rf"^(m=.*) {number}\b", r"\1", video)
        return head + audio + video

    return edit


def old_profile(sdp: str) -> str:
    return sdp.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF")


def lf_only(sdp: str) -> str:
    return sdp.replace("\r\n", "\n")


def without_picture(sdp: str) -> str:
    """The peer itself rejects the section."""
    return re.sub(r"m=video \d+", "m=video 0", sdp)


def mdns_only(sdp: str) -> str:
    """As browsers do that hide the addresses of the machine."""
    return re.sub(r"(a=candidate:\S+ \d \S+ \d+) \S+", rf"\1 {MDNS}", sdp)


def without_candidates(sdp: str) -> str:
    return re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", sdp)


def ended_without_candidates(sdp: str) -> str:
    """It says that none will come."""
    return re.sub(r"a=candidate:.*\r\n", "", sdp)


def with_more_sections(sdp: str) -> str:
    _, _, video = sections(sdp)
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\n"
    return sdp + re.sub(r"a=mid:.*", "a=mid:8\r", video) + data


def of_the_first_two(sdp: str) -> str:
    """The answer to it, as the endpoint wants it whose offer had no more."""
    parts = re.split(r"(?=^m=)", sdp, flags=re.MULTILINE)
    assert [re.match(r"m=(\w+) 0 ", part) is not None for part in parts[1:]] == [False, False, True, True]
    return "".join(parts[:3])


async def exchange(a: Endpoint, b: Endpoint, offered: Edit, answered: Edit) -> rtc_sdp.Sdp:
    """A calls B; what each gets is made odd. The answer as B gave it."""
    offer = await a.offer(b)
    answer = await b.answer(a, Description(offered(offer.sdp)))
    a.apply(b, Description(answered(answer.sdp)))
    return rtc_sdp.parse(answer.sdp)


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (with_codec("H264"), unchanged),
        (with_codec("VP8"), unchanged),
        (old_profile, unchanged),
        (lf_only, lf_only),
        (mdns_only, unchanged),
        (unchanged, mdns_only),
        (without_candidates, unchanged),
        (unchanged, without_candidates),
        (ended_without_candidates, unchanged),
        (unchanged, ended_without_candidates),
        (with_more_sections, of_the_first_two),
    ],
    ids=lambda edit: edit.__qualname__.partition(".")[0],
)
def test_odd_description_connects(offered: Edit, answered: Edit) -> None:
    """One side's usable candidates are enough: the other learns of it by its checks (RFC 8445, section 7.3.1.3)."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await exchange(a, b, offered, answered)
            for kind in (AUDIO, VIDEO):
                await a.frame(b, kind, more=3)
                await b.frame(a, kind, more=3)

    run(play)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_codec_that_is_all_there_is_is_used(codec: str) -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            answer = await exchange(a, b, with_codec(codec), unchanged)
            assert {name for _, name, _ in answer.sections[1].codecs} - {"rtx"} == {codec}

    run(play)


def test_section_that_the_offer_rejects_leaves_the_sound() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await exchange(a, b, without_picture, unchanged)
            await a.frame(b, AUDIO, more=5)
            await b.frame(a, AUDIO, more=5)
            assert not a.frames[b.user, VIDEO]
            assert not b.frames[a.user, VIDEO]

    run(play)


def candidates_of(sdp: str) -> list[Candidate]:
    """The candidates in it, as they are sent on their own."""
    found = re.findall(r"^a=(candidate:.*)\r$", sections(sdp)[1], flags=re.MULTILINE)
    assert found
    return [Candidate(candidate=one, mid="0", line=0) for one in found]


@pytest.mark.parametrize(
    "hidden", [without_candidates, ended_without_candidates, mdns_only], ids=lambda e: e.__name__
)
def test_peer_without_candidates_is_waited_for(hidden: Edit) -> None:
    """Neither side has an address of the other; how long that may last is for the core to say."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b, Endpoint("c") as c, Endpoint("d") as d:
            offer = await a.offer(b)
            answer = await b.answer(a, Description(hidden(offer.sdp)))
            a.apply(b, Description(hidden(answer.sdp)))
            await a.until(IceChecking)
            await b.until(IceChecking)
            await join(c, d)  # so long that a side which gives up has told it
            assert not a.told(IceFailed) + b.told(IceFailed)
            assert not a.told(IceConnected) + b.told(IceConnected)
            b.add(a, candidates_of(offer.sdp))
            await a.until(IceConnected)
            await b.until(IceConnected)

    run(play)


def test_unknown_codecs_are_the_reason_that_may_be_told() -> None:
    """`rtx`, which both sides have, is no codec."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            offer = await a.offer(b)
            b.accept(a, Description(re.sub(r"VP8|H264", "VP9", offer.sdp)))
            broke = await b.until(MediaBroke)
            assert broke.theirs
            assert broke.error == "no common codec for video: the peer offers VP9 only; qbcall has VP8 and H264"

    run(play)


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_nothing_is_hidden_behind_what_only_python_takes_for_the_end_of_a_line(end: str) -> None:
    """The library splits there: an address that is not to be tried would be, and keys hidden from pinning."""
    hidden = f"a=ice-options:trickle{end}a=candidate:1 1 udp 1 127.0.0.1 22 typ host"
    text = re.sub(r"(a=setup:.*\r\n)", rf"\1{hidden}\r\n", VIDEO_OFFER)
    assert hidden in text
    read = rtc_sdp.read_offer(text, tuple(MediaKind), lambda candidate: False, lambda section: None)
    assert [line for line in read.text.splitlines() if line.startswith("a=candidate")] == []
