"""Early connections hold what is sent and what is received, whatever the other side does."""

from __future__ import annotations

from pathlib import Path

from qbcall.adapters.rtc_early import Gate
from qbcall.adapters.rtc_sdp import parse, with_candidates
from qbcall.adapters.rtc_viewer import Viewer
from qbcall.core.effects import AcceptOffer, ApplyAnswer, CreateOffer, StartMedia
from qbcall.core.inputs import AnswerReady, IceConnected, MediaCounted, MediaFlowing, OfferReady, RemoteTrack
from qbcall.core.model import CallMedia, Candidate, Description, Epoch, MediaKind
from tests.adapters.recording_room import recording
from tests.adapters.rtc_room import CALL, Endpoint, join, run
from tests.media.encoded_pieces import Played

EPOCH = Epoch(1)


async def early_offer(one: Endpoint, other: Endpoint) -> Description:
    one.media.perform(CreateOffer(call=CALL, peer=other.user, epoch=EPOCH, media=CallMedia.VIDEO, early=True))
    return (await one.until(OfferReady, other)).offer


async def connect(one: Endpoint, other: Endpoint, *, early: bool) -> None:
    """`early`: the answering side holds as well."""
    offer = await early_offer(one, other)
    other.media.perform(
        AcceptOffer(call=CALL, peer=one.user, epoch=EPOCH, media=CallMedia.VIDEO, offer=offer, early=early)
    )
    answer = (await other.until(AnswerReady, one)).answer
    one.media.perform(ApplyAnswer(call=CALL, peer=other.user, epoch=EPOCH, answer=answer))
    await one.until(IceConnected, other)
    await other.until(IceConnected, one)


def least(told: list[MediaCounted]) -> int:
    """Packets of the kind of which fewest came."""
    return min((one.packets for one in told[-1].counts.values()), default=0) if told else 0


def start(one: Endpoint, other: Endpoint) -> None:
    one.media.perform(StartMedia(call=CALL, peer=other.user, epoch=EPOCH))


def test_what_comes_early_is_neither_decoded_nor_delivered() -> None:
    """A caller that sends at once, though it was not accepted."""

    async def play() -> None:
        async with Endpoint("callee") as callee, Endpoint("caller") as caller:
            await connect(callee, caller, early=False)
            await callee.condition(lambda: least(callee.told(MediaCounted)) > 30)
            assert callee.frames == {}
            assert not callee.passed
            assert callee.told(RemoteTrack) == []
            report = callee.media.latest(CALL, caller.user)
            assert report is not None
            assert {one.frames_decoded for one in report.received.values()} == {0}
            assert caller.frames == {}
            assert not callee.local.feeds
            start(callee, caller)
            await callee.frame(caller, MediaKind.VIDEO)
            await callee.frame(caller, MediaKind.AUDIO)
            await caller.frame(callee, MediaKind.VIDEO)

    run(play)


def test_both_sides_hold_until_they_are_started() -> None:
    async def play() -> None:
        async with Endpoint("callee") as callee, Endpoint("caller") as caller:
            await connect(callee, caller, early=True)
            await callee.until(MediaFlowing, count=2)
            await caller.until(MediaFlowing, count=2)
            assert not callee.local.feeds
            assert not caller.local.feeds
            for one, other in ((callee, caller), (caller, callee)):
                assert one.told(RemoteTrack) == []
                assert len(one.told(IceConnected)) == 1
                start(one, other)
                assert len(one.told(IceConnected)) == 2
                assert [fact.kind for fact in one.told(RemoteTrack)] == [MediaKind.AUDIO, MediaKind.VIDEO]
            for one, other in ((callee, caller), (caller, callee)):
                for kind in MediaKind:
                    await one.frame(other, kind)

    run(play)


def test_caller_that_sends_no_picture_answers_so() -> None:
    async def play() -> None:
        async with Endpoint("callee") as callee, Endpoint("caller", sends=(MediaKind.AUDIO,)) as caller:
            await connect(callee, caller, early=True)
            answer = caller.told(AnswerReady)[0].answer
            assert ["recvonly" in "".join(section.lines) for section in parse(answer.sdp).sections] == [False, True]
            for one, other in ((callee, caller), (caller, callee)):
                start(one, other)
            await callee.frame(caller, MediaKind.AUDIO)
            await caller.frame(callee, MediaKind.VIDEO)

    run(play)


def test_early_connection_is_closed_while_it_holds() -> None:
    async def play() -> None:
        async with Endpoint("callee") as callee, Endpoint("caller") as caller:
            await connect(callee, caller, early=True)
            callee.leave(caller)
            await caller.condition(lambda: any(type(fact).__name__ == "IceFailed" for fact in caller.facts))
            caller.leave(callee)
            await join(callee, caller, epoch=2)
            await caller.frame(callee, MediaKind.VIDEO)

    run(play)


def test_candidates_are_put_into_their_sections() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            offer = await early_offer(a, b)
            mids = [section.mid for section in parse(offer.sdp).sections]
            one = Candidate("candidate:9 1 udp 1 192.0.2.9 9 typ srflx raddr 0.0.0.0 rport 0", mid=mids[1], line=1)
            lost = Candidate("candidate:8 1 udp 1 192.0.2.8 8 typ host", mid="unknown", line=7)
            more = parse(with_candidates(offer.sdp, [one, lost]))
            assert more.sections[1].lines == [*parse(offer.sdp).sections[1].lines, f"a={one.candidate}"]
            assert more.sections[0].lines == parse(offer.sdp).sections[0].lines
            assert with_candidates(offer.sdp, []) == offer.sdp

    run(play)


def test_caller_gets_what_was_sent_before_it_heard_of_the_accept() -> None:
    """It is not decoded before, and begins with the first picture: nobody has to be asked for another one."""

    async def play() -> None:
        async with Endpoint("callee") as callee, Endpoint("caller") as caller:
            await connect(callee, caller, early=True)
            start(callee, caller)
            await caller.condition(lambda: least(caller.told(MediaCounted)) > 10)
            assert caller.frames == {}
            callee.local.video.held = callee.local.audio.held = True  # type: ignore[union-attr]  # both are sent
            start(caller, callee)
            await caller.condition(lambda: all(caller.frames[callee.user, kind] for kind in MediaKind))

    run(play)


def test_early_call_is_recorded_from_its_start(tmp_path: Path) -> None:
    """Nothing of what came before is in it, though the caller sent at once."""

    async def play() -> None:
        async with Endpoint("callee") as callee, Endpoint("caller") as caller, recording(callee, tmp_path) as some:
            await connect(callee, caller, early=False)
            await callee.condition(lambda: least(callee.told(MediaCounted)) > 30)
            assert some.frames == []
            start(callee, caller)
            for kind in MediaKind:
                await some.more(kind, 10)
            assert callee.frames == {}, "nothing was decoded"

    run(play)
    played = Played(tmp_path / "caller.mkv")
    assert len(played.cards) >= 9
    assert played.broken == 0
    assert len(played.samples) > 0


def test_gate_has_the_name_of_who_is_behind_it() -> None:
    """By which test cards are known: their delay is measured."""
    assert Gate(Viewer(lambda _: None, name="bob")).viewer.name == "bob"
