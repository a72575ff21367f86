"""The library as an application uses it: real media on loopback, an in-process chat link."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from qbcall import (
    Busy,
    Call,
    CallClosed,
    CallEvent,
    CallMedia,
    CallState,
    CallStateChanged,
    Cancelled,
    Client,
    Config,
    EndReason,
    IncomingCall,
    InvalidArgument,
    InvalidState,
    LinkDown,
    MediaKind,
    MemoryHub,
    PeerAccepted,
    PeerState,
    PeerUpdated,
    Rejected,
    SinkError,
    SourceError,
    Stats,
    VideoTrackAdded,
)
from qbcall.adapters import rtc_receive
from qbcall.core.events import CallMerged, PeerClosed, PeerConnected, PeerConnecting
from qbcall.core.model import StreamStats
from qbcall.media.incoming import Incoming, to_array
from qbcall.media.testcard import read

SMALL = "test:size=160x120,fps=15"
PATIENCE = 20.0


def config(user: str, **call: object) -> Config:
    return Config.of(
        account={"jid": f"{user}@example.org"},
        call=call,
        ice={"addresses": ["127.0.0.1"]},
        media={"source": SMALL, "sinks": ["null"]},
    )


def run(scenario: Callable[[AsyncExitStack, MemoryHub], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario, and see that nothing of it is left."""

    async def whole() -> None:
        async with asyncio.timeout(2 * PATIENCE), AsyncExitStack() as stack:
            await scenario(stack, MemoryHub())
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:  # a picture that is being encoded in a thread cannot be stopped
            _, left = await asyncio.wait(left, timeout=1)
        assert not left, left

    asyncio.run(whole())


async def clients(stack: AsyncExitStack, hub: MemoryHub, *users: str, **call: object) -> list[Client]:
    return [await stack.enter_async_context(Client(config(user, **call), link=hub.link)) for user in users]


def answering(client: Client, how: Callable[[Call], Awaitable[None]]) -> asyncio.Future[Call]:
    """Serve incoming calls; the future is the first one, once it was served."""
    served: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    @client.on(IncomingCall)
    async def serve(event: IncomingCall) -> None:
        call = client.calls[event.call]
        await how(call)
        if not served.done():
            served.set_result(call)

    return served


async def picture(incoming: Incoming | None, wanted: Callable[[av.VideoFrame], bool]) -> av.VideoFrame:
    """The first received frame for which `wanted` holds."""
    assert incoming is not None
    async with asyncio.timeout(PATIENCE):
        async for frame in incoming:
            if isinstance(frame, av.VideoFrame) and wanted(frame):
                return frame
    raise AssertionError("the picture ended")


def test_bit_rate_of_a_running_call_can_be_limited() -> None:
    """QB-146: what is sent to one user, and to all."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob", stats_interval=0.5)
        served = answering(bob, lambda call: call.accept())
        call = await ann.call(bob.user, source="test:size=640x480,fps=15")
        await call.connected(PATIENCE)
        await served

        async def until_sent(wanted: Callable[[float], bool]) -> None:
            await call.wait_for(
                Stats, timeout=PATIENCE, where=lambda event: wanted(event.report.sent[MediaKind.VIDEO].bitrate or 0.0)
            )

        await until_sent(lambda rate: rate > 120_000)
        call.set_bitrate(40, bob.user)
        await until_sent(lambda rate: 0 < rate < 60_000)
        call.set_bitrate(0)
        await until_sent(lambda rate: rate > 120_000)
        for wrong in (-1, 10**7, True):
            with pytest.raises(InvalidArgument, match="bandwidth must be 0"):
                call.set_bitrate(wrong)
        with pytest.raises(InvalidArgument, match=r"cat@example\.org is not"):
            call.set_bitrate(100, "cat@example.org")

    run(scenario)


def test_statistics_of_a_call_are_told_at_any_time_and_stay_after_its_end() -> None:
    """QB-139: without an interval too; both ends are on this machine, so that the delay is known."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob", stats_interval=0)
        served = answering(bob, lambda call: call.accept())
        call = await ann.call(bob.user, sinks=[lambda user, frame: None])
        assert call.stats() == {}
        await call.connected(PATIENCE)
        await served
        await picture(call.peer(bob.user).video, lambda frame: call.stats()[bob.user].round_trip is not None)
        await picture(call.peer(bob.user).video, lambda frame: True)
        report = call.stats()[bob.user]
        assert report.relayed is False
        seen, heard = report.received[MediaKind.VIDEO], report.received[MediaKind.AUDIO]
        assert seen.delay is not None
        assert 0 <= seen.delay < PATIENCE
        assert (seen.freezes, heard.delay) != (None, None)
        assert 1 <= (heard.mos or 0) <= 4.5
        assert heard.loss is not None
        assert "mos" in report.summary
        await call.hang_up()
        await call.ended()
        assert (call.stats()[bob.user].received[MediaKind.VIDEO].frames or 0) >= (seen.frames or 0)

    run(scenario)


