"""The permanent stream: its pace, its time stamps, and what happens when sources come, go, break and are muted."""

from __future__ import annotations

import asyncio
import logging
from itertools import islice, pairwise

import av
import pytest

from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame, Source, SourceEnded, VideoFormat
from qbcall.media.intake import FreshSource
from qbcall.media.outgoing import Local, Outgoing
from qbcall.media.planes import luma
from qbcall.media.synthetic import TestCard, Tone
from qbcall.media.testcard import read
from qbcall.media.tone import pitch
from tests.media.pieces import Given, Stuck, cards, heard, pictures, sound, take
from tests.media.virtual_clock import VirtualClockLoop, run

FORMAT = VideoFormat(160, 120, 15)
AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO


def stamps(frames: list[Frame]) -> list[int]:
    assert all(frame.pts is not None for frame in frames)
    return [frame.pts for frame in frames if frame.pts is not None]


def is_black(frame: Frame) -> bool:
    assert isinstance(frame, av.VideoFrame)
    return int(luma(frame).max()) <= 16


def test_sound_is_sent_in_blocks_of_20_ms_in_real_time() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(AUDIO, Tone(440))
        start = loop.time()
        frames = await take(out.subscribe(), 500)
        assert loop.time() - start == pytest.approx(499 * 0.02, abs=0.001)
        assert stamps(frames) == [number * 960 for number in range(500)]
        for frame in frames:
            assert isinstance(frame, av.AudioFrame)
            shape = (frame.samples, frame.sample_rate, frame.format.name, frame.layout.name)
            assert shape == (960, 48_000, "s16", "stereo")
            assert frame.time_base == pytest.approx(1 / 48_000)
        # Nothing is lost or doubled on the way: one tone, without a click, after the first 40 ms.
        assert pitch(heard(frames)[4800:], 48_000) == pytest.approx(440, abs=0.1)
        assert out.frames == 500
        assert out.fps == pytest.approx(50, abs=1)
        await out.close()

    run(scenario)


def test_pictures_are_sent_at_the_pace_of_their_source_on_a_90_khz_clock() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(VIDEO, TestCard(FORMAT, "ann"), VideoFormat(640, 480, 30))
        frames = await take(out.subscribe(), 150)
        assert [frame.time_base for frame in frames] == [pytest.approx(1 / 90_000)] * 150
        steps = {after - before for before, after in pairwise(stamps(frames))}
        assert steps == {6000}
        assert [card.counter for frame in pictures(frames) if (card := read(frame))] == list(range(150))
        assert out.size == (160, 120)
        assert out.fps == pytest.approx(15, abs=0.5)
        await out.close()

    run(scenario)


def test_source_without_a_pace_is_read_no_faster_than_it_is_sent() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        video, audio = Given(cards()), Given(sound(440))
        local = Local.of(Source(audio, video), FORMAT)
        assert local.audio is not None
        assert local.video is not None
        start = loop.time()
        feeds = local.audio.subscribe(), local.video.subscribe()
        blocks, frames = await asyncio.gather(take(feeds[0], 100), take(feeds[1], 30))
        assert loop.time() - start == pytest.approx(2, abs=0.1)
        assert video.reads <= 32
        assert audio.reads <= 104
        assert [card.counter for frame in pictures(frames) if (card := read(frame))] == list(range(30))
        assert pitch(heard(blocks)[4800:], 48_000) == pytest.approx(440, abs=1)
        await local.close()

    run(scenario)


def test_stalled_machine_makes_sound_skip_and_never_lag() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(AUDIO, Tone(440))
        feed = out.subscribe()
        await take(feed, 10)
        start = loop.time()
        loop.now += 0.07  # a short stall is made up for
        short = await take(feed, 20)
        assert stamps(short) == [number * 960 for number in range(10, 30)]
        loop.now += 5
        late = await take(feed, 50)
        sent_until = stamps(late)[-1] / 48_000 - stamps(short)[0] / 48_000
        assert sent_until == pytest.approx(loop.time() - start, abs=0.03)
        steps = [after - before for before, after in pairwise(stamps(short + late))]
        assert sorted(steps)[:-1] == [960] * (len(steps) - 1)
        await out.close()

    run(scenario)


