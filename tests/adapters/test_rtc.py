"""Peer connections exchange real media on 127.0.0.1."""

from __future__ import annotations

import asyncio
import logging
import re
import threading

import psutil
import pytest
from aiortc import RTCPeerConnection

from qbcall.adapters import rtc
from qbcall.core.effects import ApplyAnswer, CreateOffer
from qbcall.core.inputs import (
    AnswerReady,
    IceChecking,
    IceConnected,
    IceFailed,
    MediaBroke,
    MediaCounted,
    MediaFact,
    MediaFlowing,
    OfferReady,
    RemoteTrack,
    StatsRead,
)
from qbcall.core.model import CallId, CallMedia, Candidate, Counts, Description, Epoch, MediaKind, StatsReport, User
from qbcall.media.frames import Frame
from tests.adapters.rtc_room import CALL, Endpoint, colour, is_near, join, run

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO
RED, GREEN, BLUE = (200, 40, 40), (40, 200, 40), (40, 40, 200)


def names(endpoint: Endpoint, peer: Endpoint) -> list[str]:
    """Classes of the facts about a peer, without those that come again and again."""
    facts = (fact for fact in endpoint.told(MediaFact, peer) if not isinstance(fact, (MediaFlowing, MediaCounted)))
    return [type(fact).__name__ for fact in facts]


def test_video_call_carries_picture_and_sound_both_ways() -> None:
    """QB-094, QB-095, QB-134: each fact once, in order; what is seen and heard is what the other one sends."""

    async def play() -> None:
        async with Endpoint("a", colour=RED, pitch=500) as a, Endpoint("b", colour=BLUE, pitch=1000) as b:
            await join(a, b)
            for one, other, seen, heard in ((a, b, BLUE, 1000), (b, a, RED, 500)):
                assert is_near(colour(await one.frame(other, VIDEO, more=5)), seen)
                await one.hears(other, heard, more=20)
            connected = ["IceChecking", "IceConnected", "RemoteTrack", "RemoteTrack"]
            assert names(a, b) == ["OfferReady", *connected]
            assert names(b, a) == ["AnswerReady", *connected]
            assert [fact.kind for fact in a.told(RemoteTrack)] == [AUDIO, VIDEO]

    run(play)


def test_audio_call_has_no_video_section() -> None:
    """QB-135."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b, CallMedia.AUDIO)
            await a.frame(b, AUDIO)
            assert "m=video" not in a.told(OfferReady)[0].offer.sdp
            assert [fact.kind for fact in a.told(RemoteTrack)] == [AUDIO]
            assert not any(kind is VIDEO for _, kind in a.frames)

    run(play)


def test_caller_that_sends_nothing_still_hears_and_sees() -> None:
    async def play() -> None:
        async with Endpoint("a", sends=()) as a, Endpoint("b", colour=GREEN) as b:
            await join(a, b)
            assert is_near(colour(await a.frame(b, VIDEO)), GREEN)
            await a.frame(b, AUDIO)
            assert "a=sendrecv" not in a.told(OfferReady)[0].offer.sdp
            assert b.told(RemoteTrack) == []
            await b.until(MediaFlowing)  # the receiver's reports

    run(play)


def test_callee_that_sends_only_sound_sees_the_caller() -> None:
    async def play() -> None:
        async with Endpoint("a", colour=GREEN) as a, Endpoint("b", sends=(AUDIO,)) as b:
            await join(a, b)
            assert is_near(colour(await b.frame(a, VIDEO)), GREEN)
            await a.frame(b, AUDIO)
            assert [fact.kind for fact in a.told(RemoteTrack)] == [AUDIO]

    run(play)


def test_two_that_send_nothing_are_not_lost_to_each_other() -> None:
    """They ask each other."""

    async def play() -> None:
        async with Endpoint("a", sends=()) as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            await a.until(MediaFlowing, count=2)
            await b.until(MediaFlowing, count=2)

    run(play)


def test_mesh_of_three_goes_on_when_one_leaves() -> None:
    """QB-098: closing one peer connection does not stop what the others carry."""

    async def play() -> None:
        async with Endpoint("a", colour=RED) as a, Endpoint("b", colour=GREEN) as b, Endpoint("c", colour=BLUE) as c:
            for one, other in ((a, b), (a, c), (b, c)):
                await join(one, other)
            for one, other, seen in (
                (a, b, GREEN),
                (a, c, BLUE),
                (b, a, RED),
                (b, c, BLUE),
                (c, a, RED),
                (c, b, GREEN),
            ):
                assert is_near(colour(await one.frame(other, VIDEO)), seen)
            c.leave(a)
            c.leave(b)
            await a.until(IceFailed, c)
            a.leave(c)
            assert is_near(colour(await a.frame(b, VIDEO, more=10)), GREEN)
            assert is_near(colour(await b.frame(a, VIDEO, more=10)), RED)
            assert a.told(IceFailed, b) == []

    run(play)


def test_closed_epoch_posts_nothing_more() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            before = len(a.facts)
            a.leave(b)
            a.read_stats(b)
            await b.until(IceFailed)
            await a.media.close()
            assert a.facts[before:] == []

    run(play)


def test_offer_that_is_not_wanted_any_more_is_not_told() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            a.media.perform(CreateOffer(call=CALL, peer=b.user, epoch=Epoch(1), media=CallMedia.VIDEO))
            await asyncio.sleep(0)
            a.leave(b)
            await a.media.close()
            assert a.facts == []

    run(play)


def test_second_epoch_works_after_the_first_is_closed() -> None:
    async def play() -> None:
        async with Endpoint("a", colour=RED) as a, Endpoint("b", colour=GREEN) as b:
            await join(a, b, epoch=1)
            a.leave(b, epoch=1)
            b.leave(a, epoch=1)
            await join(a, b, epoch=2)
            assert is_near(colour(await a.frame(b, VIDEO)), GREEN)
            assert {fact.epoch for fact in a.told(RemoteTrack)} == {1, 2}

    run(play)


def test_remote_end_is_told_as_failure_once() -> None:
    """QB-102: the transport ended."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await a.frame(b, AUDIO)
            b.leave(a)
            await a.until(IceFailed)
            a.leave(b)
            await a.media.close()
            assert len(a.told(IceFailed)) == 1

    run(play)