def test_only_what_somebody_looks_at_is_decoded() -> None:
    """Sinks say what they take; an iteration takes it from its beginning to its end; all is counted."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob", stats_interval=0.2)
        served = answering(bob, lambda call: call.accept(sinks=[lambda user, frame: None]))
        call = await ann.call(bob.user)
        await call.connected(PATIENCE)
        peer = call.peer(bob.user)

        async def until_received(wanted: Callable[[StreamStats], bool]) -> None:
            await call.wait_for(
                Stats,
                timeout=PATIENCE,
                where=lambda event: wanted(event.report.received.get(MediaKind.VIDEO, StreamStats())),
            )

        await until_received(lambda video: (video.frames or 0) > 5)
        assert peer.stats is not None
        assert {video.frames_decoded for video in peer.stats.received.values()} == {0}
        await picture(peer.video, lambda frame: True)
        assert peer.video is not None
        came = peer.video.frames
        await until_received(lambda video: (video.frames or 0) > came + 5)
        assert 0 < (peer.stats.received[MediaKind.VIDEO].frames_decoded or 0) < came + 5
        other = (await served).peer(ann.user)
        assert other.stats is not None
        assert all(stream.frames_decoded for stream in other.stats.received.values())

    run(scenario)


def test_a_call_carries_pictures_and_sound_both_ways_and_ends_at_both_sides() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        served = answering(bob, lambda call: call.accept({"from": "bob"}))
        async with ann.call("bob@example.org", info={"topic": "hé <&>"}) as call:
            await call.connected(PATIENCE)
            await call.wait_for(VideoTrackAdded, timeout=PATIENCE)
            theirs = await served
            assert theirs.info == {"topic": "hé <&>"}
            assert call.peer("bob@example.org").info == {"from": "bob"}
            await picture(call.peer("bob@example.org").video, lambda frame: name_on(frame) == "bob")
            await theirs.wait_for(VideoTrackAdded, timeout=PATIENCE)
            await picture(theirs.peer("ann@example.org").video, lambda frame: name_on(frame) == "ann")
            audio = call.peer("bob@example.org").audio
            assert audio is not None
            async for frame in audio:
                assert to_array(frame).dtype == np.int16
                break
        assert call.end_reason is EndReason.HUNG_UP
        assert await theirs.ended() is EndReason.REMOTE_HUNG_UP

    run(scenario)


def name_on(frame: av.VideoFrame) -> str | None:
    card = read(frame)
    return None if card is None else card.name


async def until_connected(call: Call, peer: str) -> None:
    await call.wait_for(PeerConnected, timeout=PATIENCE, where=lambda event: event.peer == peer)


def test_a_mesh_of_four_connects_every_pair() -> None:
    """QB-150."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, *others = await clients(stack, hub, "ann", "bob", "cat", "dan")
        served = [answering(client, lambda call: call.accept()) for client in others]
        async with ann.call([client.user for client in others], media=CallMedia.AUDIO) as call:
            calls = [call, *[await one for one in served]]
            for some in calls:
                for peer in some.peers:
                    await until_connected(some, peer)
            assert all(peer.state is PeerState.CONNECTED for some in calls for peer in some.peers.values())

    run(scenario)


def test_a_reject_is_raised_to_who_awaits_the_call() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob, cat = await clients(stack, hub, "ann", "bob", "cat")
        answering(bob, lambda call: call.reject({"why": "asleep"}))
        answering(cat, lambda call: call.reject(busy=True))
        call = await ann.call("bob@example.org")
        with pytest.raises(Rejected, match=r"bob@example\.org") as caught:
            await call.connected(PATIENCE)
        assert caught.value.info == {"why": "asleep"}
        assert not isinstance(caught.value, Busy)
        with pytest.raises(Busy):
            await (await ann.call("cat@example.org")).connected(PATIENCE)

    run(scenario)


