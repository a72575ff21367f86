"""Where a link under test posts, and a test waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeVar

from qbcall.core.inputs import Input

T = TypeVar("T")


class Inbox:
    """Takes what an adapter posts; a test awaits it kind by kind."""

    def __init__(self) -> None:
        self.posted: list[Input] = []
        """Everything, in the order of posting."""
        self._taken = 0
        self._news = asyncio.Event()

    def __call__(self, what: Input) -> None:
        """Satisfies `qbcall.core.inputs.Post`."""
        self.posted.append(what)
        self._news.set()

    async def next(self, kind: type[T], patience: float = 20.0) -> T:
        """The next post, which must be of this kind.

        Raises:
            AssertionError: it is of another kind.
            TimeoutError: nothing was posted within `patience` seconds.
        """
        async with asyncio.timeout(patience):
            while self._taken >= len(self.posted):
                self._news.clear()
                await self._news.wait()
        what = self.posted[self._taken]
        self._taken += 1
        assert isinstance(what, kind), f"{what!r} is no {kind.__name__}"
        return what

    @property
    def unread(self) -> list[Input]:
        """What was posted and not taken yet."""
        return self.posted[self._taken :]

    def all(self, kind: type[T]) -> list[T]:
        """Every post of this kind, taken or not."""
        found: Iterable[object] = self.posted
        return [what for what in found if isinstance(what, kind)]