def test_peer_that_vanishes_is_silent_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """MediaFlowing stops; the core's stall timeout does the rest."""
    monkeypatch.setattr(rtc, "FLOW_INTERVAL", 0.05)

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await a.until(MediaFlowing)
            cut(b)
            silent = False
            while not silent:
                try:
                    await asyncio.wait_for(a.until(MediaFlowing, count=len(a.told(MediaFlowing)) + 1), timeout=1)
                except TimeoutError:
                    silent = True
            assert a.told(IceFailed) == []

    run(play)


def test_what_comes_is_counted_by_kind_until_the_sender_says_goodbye() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)

            def latest(kind: MediaKind) -> Counts:
                told = a.told(MediaCounted)
                return told[-1].counts[kind] if told else Counts()

            def complete(counts: Counts) -> bool:
                return min(counts.packets, counts.frames, counts.reports, counts.announced) > 0

            await a.condition(lambda: complete(latest(AUDIO)) and complete(latest(VIDEO)))
            assert not latest(AUDIO).ended
            (sender,) = (one for one in connection(b).getSenders() if one.kind == "audio")
            await sender.stop()
            await a.condition(lambda: latest(AUDIO).ended)
            assert not latest(VIDEO).ended

    run(play)


def test_kind_that_is_not_to_come_is_not_counted() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b", sends=(AUDIO,)) as b:
            await join(a, b)
            assert set((await a.until(MediaCounted)).counts) == {AUDIO}
            assert set((await b.until(MediaCounted)).counts) == {AUDIO, VIDEO}

    run(play)


def cut(endpoint: Endpoint) -> None:
    """Take its sockets away, as a killed process would."""
    for receiver in connection(endpoint).getReceivers():
        path = receiver.transport.transport._connection
        assert path._query_consent_task is not None
        path._query_consent_task.cancel()  # it would make new sockets
        for protocol in list(path._protocols):
            protocol.transport.abort()


def connection(endpoint: Endpoint) -> RTCPeerConnection:
    """The only one it has."""
    (lane,) = endpoint.media._lanes.values()
    assert lane._connection is not None
    return lane._connection._pc


def latest(endpoint: Endpoint, peer: Endpoint) -> StatsReport:
    return endpoint.media.latest(CALL, peer.user) or StatsReport()


