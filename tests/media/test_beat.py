"""What comes often is done on one beat."""

from __future__ import annotations

import asyncio
import gc
import weakref
from functools import partial
from random import Random

from qbcall.media.beat import BEAT, Beat, beat
from tests.media.virtual_clock import VirtualClockLoop, run


def test_first_beat_is_when_somebody_asks_first() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        await asyncio.sleep(0.0037)
        began = loop.time()
        for part in (0.0, 0.98):
            now = began + part * BEAT
            assert (beat().last(now), beat().next(now)) == (began, began + BEAT)

    run(scenario)


def test_next_beat_is_always_later_and_never_far() -> None:
    dice, one, now = Random(1), Beat(1000.5), 1000.5
    for _ in range(10_000):
        now = dice.choice([one.next(now), now + dice.uniform(0, 1)])
        found = one.next(now)
        assert 0 < found - now <= BEAT * 1.01
        assert one.last(now) <= now + BEAT * 0.01
        assert abs((found - 1000.5) / BEAT - round((found - 1000.5) / BEAT)) < 1e-3


def test_listeners_are_called_together_until_they_leave() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        times: dict[str, list[float]] = {"a": [], "b": []}

        def a() -> None:
            times["a"].append(loop.time())

        def b() -> None:
            times["b"].append(loop.time())
            if len(times["b"]) == 3:
                beat().leave(b)
                beat().leave(b)

        beat().join(a)
        await asyncio.sleep(0.5 * BEAT)
        beat().join(b)
        await asyncio.sleep(5 * BEAT)
        beat().leave(a)
        assert len(times["a"]) == 5
        assert times["b"] == times["a"][:3]
        await asyncio.sleep(5 * BEAT)
        assert len(times["a"]) == 5
        beat().join(a)
        await asyncio.sleep(BEAT)
        assert len(times["a"]) == 6
        beat().leave(a)

    run(scenario)


async def until_the_beat(loop: VirtualClockLoop, seen: list[str]) -> None:
    await asyncio.sleep(beat().next(loop.time()) - loop.time())
    seen.append("task")


def test_listeners_come_after_a_task_that_waits_for_the_beat() -> None:
    """Whichever of them waited first."""

    async def scenario(loop: VirtualClockLoop) -> None:
        for first in (True, False):
            seen: list[str] = []
            listener = partial(seen.append, "listener")
            if first:
                beat().join(listener)
            task = asyncio.create_task(until_the_beat(loop, seen))
            if not first:
                await asyncio.sleep(0)
                beat().join(listener)
            await asyncio.sleep(1.5 * BEAT)
            beat().leave(listener)
            await task
            assert seen[:2] == ["task", "listener"]

    run(scenario)


def nothing() -> None:
    """Listens."""


def test_beat_that_nobody_listens_to_ends_with_its_loop() -> None:
    async def whole() -> weakref.ref[asyncio.AbstractEventLoop]:
        beat().join(nothing)
        beat().leave(nothing)
        return weakref.ref(asyncio.get_running_loop())

    gone = asyncio.run(whole())
    gc.collect()
    assert gone() is None
