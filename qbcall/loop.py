"""An event loop for calls: the media of all peers that comes within a few milliseconds is dealt with together.

In a call of four, 240 times a second something comes from one of the peers. To wake up for each costs several times
what there is to do then: after each sleep the processor's caches have to be filled anew. Here a process that is woken
by media waits for the end of the slot it came in, at most 5 ms, and takes what else came until then. Timers and
everything that is no media (the chat, signals, files) are not waited for. Without media this is asyncio's own loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import select
import selectors
from collections.abc import Coroutine, Iterator
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")

MANY = 20_000
"""Objects that may come before the garbage collector looks; some megabytes."""
SLOT = 0.005
"""Seconds; media waits half of it on average. Voice has 60 ms from end to end on top of the network's."""


class Gathering(selectors.EpollSelector):
    """Waits for the rest of a slot if there is nothing but media."""

    def __init__(self) -> None:
        super().__init__()
        self._media: set[int] = set()
        self._urgent = select.epoll()
        """All that is no media."""

    def gather(self, descriptor: int) -> None:
        """What comes there is media from now on; again is no error."""
        if descriptor not in self._media and descriptor in self.get_map():
            self._urgent.unregister(descriptor)
            self._media.add(descriptor)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        key = super().register(fileobj, events, data)
        self._urgent.register(key.fd, _mask(events))
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        key = super().modify(fileobj, events, data)
        if key.fd not in self._media:
            self._urgent.modify(key.fd, _mask(events))
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        key = super().unregister(fileobj)
        if key.fd in self._media:
            self._media.discard(key.fd)
        else:
            with contextlib.suppress(OSError):  # it was closed before, which asyncio's own selectors allow
                self._urgent.unregister(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector`."""
        if not self._media:
            return super().select(timeout)
        until = None if timeout is None else monotonic() + timeout
        ready = super().select(timeout)
        if ready and all(key.fd in self._media for key, _ in ready):
            now = monotonic()
            rest = SLOT - now % SLOT if until is None else min(SLOT - now % SLOT, until - now)
            if rest > 0:
                self._urgent.poll(rest)
                return super().select(0)
        return ready

    def close(self) -> None:
        """See `selectors.BaseSelector`."""
        self._urgent.close()
        super().close()


def _mask(events: int) -> int:
    reads, writes = events & selectors.EVENT_READ, events & selectors.EVENT_WRITE
    return (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if writes else 0)


class CallLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on Unix, which deals with media together."""

    def __init__(self) -> None:
        self._gathering = Gathering()
        super().__init__(self._gathering)

    def gather(self, descriptor: int) -> None:
        """What comes to this socket is media, and may wait for a moment."""
        self._gathering.gather(descriptor)


def gather(descriptor: int) -> None:
    """Say that what comes to this socket is media; other loops than ours deal with it at once."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, CallLoop):
        loop.gather(descriptor)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, with a loop and a garbage collector that need less of the processor in calls.

    Raises:
        RuntimeError: an event loop is running already.
    """
    with asyncio.Runner(loop_factory=CallLoop) as runner, patient_collector():
        return runner.run(main)


@contextlib.contextmanager
def patient_collector() -> Iterator[None]:
    """Have Python's garbage collector look less often, and only at what came after the modules.

    It would look at all objects of all libraries again and again: a tenth of what a call of four costs, and pauses of
    tens of milliseconds, as long as sound may wait.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(MANY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