def test_every_peer_gets_the_same_frames_and_one_that_leaves_does_not_matter() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(AUDIO, Tone(440))
        one, two = out.subscribe(), out.subscribe()
        pairs = [(await one.recv(), await two.recv()) for _ in range(5)]
        assert all(first is second for first, second in pairs)
        one.close()
        one.close()
        with pytest.raises(SourceEnded):
            await one.recv()
        assert stamps(await take(two, 3)) == [960 * number for number in (5, 6, 7)]
        await out.close()

    run(scenario)


def test_slow_peer_loses_the_oldest_frames() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(AUDIO, Tone(440))
        slow, quick = out.subscribe(), out.subscribe()
        await take(quick, 100)
        assert stamps(await take(slow, 10)) == [960 * number for number in range(90, 100)]
        await out.close()

    run(scenario)


def test_nothing_runs_and_nothing_is_read_while_nobody_listens() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = Given(cards())
        out = Outgoing(VIDEO, source, FORMAT)
        feed = out.subscribe()
        before = await take(feed, 3)
        feed.close()
        await asyncio.sleep(10)
        read_then, sent_then = source.reads, out.frames
        await asyncio.sleep(10)
        assert (source.reads, out.frames) == (read_then, sent_then)
        after = await take(out.subscribe(), 3)
        assert stamps(after)[0] - stamps(before)[-1] == pytest.approx(20 * 90_000, abs=9000)
        await out.close()

    run(scenario)


def test_muted_sound_is_silence_and_comes_back() -> None:
    """QB-141."""

    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(AUDIO, Tone(440))
        feed = out.subscribe()
        await take(feed, 20)
        out.muted = True
        muted = await take(feed, 50)
        assert not heard(muted).any()
        out.muted = False
        loud = await take(feed, 50)
        assert pitch(heard(loud[10:]), 48_000) == pytest.approx(440, abs=1)
        assert stamps(muted + loud) == [960 * number for number in range(20, 120)]
        await out.close()

    run(scenario)


def test_muted_video_is_black_at_a_low_rate_and_sound_goes_on() -> None:
    """QB-142."""

    async def scenario(loop: VirtualClockLoop) -> None:
        local = Local.of(Source(Tone(440), TestCard(FORMAT, "ann")), FORMAT)
        assert local.audio is not None
        assert local.video is not None
        hearing, seeing = local.audio.subscribe(), local.video.subscribe()
        await take(seeing, 5)
        local.mute(VIDEO, True)
        start = loop.time()
        black = await take(seeing, 10)
        assert all(map(is_black, black))
        assert {(frame.width, frame.height) for frame in pictures(black)} == {(160, 120)}
        assert loop.time() - start > 1.4
        blocks = await take(hearing, 50)
        assert pitch(heard(blocks[-20:]), 48_000) == pytest.approx(440, abs=1)
        local.mute(VIDEO, False)
        start = loop.time()
        while is_black(await seeing.recv()):
            pass
        assert loop.time() - start < 0.1
        await local.close()

    run(scenario)


def test_stream_that_is_muted_before_it_starts_starts_muted() -> None:
    """QB-143."""

    async def scenario(loop: VirtualClockLoop) -> None:
        local = Local.of(Source(Tone(440), TestCard(FORMAT, "ann")), FORMAT)
        assert local.audio is not None
        assert local.video is not None
        local.mute(VIDEO, True)
        local.mute(AUDIO, True)
        assert local.audio.muted
        assert not heard(await take(local.audio.subscribe(), 20)).any()
        assert all(map(is_black, await take(local.video.subscribe(), 3)))
        await local.close()

    run(scenario)