def test_a_call_that_is_cancelled_ends_as_cancelled_where_it_rang() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        ringing = answering(bob, lambda call: asyncio.sleep(0))
        call = await ann.call("bob@example.org")
        theirs = await ringing
        await call.hang_up({"sorry": "wrong number"})
        with pytest.raises(Cancelled):
            await theirs.connected(PATIENCE)
        assert theirs.peer("ann@example.org").info == {"sorry": "wrong number"}
        with pytest.raises(InvalidState):
            await theirs.accept()

    run(scenario)


def test_two_users_who_call_each_other_are_in_one_call() -> None:
    """QB-051."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        merged: list[CallMerged] = []
        ann.on(CallMerged)(merged.append)
        calls = await asyncio.gather(ann.call("bob@example.org"), bob.call("ann@example.org"))
        for call in calls:
            await call.connected(PATIENCE)
        assert calls[0].id == calls[1].id
        assert [event.call for event in merged] == [calls[1].id]
        await calls[0].hang_up()
        assert await calls[1].ended() is EndReason.REMOTE_HUNG_UP

    run(scenario)


def test_a_call_that_is_over_keeps_no_media() -> None:
    """QB-147: calls that are over can still be looked up, and must not cost memory."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        answering(bob, lambda call: call.accept())
        async with ann.call("bob@example.org") as call:
            await call.wait_for(VideoTrackAdded, timeout=PATIENCE)
            video = call.peer("bob@example.org").video
            await picture(video, lambda frame: True)
            local = call.local
            assert local is not None
        assert ann.calls[call.id] is call
        assert ann.calls[call.id].local is None
        assert video is not None
        assert (video.latest, video.frames > 0) == (None, True)
        with pytest.raises(InvalidState, match="media"):
            call.mute("video")

    run(scenario)


def test_a_late_subscriber_first_hears_the_present_state() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        answering(bob, lambda call: call.accept())
        call = await ann.call("bob@example.org", media=CallMedia.AUDIO)
        await call.connected(PATIENCE)
        late = call.events()
        assert await anext(late) == CallStateChanged(call=call.id, old=CallState.NEW, new=CallState.CONNECTED)
        assert isinstance(await anext(late), PeerConnected)
        await call.hang_up()
        seen = [event async for event in late]
        assert isinstance(seen[-1], CallClosed)
        after = [event async for event in call.events()]
        assert after[-1] == CallClosed(call=call.id, reason=EndReason.HUNG_UP)
        assert any(isinstance(event, PeerClosed) for event in after)

    run(scenario)


def test_events_come_in_the_documented_order_and_states_agree_with_them() -> None:
    """QB-088, QB-130, QB-133: a synchronous handler sees the state that its event tells."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        answering(bob, lambda call: call.accept())
        order: list[str] = []

        @ann.on(CallEvent)
        def note(event: CallEvent) -> None:
            call = ann.calls[event.call]
            if isinstance(event, CallStateChanged):
                assert call.state is event.new
            order.append(type(event).__name__)

        call = await ann.call("bob@example.org", media=CallMedia.AUDIO)
        await call.connected(PATIENCE)
        await call.hang_up()
        await call.ended()
        wanted = [PeerAccepted, PeerConnecting, PeerConnected, PeerClosed, CallClosed]
        places = [order.index(kind.__name__) for kind in wanted]
        assert places == sorted(places)
        assert order[-1] == "CallClosed"

    run(scenario)


def test_muting_and_replacing_the_source_changes_the_picture_of_the_same_track() -> None:
    """QB-142, QB-143, QB-144: nothing is negotiated, no new track."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        served = answering(bob, lambda call: call.accept(mute=[MediaKind.VIDEO]))
        async with ann.call("bob@example.org") as call:
            await call.connected(PATIENCE)
            tracks: list[VideoTrackAdded] = []
            ann.on(VideoTrackAdded)(tracks.append)
            await call.wait_for(VideoTrackAdded, timeout=PATIENCE)
            video = call.peer("bob@example.org").video
            await picture(video, lambda frame: to_array(frame).max() < 40)
            theirs = await served
            theirs.mute("video", False)
            await picture(video, lambda frame: name_on(frame) == "bob")
            await theirs.replace_source("test:name=mallory,size=160x120,fps=15")
            await picture(video, lambda frame: name_on(frame) == "mallory")
            assert call.peer("bob@example.org").video is video
            assert len(tracks) <= 1
            with pytest.raises(InvalidArgument, match="audio or video"):
                theirs.mute("smell")

    run(scenario)


