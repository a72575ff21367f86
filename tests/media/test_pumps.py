"""What drives a stream that is sent, on a virtual clock."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from qbcall.media.beat import BEAT, beat
from qbcall.media.pumps import CATCH_UP, PicturePump, Shown, SoundPump
from tests.media.virtual_clock import VirtualClockLoop, run


def test_blocks_are_sent_at_once_and_then_on_each_beat() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        beat()
        await asyncio.sleep(2.3 * BEAT)
        sent: list[tuple[int, float]] = []
        pump = SoundPump(lambda number: sent.append((number, loop.time())))
        start = loop.time()
        pump.start()
        assert not sent, "not before who subscribed knows of it"
        await asyncio.sleep(5 * BEAT)
        pump.stop()
        await asyncio.sleep(5 * BEAT)
        assert [number for number, _ in sent] == list(range(6))
        assert sent[0][1] == start
        assert [time - start for _, time in sent[1:]] == pytest.approx([BEAT * (0.7 + step) for step in range(5)])

    run(scenario)


@pytest.mark.parametrize(("stall", "missing"), [(0.07, 0), (0.1, 0), (0.5, 19), (5.0, 244)])
def test_a_stall_is_made_up_for_by_no_more_than_a_tenth_of_a_second(stall: float, missing: int) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        sent: list[int] = []
        pump = SoundPump(sent.append)
        pump.start()
        await asyncio.sleep(3.5 * BEAT)
        loop.now += stall
        await asyncio.sleep(3 * BEAT)
        pump.stop()
        gaps = [after - before for before, after in pairwise(sent) if after - before != 1]
        assert sum(gaps) - len(gaps) == missing
        assert sent[-1] == int((3.5 * BEAT + stall + 3 * BEAT) / BEAT + 0.01)

    run(scenario)


def test_turn_of_the_loop_is_left_between_blocks_that_are_made_up_for() -> None:
    """So that the source, which is read in a task, has the next one."""

    async def scenario(loop: VirtualClockLoop) -> None:
        turns = 0
        seen: list[int] = []

        def count() -> None:
            nonlocal turns
            turns += 1
            if turns < 50:
                loop.call_soon(count)

        pump = SoundPump(lambda number: seen.append(turns))
        pump.start()
        await asyncio.sleep(1.5 * BEAT)
        count()
        loop.now += CATCH_UP * BEAT
        await asyncio.sleep(0.5 * BEAT)
        assert len(seen) >= 2 + CATCH_UP
        assert all(after > before for before, after in pairwise(seen[2:]))
        pump.stop()

    run(scenario)


def test_sound_pump_that_is_stopped_by_what_it_sends_sends_no_more() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        sent: list[int] = []

        def send(number: int) -> None:
            sent.append(number)
            if number == 2:
                pump.stop()
                pump.stop()

        pump = SoundPump(send)
        pump.start()
        await asyncio.sleep(10 * BEAT)
        assert sent == [0, 1, 2]
        pump.start()
        await asyncio.sleep(1.5 * BEAT)
        pump.stop()
        assert sent == [0, 1, 2, 0, 1]

    run(scenario)


class Source:
    """Comes with a picture now and then."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fps: int) -> None:
        self.has = False
        self.shown: list[float] = []
        self._loop = loop
        self.pump = PicturePump(fps, self.show)

    def show(self) -> Shown:
        if not self.has:
            return Shown.NOTHING
        self.has = False
        self.shown.append(self._loop.time())
        return Shown.PICTURE

    def come(self) -> None:
        self.has = True
        self.pump.go()


def test_picture_is_sent_when_it_comes() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = Source(loop, 10)
        source.come()
        assert not source.shown, "it does not run yet"
        source.has = False
        source.pump.start()
        came = []
        for pause in (0.1, 0.1, 0.13, 0.07, 0.1, 0.11, 0.09, 0.5):
            await asyncio.sleep(pause)
            came.append(loop.time())
            source.come()
        assert source.shown == came
        source.pump.stop()
        source.come()
        assert source.shown == came

    run(scenario)


def test_source_without_a_pace_is_held_to_that_of_the_format() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = Source(loop, 10)
        source.pump.start()
        start = loop.time()
        while loop.time() < start + 3:
            if not source.has:
                source.come()
            await asyncio.sleep(0.001)
        assert len(source.shown) == pytest.approx(31, abs=1)
        source.pump.stop()

    run(scenario)


def test_source_that_once_came_in_a_burst_does_not_wait_for_ever() -> None:
    """Two pictures at one time use up what may be early; those that follow come at the right pace, and go at once."""

    async def scenario(loop: VirtualClockLoop) -> None:
        source = Source(loop, 10)
        source.pump.start()
        start = loop.time()
        for number in range(100):
            await asyncio.sleep(max(0.0, start + max(number, 1) * 0.1 + (number % 2) * 0.001 - loop.time()))
            source.come()
            assert source.shown[-1] == loop.time()
        source.pump.stop()

    run(scenario)


def test_black_is_sent_again_and_again_until_there_is_a_picture() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        times: list[tuple[Shown, float]] = []
        kind = Shown.BLACK

        def show() -> Shown:
            times.append((kind, loop.time()))
            return kind

        pump = PicturePump(30, show)
        pump.start()
        start = loop.time()
        await asyncio.sleep(1.1)
        assert [time - start for _, time in times] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        kind = Shown.PICTURE
        pump.go()
        assert times[-1] == (Shown.PICTURE, loop.time())
        kind = Shown.NOTHING
        pump.go()
        await asyncio.sleep(1)
        assert len(times) == 8, "nothing to show is no reason to look again"
        pump.stop()

    run(scenario)
