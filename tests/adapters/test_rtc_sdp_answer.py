"""Answers to our offers, and what is made of odd ones."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from qbcall.adapters import rtc_sdp
from qbcall.core.inputs import IceConnected, IceFailed, MediaBroke
from qbcall.core.model import CallMedia, Description, MediaKind
from tests.adapters.rtc_room import Endpoint, run

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO


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
