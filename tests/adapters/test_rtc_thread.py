"""Pictures of one thread are done in turn, and those of all threads no more at once than there are processors."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

import pytest

from qbcall.adapters import rtc_thread
from qbcall.adapters.rtc_thread import Done, MediaThread

PATIENCE = 20.0


class Asked(threading.Semaphore):
    """Turns; tells when one more thread waits for its own."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        self._asked.put(None)
        return super().acquire(timeout=PATIENCE)

    async def another(self) -> None:
        await asyncio.to_thread(self._asked.get, timeout=PATIENCE)


def noting(seen: list[str], name: str, until: Callable[[], object] = bool) -> Callable[[], Done]:
    """Work that says when it begins and ends, and is told."""

    def work() -> Done:
        seen.append(f"{name} begins")
        until()
        seen.append(f"{name} ends")
        return lambda: seen.append(f"{name} told")

    return work


def test_as_many_are_at_work_as_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        seen: list[str] = []
        asked, go = Asked(1), threading.Event()
        monkeypatch.setattr(rtc_thread, "TURNS", asked)
        one, other = MediaThread("one"), MediaThread("other")
        one.do(noting(seen, "first", lambda: go.wait(PATIENCE)))
        await asked.another()
        other.do(noting(seen, "second"))
        await asked.another()
        assert "second begins" not in seen
        go.set()
        await one.close()
        await other.close()
        assert [entry for entry in seen if not entry.endswith("told")] == [
            "first begins",
            "first ends",
            "second begins",
            "second ends",
        ]

    asyncio.run(play())


def test_turn_is_given_back_by_work_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not; all calls would wait."""
    turns = threading.Semaphore(1)
    monkeypatch.setattr(rtc_thread, "TURNS", turns)

    def breaks() -> Done:
        raise ValueError("it must not raise")

    with pytest.raises(ValueError, match="must not"):
        rtc_thread._in_turn(breaks)
    assert turns.acquire(blocking=False)


def test_those_that_hang_do_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    none = threading.Semaphore(0)
    monkeypatch.setattr(rtc_thread, "TURNS", none)
    monkeypatch.setattr(rtc_thread, "LONGEST", 0.0)
    assert rtc_thread._in_turn(lambda: print) is print
    assert not none.acquire(blocking=False)
