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
            assert (beat().number(now), beat().next(now)) == (0, began + BEAT)

    run(scenario)


def test_next_beat_is_always_later_and_never_far() -> None:
    dice, one, now = Random(1), Beat(1000.5), 1000.5
    for _ in range(10_000):
        now = dice.choice([one.next(now), now + dice.uniform(0, 1)])
        found = one.next(now)
        assert 0 < found - now <= BEAT * 1.01
        assert 1000.5 + one.number(now) * BEAT <= now + BEAT * 0.01
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


def test_who_sends_is_called_before_those_who_read() -> None:
    """Whoever joined first."""

    async def scenario(loop: VirtualClockLoop) -> None:
        for order in ((True, False), (False, True)):
            seen: list[str] = []
            listeners = {True: partial(seen.append, "sender"), False: partial(seen.append, "reader")}
            for sends in order:
                beat().join(listeners[sends], sends=sends)
            await asyncio.sleep(1.5 * BEAT)
            for listener in listeners.values():
                beat().leave(listener)
            assert seen[:2] == ["sender", "reader"]
            await asyncio.sleep(2 * BEAT)
            assert len(seen) <= 4

    run(scenario)


def test_who_left_in_this_beat_is_not_called() -> None:
    """A socket that is closed by what another one read does not look for more."""

    async def scenario(loop: VirtualClockLoop) -> None:
        seen: list[str] = []
        reader = partial(seen.append, "reader")

        def sender() -> None:
            seen.append("sender")
            beat().leave(reader)

        beat().join(reader)
        beat().join(sender, sends=True)
        await asyncio.sleep(1.5 * BEAT)
        beat().leave(sender)
        assert seen == ["sender"]

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