def test_application_data_reaches_one_or_all() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        served = answering(bob, lambda call: call.accept())
        call = await ann.call("bob@example.org", media=CallMedia.AUDIO)
        await call.connected(PATIENCE)
        heard = asyncio.ensure_future((await served).wait_for(PeerUpdated, timeout=PATIENCE))
        await asyncio.sleep(0)
        await call.update({"mic": "off"})
        assert (await heard).info == {"mic": "off"}
        with pytest.raises(InvalidArgument, match="not in the call"):
            await call.update({"a": "b"}, to="eve@example.org")

    run(scenario)


def test_a_missing_source_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        rang: list[IncomingCall] = []
        bob.on(IncomingCall)(rang.append)
        with pytest.raises(SourceError, match="nothing-here"):
            await ann.call("bob@example.org", source=f"file:{tmp_path / 'nothing-here.webm'}")
        call = await ann.call("bob@example.org")
        await call.hang_up()
        assert list(ann.calls) == [call.id]

    run(scenario)


def test_a_sink_that_would_get_nothing_is_told_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another release of aiortc gives nothing that can be recorded."""
    monkeypatch.setattr(rtc_receive, "SUITED", False)

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        [ann] = await clients(stack, hub, "ann")
        with pytest.raises(SinkError, match=r"record:.*aiortc"):
            await ann.call("bob@example.org", sinks=["null", f"record:{tmp_path}"])
        assert not ann.calls
        async with ann.call("bob@example.org", sinks=["null", lambda *_: None]):
            assert len(ann.calls) == 1

    run(scenario)


class Silent:
    """A source of the application that tells when it is let go."""

    def __init__(self) -> None:
        self.closed = False

    @property
    def audio(self) -> Silent:
        return self

    video = None

    async def read(self) -> av.AudioFrame:
        raise AssertionError("nobody listens")

    async def close(self) -> None:
        self.closed = True


class SlowToOpen(Client):
    """Its media is open only when the call is over."""

    async def open_media(self, call: Call, *how: Any) -> None:
        await super().open_media(call, *how)
        await call.wait_for(CallClosed, timeout=PATIENCE)


def test_a_call_that_ends_while_its_source_is_opened_lets_go_of_it() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        (ann,) = await clients(stack, hub, "ann")
        bob = await stack.enter_async_context(SlowToOpen(config("bob"), link=hub.link))
        source = Silent()
        ringing = asyncio.ensure_future(bob.wait_for(IncomingCall))
        await asyncio.sleep(0)
        call = await ann.call("bob@example.org", media=CallMedia.AUDIO)
        theirs = bob.calls[(await ringing).call]
        accepting = asyncio.ensure_future(theirs.accept(source=source))
        await call.hang_up()
        with pytest.raises(InvalidState):
            await accepting
        assert source.closed

    run(scenario)


def test_a_sink_that_breaks_is_told_and_does_not_end_the_call() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        answering(bob, lambda call: call.accept())
        seen: list[str] = []

        def broken(user: str, frame: object) -> None:
            raise RuntimeError("mistake of the application")

        async with ann.call("bob@example.org", sinks=[broken, lambda user, frame: seen.append(user)]) as call:
            await call.connected(PATIENCE)
            await call.wait_for(VideoTrackAdded, timeout=PATIENCE)
            await picture(call.peer("bob@example.org").video, lambda frame: name_on(frame) == "bob")
            assert call.state is CallState.CONNECTED
        assert [str(error) for error in call.sink_errors] == ["mistake of the application"]
        assert set(seen) == {"bob@example.org"}

    run(scenario)


@pytest.mark.parametrize(
    ("users", "complaint"),
    [
        ([], "nobody"),
        (["ann@example.org"], "is the caller"),
        (["bob@example.org", "BOB@example.org"], "named twice"),
        (["b@x", "c@x", "d@x", "e@x"], "at most 4"),
        (["no jid"], "no jid"),
        (["1002"], "1002"),
    ],
)
def test_wrong_callees_are_refused(users: list[str], complaint: str) -> None:
    """QB-021, QB-022, QB-023."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        (ann,) = await clients(stack, hub, "ann")
        with pytest.raises(InvalidArgument, match=complaint):
            await ann.call(users)
        assert not ann.calls

    run(scenario)