def test_replaced_source_takes_over_under_continuous_time_stamps() -> None:
    """QB-144: the receivers' stream goes on; the size may change."""

    async def scenario(loop: VirtualClockLoop) -> None:
        old, new = Given(cards("ann")), Given(cards("bob", 320, 240))
        out = Outgoing(VIDEO, old, FORMAT)
        feed = out.subscribe()
        before = await take(feed, 5)
        out.replace(new)
        after = await take(feed, 10)
        times = stamps(before + after)
        assert all(3000 <= late - early <= 12_000 for early, late in pairwise(times[2:]))
        card = read(pictures(after)[-1])
        assert card is not None
        assert (card.name, out.size) == ("bob", (320, 240))
        assert (old.closed, new.closed) == (1, 0)
        await out.close()
        assert (old.closed, new.closed) == (1, 1)

    run(scenario)


def test_replacing_while_the_old_source_is_stuck_takes_effect() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        stuck = Stuck()
        out = Outgoing(VIDEO, stuck, FORMAT)
        feed = out.subscribe()
        waiting = asyncio.ensure_future(feed.recv())
        await asyncio.sleep(1)
        assert not waiting.done()
        out.replace(Given(cards("bob")))
        frame = await waiting
        assert isinstance(frame, av.VideoFrame)
        assert read(frame) is not None
        await asyncio.sleep(0.1)
        assert stuck.closed == 1
        await out.close()

    run(scenario)


def test_part_that_a_new_source_lacks_falls_silent_and_one_that_was_never_sent_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        local = Local.of(Source(audio=Tone(440)), FORMAT)
        assert local.audio is not None
        assert local.video is None
        feed = local.audio.subscribe()
        await take(feed, 5)
        video = Given(cards())
        local.replace(Source(video=video))
        assert not heard((await take(feed, 10))[1:]).any()
        local.mute(VIDEO, True)
        await local.close()
        assert video.closed == 1

    run(scenario)
    assert "video is not sent in this call" in caplog.text


