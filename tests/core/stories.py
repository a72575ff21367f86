"""All stories as plain functions, for tests about what stories show."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from qbcall.core.events import Event
from tests.core import (
    test_answering,
    test_candidates,
    test_connection,
    test_devices,
    test_dialing,
    test_glare,
    test_group,
    test_health,
    test_incoming,
    test_leaving,
    test_link,
    test_losing,
    test_mailbox,
    test_matrix,
    test_preconnect,
    test_rejoining,
    test_restarting,
)
from tests.core.watch import Watch

MODULES = (
    test_answering,
    test_candidates,
    test_connection,
    test_devices,
    test_dialing,
    test_glare,
    test_group,
    test_health,
    test_incoming,
    test_leaving,
    test_link,
    test_losing,
    test_mailbox,
    test_matrix,
    test_rejoining,
    test_preconnect,
    test_restarting,
)


def stories() -> Iterator[Callable[[], None]]:
    """Tests of the story modules that take nothing."""
    for module in MODULES:
        for key, value in vars(module).items():
            if key.startswith("test_") and callable(value) and not inspect.signature(value).parameters:
                yield value


@contextmanager
def noting_events() -> Iterator[list[Event]]:
    """Every event of every world, while this lasts."""
    noted: list[Event] = []
    before = Watch.see_event

    def see_event(watch: Watch, event: Event) -> None:
        noted.append(event)
        before(watch, event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, "see_event", see_event)
        yield noted