def test_words_that_cannot_be_sent_are_refused() -> None:
    """QB-033."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        (ann,) = await clients(stack, hub, "ann")
        with pytest.raises(TypeError, match="count"):
            await ann.call("bob@example.org", info={"count": 1})  # type: ignore[dict-item]  # the mistake under test
        with pytest.raises(InvalidArgument, match="key"):
            await ann.call("bob@example.org", info={"key": "\x00"})
        assert not ann.calls

    run(scenario)


def test_a_client_that_is_not_entered_or_entered_twice_is_refused() -> None:
    """QB-002, QB-004."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann = Client(config("ann"), link=hub.link)
        with pytest.raises(InvalidState, match="not started"):
            await ann.call("bob@example.org")
        await stack.enter_async_context(ann)
        with pytest.raises(InvalidState, match="once"):
            await ann.__aenter__()

    run(scenario)


def test_calling_after_the_client_was_left_is_refused() -> None:
    """QB-001."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann = Client(config("ann"), link=hub.link)
        async with ann:
            pass
        with pytest.raises(LinkDown):
            await ann.call("bob@example.org")

    run(scenario)


def test_what_a_handler_raised_is_raised_when_the_client_is_left() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        (ann,) = await clients(stack, hub, "ann")
        bob = await Client(config("bob"), link=hub.link).__aenter__()
        rang = asyncio.Event()

        @bob.on(IncomingCall)
        def broken(event: IncomingCall) -> None:
            rang.set()
            raise RuntimeError("mistake of the application")

        call = await ann.call("bob@example.org")
        await rang.wait()
        with pytest.raises(ExceptionGroup) as caught:
            await bob.__aexit__(None, None, None)
        assert caught.group_contains(RuntimeError, match="mistake")
        assert await call.ended() is EndReason.REJECTED

    run(scenario)


def test_state_changes_signals_and_timers_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """QB-017: under one logger."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob", stats_interval=0.2)
        answering(bob, lambda call: call.accept())
        async with ann.call("bob@example.org", media=CallMedia.AUDIO) as call:
            await call.wait_for(Stats, timeout=PATIENCE)

    with caplog.at_level(logging.DEBUG, logger="qbcall"):
        run(scenario)
    told = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "qbcall.driver"]
    for level, part in (
        (logging.INFO, "CONNECTING -> CONNECTED"),
        (logging.INFO, "bob@example.org CHECKING -> CONNECTED"),
        (logging.DEBUG, "Invite to bob@example.org"),
        (logging.DEBUG, "Accept arrived from bob@example.org"),
        (logging.DEBUG, "timer due"),
    ):
        assert any(level == known and part in text for known, text in told), part


def test_who_is_not_in_the_call_has_no_state_and_no_track() -> None:
    """QB-090, QB-136."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        answering(bob, lambda call: call.accept())
        async with ann.call("bob@example.org") as call:
            assert call.peer("bob@example.org").video is None
            await call.wait_for(VideoTrackAdded, timeout=PATIENCE)
            assert call.peer("bob@example.org").video is not None
            assert call.peer_state("bob@example.org") is PeerState.CONNECTED
            assert call.peer_state("eve@example.org") is PeerState.UNKNOWN
            with pytest.raises(KeyError):
                call.peer("eve@example.org")

    run(scenario)


def test_a_second_call_is_rejected_as_busy_without_ringing() -> None:
    """QB-044."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, cat = await clients(stack, hub, "ann", "cat")
        (bob,) = await clients(stack, hub, "bob", reject_when_busy=True)
        rang = answering(bob, lambda call: call.accept())
        call = await ann.call("bob@example.org", media=CallMedia.AUDIO)
        await call.connected(PATIENCE)
        with pytest.raises(Busy):
            await (await cat.call("bob@example.org")).connected(PATIENCE)
        assert (await rang).state is CallState.CONNECTED
        assert len(bob.calls) == 1

    run(scenario)
