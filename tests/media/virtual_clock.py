"""An event loop whose clock jumps to the next timer, so that real-time pacing is tested without waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Time passes only when there is nothing to do; while a thread works, it stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.at_work = 0
        super().__init__(JumpingSelector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.at_work += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object) -> None:
        self.at_work -= 1


class JumpingSelector(selectors.DefaultSelector):
    """Does not wait for time, but moves the clock."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or (timeout > 0 and self._loop.at_work):
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._loop.now += timeout
        return ready


def run(scenario: Callable[[VirtualClockLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a scenario on a virtual clock, and see that it leaves no task behind."""

    async def whole() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)
        result = await scenario(loop)
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(whole())
