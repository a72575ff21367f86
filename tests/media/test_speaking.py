"""What a program says."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import av
import numpy as np
import pytest

from qbcall.core.model import MediaKind
from qbcall.errors import InvalidArgument, InvalidState
from qbcall.media.frames import Frame, Source, SourceEnded, VideoFormat
from qbcall.media.mono import Mono
from qbcall.media.outgoing import Feed, Outgoing
from qbcall.media.pace import Pace
from qbcall.media.sources import open_source
from qbcall.media.speaking import PcmSource
from qbcall.media.tone import pitch
from tests.media.pieces import heard, take
from tests.media.test_mono import wave
from tests.media.virtual_clock import VirtualClockLoop, run

AUDIO = MediaKind.AUDIO


def loud(frames: list[Frame]) -> list[bool]:
    """Which of the blocks have sound in them."""
    return [bool(np.abs(heard([frame])).max() > 1000) for frame in frames]


async def until_loud(feed: Feed) -> list[Frame]:
    """Everything up to the first block with sound in it."""
    frames = await take(feed, 1)
    while not loud(frames[-1:])[0]:
        frames += await take(feed, 1)
    return frames


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_what_is_written_is_sent_whole_and_in_real_time(rate: int) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(rate)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        start = loop.time()
        writing = asyncio.create_task(source.write(wave(rate, 3.0)))
        frames = await take(feed, 200)
        assert [frame.pts for frame in frames] == [number * 960 for number in range(200)]
        assert loop.time() - start == pytest.approx(199 * 0.02, abs=0.001)
        await writing
        spoken = loud(frames)
        first = spoken.index(True)
        assert first <= 2
        assert spoken[first : first + 150] == [True] * 150
        assert not any(spoken[first + 151 :])
        assert pitch(heard(frames)[4800:140_000], 48_000) == pytest.approx(440, abs=0.5)
        await out.close()

    run(scenario)


def test_writing_waits_for_room_and_is_never_ahead_by_more_than_the_buffer() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000, buffer=300)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        start = loop.time()
        most = 0.0

        async def speak() -> None:
            nonlocal most
            for _ in range(100):
                await source.write(wave(16_000, 0.02).tobytes())
                most = max(most, source.buffered)

        speaking = asyncio.create_task(speak())
        await take(feed, 110)
        await speaking
        assert most == pytest.approx(0.3, abs=0.041)
        assert loop.time() - start < 2.3
        await out.close()

    run(scenario)


def test_writer_in_real_time_is_heard_without_a_break_and_at_most_40_ms_later() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        await take(feed, 3)
        sound, pace = wave(16_000, 4.0), Pace(0.02)
        most = 0.0

        async def speak() -> None:
            nonlocal most
            for number in range(200):
                await pace.tick()
                late = 0.012 * (number % 3 == 1)  # not quite regular
                await asyncio.sleep(late)
                await source.write(sound[number * 320 : number * 320 + 320])
                most = max(most, source.buffered)

        speaking = asyncio.create_task(speak())
        spoken = loud(await take(feed, 195))
        first = spoken.index(True)
        assert all(spoken[first:])
        assert first <= 3
        assert most <= 0.0601  # 40 ms, and the block that was just written
        await speaking
        await out.close()

    run(scenario)


def test_pause_is_silence_and_a_few_milliseconds_are_said_too() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        assert not any(loud(await take(feed, 50)))
        await source.write(wave(16_000, 0.01))
        frames = await take(feed, 10)
        assert loud(frames).count(True) == 1
        assert loud(frames).index(True) <= 3
        await source.write(wave(16_000, 0.1))
        later = await take(feed, 20)
        assert loud(later).count(True) in (5, 6)
        stamps = [frame.pts or 0 for frame in frames + later]
        assert {after - before for before, after in pairwise(stamps)} == {960}
        assert not heard(later[-10:]).any()
        await out.close()

    run(scenario)


def test_clear_stops_speech_within_one_block_and_lets_writers_go_on() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        writers = [asyncio.create_task(source.write(wave(16_000, 10.0))) for _ in range(2)]
        await until_loud(feed)
        source.clear()
        await asyncio.gather(*writers)
        assert source.buffered == 0
        assert loud(await take(feed, 20)) == [False] * 20
        await source.write(wave(16_000, 0.1, hertz=880))
        frames = await take(feed, 20)
        assert any(loud(frames))
        await out.close()

    run(scenario)


def test_drained_waits_until_all_was_sent() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000)
        await source.drained()  # nothing was written
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        await source.write(wave(16_000, 0.2))
        start = loop.time()
        frames = asyncio.create_task(take(feed, 30))
        await source.drained()
        assert loop.time() - start == pytest.approx(0.2, abs=0.05)
        spoken = loud(await frames)
        assert spoken.count(True) in (10, 11)
        speaking = asyncio.create_task(source.write(wave(16_000, 9.0)))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(source.drained())
        await asyncio.sleep(0)
        source.clear()
        await asyncio.gather(waiting, speaking)
        await out.close()

    run(scenario)


def test_muted_speech_passes_unheard_in_its_time() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        writing = asyncio.create_task(source.write(wave(16_000, 2.0)))
        await until_loud(feed)
        out.muted = True
        await take(feed, 1)
        assert loud(await take(feed, 49)) == [False] * 49
        out.muted = False
        await take(feed, 1)
        spoken = loud(await take(feed, 100))
        await writing
        assert spoken.index(False) in range(46, 51)  # 2 s are over
        assert not any(spoken[spoken.index(False) :])
        await out.close()

    run(scenario)


def test_stalled_machine_never_makes_it_lag() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        writing = asyncio.create_task(source.write(wave(16_000, 30.0)))
        before = await take(feed, 20)
        start = loop.time()
        loop.now += 5
        after = await take(feed, 50)
        assert after[-1].pts is not None
        assert before[-1].pts is not None
        passed = (after[-1].pts - before[-1].pts) / 48_000
        assert passed == pytest.approx(loop.time() - start, abs=0.03)
        await out.close()
        with pytest.raises(InvalidState, match="the call is over"):
            await writing

    run(scenario)


def test_end_of_the_call_is_told_to_writers_and_the_source_serves_no_other() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000)
        opened = await open_source(source, VideoFormat(160, 120, 15), "ann", tuple(MediaKind))
        assert opened == Source(audio=source)
        out = Outgoing(AUDIO, opened.audio)
        waiting = asyncio.create_task(source.write(wave(16_000, 1.0)))  # nobody listens: it waits for ever
        drained = asyncio.create_task(source.drained())
        await asyncio.sleep(0)
        await out.close()
        with pytest.raises(InvalidState, match="the call is over"):
            await waiting
        await drained
        assert source.closed
        with pytest.raises(InvalidState, match="the call is over"):
            await source.write(b"")
        with pytest.raises(InvalidState, match="make a new one"):
            await open_source(source, VideoFormat(160, 120, 15), "ann", tuple(MediaKind))

    run(scenario)


def test_source_that_ends_says_the_rest_and_silence_follows() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(48_000)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        await source.write(wave(48_000, 0.05))
        source.end()
        frames = await take(feed, 20)
        assert loud(frames).count(True) == 3
        assert (out.ended, out.error) == (True, None)
        await out.close()

    run(scenario)


def test_live_sound_pushes_the_oldest_out() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000, buffer=100)
        for part in (440, 440, 440, 880):
            source.push(wave(16_000, 0.1, hertz=part))
        assert source.buffered == pytest.approx(0.1)
        source.end()
        frames = [await source.read() for _ in range(6)]
        with pytest.raises(SourceEnded):
            await source.read()
        assert pitch(heard(frames)[500:4500], 48_000) == pytest.approx(880, abs=10)

    run(scenario)


@pytest.mark.parametrize("burst", [1, 6])
def test_live_sound_is_of_now_again_a_second_after_a_stall(burst: int) -> None:
    """As from a microphone that gives 20 or 120 ms at once."""

    async def scenario(loop: VirtualClockLoop) -> None:
        source = PcmSource(16_000, buffer=1000)
        out = Outgoing(AUDIO, source)
        feed = out.subscribe()
        await take(feed, 3)
        sound, pace = wave(16_000, 0.02 * burst), Pace(0.02 * burst, patience=10.0)
        levels: list[float] = []

        async def speak() -> None:
            while True:
                await pace.tick()
                source.push(sound)

        speaking = asyncio.create_task(speak())
        for number in range(300):
            spoken = loud(await take(feed, 1))
            levels.append(source.buffered)
            assert all(spoken) or number < 10 or 100 <= number < 170
            if number == 100:
                loop.now += 0.5  # the writer says all of that at once afterwards
        assert max(levels[110:130]) > 0.3
        assert max(levels[230:]) <= 0.02 * burst + 0.041
        speaking.cancel()
        await out.close()

    run(scenario)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"abc", "whole samples of 2 bytes, not 3 bytes"),
        (np.zeros((960, 2), np.int16), r"int16 of shape \(samples,\), not int16 \(960, 2\)"),
        (np.zeros(960, np.float32), "not float32"),
        ([1, 2, 3], "a numpy array or bytes, not list"),
    ],
)
def test_what_is_no_sound_is_refused(wrong: Mono, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        asyncio.run(PcmSource().write(wrong))


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="rate must be"):
        PcmSource(7_000)
    for wrong in (99, 60_001, 200.0):
        with pytest.raises(InvalidArgument, match="buffer must be a whole number from 100 to 60000 ms"):
            PcmSource(buffer=wrong)  # type: ignore[arg-type]  # what people write


def test_frames_are_those_that_are_sent() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        frame = await PcmSource().read()
        assert isinstance(frame, av.AudioFrame)
        assert (frame.samples, frame.sample_rate, frame.layout.name) == (960, 48_000, "stereo")

    run(scenario)