def test_statistics_have_values() -> None:
    """QB-139."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await a.frame(b, VIDEO, more=10)
            await a.condition(lambda: {one.packets_lost for one in latest(a, b).sent.values()} == {0})
            await a.condition(lambda: latest(a, b).round_trip is not None)
            a.read_stats(b)
            report = (await a.until(StatsRead)).report
            assert (report.local_candidate, report.remote_candidate) == ("host", "host")
            assert report.round_trip is not None
            assert 0 <= report.round_trip < 1
            for streams in (report.sent, report.received):
                assert (streams[AUDIO].codec, streams[VIDEO].codec) == ("opus", "VP8")
                assert (streams[VIDEO].width, streams[VIDEO].height) == (128, 96)
                assert 0.1 < (streams[AUDIO].audio_level or 0) < 0.6
                for stream in streams.values():
                    assert stream.packets_lost == 0
                    assert stream.jitter is not None
                    assert 0 <= stream.jitter < 0.5
                    for count in (stream.packets, stream.bytes, stream.frames, stream.bitrate, stream.fps):
                        assert count is not None
                        assert count > 0
            assert "VP8 128x96" in report.summary

    run(play)


def test_statistics_of_an_unconnected_peer_are_empty() -> None:
    """QB-139: missing values are None, never an exception."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            assert a.media.latest(CALL, b.user) is None
            await a.offer(b)
            a.read_stats(b)
            assert (await a.until(StatsRead)).report == StatsReport()

    run(play)


def test_candidate_types_stay_known_after_the_remote_end() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            assert latest(a, b).remote_candidate == "host"
            b.leave(a)
            await a.until(IceFailed)
            assert latest(a, b).remote_candidate == "host"

    run(play)


def test_last_statistics_stay_until_the_call_is_released() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await a.frame(b, VIDEO)
            a.leave(b)
            last = a.media.latest(CALL, b.user)
            assert last is not None
            assert last.received[VIDEO].frames
            a.media.release(CALL)
            assert a.media.latest(CALL, b.user) is None

    run(play)


def test_release_closes_what_is_open_and_gives_feeds_back() -> None:
    """QB-147."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await b.frame(a, VIDEO)
            await b.frame(a, AUDIO)
            a.media.release(CALL)
            await b.until(IceFailed)
            await a.media.close()
            assert [feed.closed for feed in a.local.feeds] == [True, True]

    run(play)


def test_twenty_calls_leave_nothing_behind() -> None:
    """QB-147: no task, thread or socket is left of a call."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            left = []
            for epoch in range(1, 21):
                await join(a, b, epoch=epoch)
                a.leave(b, epoch=epoch)
                b.leave(a, epoch=epoch)
                await a.media.close()
                await b.media.close()
                threads = [one for one in threading.enumerate() if not one.name.startswith("asyncio_")]
                left.append((len(threads), psutil.Process().num_fds()))
            assert set(left) == {left[0]}

    run(play)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 20, 30, 45, 70, 100])
def test_call_closed_while_it_connects_leaves_nothing_behind(steps: int) -> None:
    """QB-147: whatever aiortc was about to do. So many turns of the event loop after the answer."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            a.apply(b, await b.answer(a, await a.offer(b)))
            for _ in range(steps):
                await asyncio.sleep(0)
            a.leave(b)
            b.leave(a)

    run(play)
    assert [one.name for one in threading.enumerate() if one.name.endswith("-decoder")] == []


def test_connection_closed_as_a_part_of_the_handshake_comes_waits_for_no_other_part() -> None:
    """QB-147: the task that connects may miss that it is cancelled in just this moment."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            answer = await b.answer(a, await a.offer(b))
            peer = connection(b)
            transport = peer.getReceivers()[0].transport.transport
            hear = transport._recv
            closing: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()

            async def hear_once() -> bytes:
                part = await hear()
                transport._recv = asyncio.Event().wait  # type: ignore[assignment]  # nothing comes any more
                closing.put_nowait(asyncio.create_task(peer.close()))
                return part

            transport._recv = hear_once
            a.apply(b, answer)
            await (await closing.get())

    run(play)


