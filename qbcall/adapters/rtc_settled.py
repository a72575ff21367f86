"""Coroutines of the libraries that never wait: what they do is done at once."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def settled(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, as aiortc's `getStats` of one sender or receiver.

    Raises:
        RuntimeError: it waits.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine that should be done at once waits")