@pytest.mark.parametrize("error", [None, OSError("unplugged")])
def test_source_that_ends_or_breaks_becomes_black_or_silence(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        video = Given(islice(cards(), 5), error)
        audio = Given(islice(sound(440), 10), error)
        local = Local.of(Source(audio, video), FORMAT)
        assert local.audio is not None
        assert local.video is not None
        seeing, hearing = local.video.subscribe(), local.audio.subscribe()
        frames, blocks = await asyncio.gather(take(seeing, 20), take(hearing, 50))
        assert [is_black(frame) for frame in frames] == [False] * 5 + [True] * 15
        assert heard(blocks[:12]).any()
        assert not heard(blocks[-30:]).any()
        for stream in (local.audio, local.video):
            assert stream.ended
            assert stream.error is error
        await local.close()

    with caplog.at_level(logging.ERROR, "qbcall.media"):
        run(scenario)
    assert len(caplog.records) == (2 if error else 0)


@pytest.mark.parametrize("thing", [b"bytes", None, next(cards())])
def test_source_that_yields_something_else_is_an_error_of_the_source(thing: object) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(AUDIO, Given([thing]), FORMAT)  # type: ignore[list-item]  # what an application might do
        await take(out.subscribe(), 5)
        assert isinstance(out.error, TypeError)
        await out.close()

    run(scenario)


@pytest.mark.parametrize(
    ("rate", "layout", "format"), [(44_100, "mono", "fltp"), (8000, "stereo", "s16"), (48_000, "5.1", "s32")]
)
def test_sound_of_any_form_is_resampled(rate: int, layout: str, format: str) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(AUDIO, Given(sound(440, rate, layout, format)))
        blocks = await take(out.subscribe(), 60)
        assert {frame.samples for frame in blocks if isinstance(frame, av.AudioFrame)} == {960}
        assert pitch(heard(blocks[20:]), 48_000) == pytest.approx(440, abs=1)
        assert out.error is None
        await out.close()

    run(scenario)


def test_pictures_of_odd_size_and_other_format_are_made_sendable() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        odd = [frame.reformat(width=161, height=121, format="rgb24") for frame in islice(cards(), 3)]
        odd[0].pict_type = av.video.frame.PictureType.I
        out = Outgoing(VIDEO, Given(odd), FORMAT)
        frames = pictures(await take(out.subscribe(), 3))
        assert {(frame.width, frame.height, frame.format.name) for frame in frames} == {(160, 120, "yuv420p")}
        assert {frame.pict_type for frame in frames} == {av.video.frame.PictureType.NONE}
        assert all(read(frame) is not None for frame in frames)
        await out.close()

    run(scenario)


class Fresh(Given, FreshSource):
    """Yields pictures that nobody else has."""


@pytest.mark.parametrize(("source", "size", "same"), [(Given, 160, False), (Fresh, 160, True), (Fresh, 161, False)])
def test_pictures_are_copied_unless_nobody_else_has_them(source: type[Given], size: int, same: bool) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        given = [frame.reformat(width=size) for frame in islice(cards(), 3)]
        out = Outgoing(VIDEO, source(given), FORMAT)
        frames = pictures(await take(out.subscribe(), 3))
        assert [one is other for one, other in zip(frames, given, strict=True)] == [same] * 3
        assert {frame.width for frame in frames} == {160}
        await out.close()

    run(scenario)


def test_listener_is_told_each_frame_and_the_end() -> None:
    class Ear:
        def __init__(self) -> None:
            self.frames: list[Frame] = []
            self.ended = 0

        def put(self, frame: Frame) -> None:
            self.frames.append(frame)

        def end(self) -> None:
            self.ended += 1

    async def scenario(loop: VirtualClockLoop) -> None:
        out, ears = Outgoing(AUDIO, Tone(440)), [Ear(), Ear()]
        feeds = [out.subscribe(ear) for ear in ears]
        await take(out.subscribe(), 5)
        feeds[0].close()
        assert [len(ear.frames) for ear in ears] == [5, 5]
        await out.close()
        assert [ear.ended for ear in ears] == [1, 1]
        late = Ear()
        out.subscribe(late)
        assert late.ended == 1

    run(scenario)


def test_end_of_all_sources_is_told_until_another_takes_over() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        local = Local.of(Source(Given(islice(sound(440), 10)), Given(islice(cards(), 20))), FORMAT)
        assert local.audio is not None
        assert local.video is not None
        feeds = local.audio.subscribe(), local.video.subscribe()
        start = loop.time()
        await local.over()
        assert loop.time() - start == pytest.approx(20 / 15, abs=0.2)
        assert all(feed is not None for feed in feeds)
        local.replace(Source(Tone(440), TestCard(FORMAT, "ann")))
        over = asyncio.create_task(local.over())
        await take(feeds[1], 50)
        assert not over.done()
        over.cancel()
        await local.close()

    run(scenario)


def test_closed_stream_leaves_no_task_and_closes_its_source_once() -> None:
    """QB-147."""

    async def scenario(loop: VirtualClockLoop) -> None:
        source, late = Given(cards()), Given(cards())
        out = Outgoing(VIDEO, source, FORMAT)
        feed = out.subscribe()
        await take(feed, 2)
        waiting = asyncio.ensure_future(take(feed, 100))
        await asyncio.sleep(0.01)
        await out.close()
        await out.close()
        with pytest.raises(SourceEnded):
            await waiting
        with pytest.raises(SourceEnded):
            await out.subscribe().recv()
        out.replace(late)
        await out.close()
        assert (source.closed, late.closed) == (1, 1)

    run(scenario)


def test_source_whose_close_fails_does_not_matter(caplog: pytest.LogCaptureFixture) -> None:
    class Clinging(Given):
        async def close(self) -> None:
            raise OSError("will not go")

    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(VIDEO, Clinging(cards()), FORMAT)
        await out.close()

    run(scenario)
    assert "Clinging" in caplog.text


def test_format_that_nobody_chose_is_640_by_480_at_30() -> None:
    """QB-140."""

    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(VIDEO, TestCard(VideoFormat(), "ann"))
        start = loop.time()
        frames = pictures(await take(out.subscribe(), 31))
        assert loop.time() - start == pytest.approx(1, abs=0.01)
        assert (frames[0].width, frames[0].height) == (640, 480)
        await out.close()

    run(scenario)
