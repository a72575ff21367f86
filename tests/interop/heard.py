"""What somebody heard, kept in order, and awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Heard(Generic[T]):
    """Everything of one kind that came in; a test awaits it piece by piece."""

    def __init__(self, who: str) -> None:
        self.all: list[T] = []
        """In the order in which it came."""
        self._unread: list[T] = []
        self._who = who
        self._news = asyncio.Event()

    def add(self, one: T) -> None:
        """Something came in."""
        self.all.append(one)
        self._unread.append(one)
        self._news.set()

    async def expect(self, wanted: Callable[[T], bool], what: str, timeout: float) -> T:
        """The first one that is wanted; each is given back once, and those before it stay for others.

        Raises:
            AssertionError: none came within `timeout` seconds; the message has what came instead.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for one in self._unread:
                        if wanted(one):
                            self._unread.remove(one)
                            return one
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            came = "\n  ".join(str(one)[:200] for one in self.all[-20:])
            raise AssertionError(f"{self._who}: no {what} within {timeout:g} s, but\n  {came}") from None