def test_call_closed_on_its_first_sign_of_life_leaves_nothing_behind() -> None:
    """QB-147."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            a.apply(b, await b.answer(a, await a.offer(b)))
            await a.until(IceChecking)
            a.leave(b)
            await b.until(IceChecking)

    run(play)


def test_only_the_wanted_address_is_offered() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            offer = await a.offer(b)
            answer = await b.answer(a, offer)
            for sdp in (offer.sdp, answer.sdp):
                assert set(re.findall(r"candidate:\S+ 1 udp \d+ (\S+)", sdp)) == {"127.0.0.1"}
                assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", sdp)) == {"127.0.0.1", "0.0.0.0"}

    run(play)


def test_no_server_is_asked_that_nobody_named() -> None:
    """Without a list of servers aiortc asks one of Google's."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await a.offer(b)
            agents = [receiver.transport.transport._connection for receiver in connection(a).getReceivers()]
            assert [(agent.stun_server, agent.turn_server) for agent in agents] == [(None, None)] * 2

    run(play)


def test_machine_without_the_wanted_address_is_told() -> None:
    async def play() -> None:
        ice = rtc.IceSettings(addresses=("203.0.113.77",))
        async with Endpoint("a", ice=ice) as a, Endpoint("b") as b:
            a.media.perform(CreateOffer(call=CALL, peer=b.user, epoch=Epoch(1), media=CallMedia.AUDIO))
            assert "203.0.113.77" in (await a.until(MediaBroke)).error

    run(play)


def test_candidates_that_come_later_connect() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            offer = await a.offer(b)
            trickled, candidates = apart(offer)
            answer, more = apart(await b.answer(a, trickled))
            a.apply(b, answer)
            a.add(b, [Candidate("rubbish"), *more])
            b.add(a, candidates)
            await a.until(IceConnected)
            await b.until(IceConnected)

    run(play)


def apart(whole: Description) -> tuple[Description, list[Candidate]]:
    """A description without candidates, and the candidates."""
    lines = whole.sdp.splitlines()
    found = [line[2:] for line in lines if line.startswith("a=candidate:")]
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return Description("\r\n".join(kept) + "\r\n"), [Candidate(one, mid="0", line=0) for one in found]


def test_renamed_call_goes_on_under_the_new_id() -> None:
    """Glare: what was provided, and what is open, belongs to the other id now."""

    async def play() -> None:
        async with Endpoint("a", colour=RED) as a, Endpoint("b") as b:
            offer = await a.offer(b)
            a.media.rename(CALL, CallId("other"))
            answer = await b.answer(a, offer)
            a.media.perform(
                ApplyAnswer(call=CallId("other"), peer=b.user, epoch=Epoch(1), answer=answer),
            )
            connected = await a.until(IceConnected)
            assert connected.call == "other"
            assert is_near(colour(await b.frame(a, VIDEO)), RED)

    run(play)


def test_frames_that_nobody_can_take_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b", sends=(VIDEO,)) as b:
            taken = asyncio.Event()
            tries = []

            def fail(user: User, frame: Frame) -> None:
                tries.append(frame)
                if len(tries) == 5:
                    taken.set()
                raise OSError("disk full")

            a.media.provide(CALL, a.local, fail)
            await join(a, b)
            await taken.wait()

    with caplog.at_level(logging.ERROR, logger="qbcall"):
        run(play)
    assert len([record for record in caplog.records if record.name == "qbcall.adapters.rtc"]) == 1


def test_source_that_breaks_stops_only_its_own_kind() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await b.frame(a, VIDEO)
            assert a.local.video is not None
            a.local.video.broken = True
            await b.frame(a, AUDIO, more=20)
            assert b.told(IceFailed) == []

    run(play)


def test_answer_that_cannot_be_read_is_told() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await a.offer(b)
            a.apply(b, Description("hello"))
            assert "no SDP" in (await a.until(MediaBroke)).error

    run(play)


def test_effects_without_a_connection_are_ignored() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            a.leave(b)
            a.apply(b, Description("v=0"))
            a.add(b, [Candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host")])
            a.read_stats(b)
            await a.media.close()
            assert a.facts == []

    run(play)


def test_facts_before_the_answer_is_told_wait_for_it() -> None:
    """The core sends the answer while it negotiates; ICE must not be told before."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            kinds = [type(fact) for fact in b.facts]
            assert kinds.index(AnswerReady) < kinds.index(IceChecking)

    run(play)
