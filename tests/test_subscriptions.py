"""Who hears which events: rows QB-005 to QB-008 and QB-133."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from qbcall.core.events import (
    CallClosed,
    CallEvent,
    Event,
    LinkReconnected,
    PeerConnected,
    PeerStateChanged,
)
from qbcall.core.model import CallId, EndReason, PeerState, User
from qbcall.subscriptions import QUEUE_LIMIT, EventStream, Subscriptions

CONNECTED = PeerConnected(call=CallId("c"), peer=User("b@x"), old=PeerState.CHECKING, new=PeerState.CONNECTED)
CLOSED = CallClosed(call=CallId("c"), reason=EndReason.HUNG_UP)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_two_handlers_hear_an_event_in_the_order_added() -> None:
    """QB-005."""

    async def scenario() -> None:
        heard: list[tuple[int, Event]] = []
        subscriptions = Subscriptions()
        subscriptions.on(Event, lambda event: heard.append((1, event)))
        subscriptions.on(PeerStateChanged, lambda event: heard.append((2, event)))
        subscriptions.on(CallClosed, lambda event: heard.append((3, event)))
        subscriptions.publish(CONNECTED)
        assert heard == [(1, CONNECTED), (2, CONNECTED)]
        await subscriptions.close()

    run(scenario())


def test_a_handler_that_was_removed_hears_nothing() -> None:
    """QB-006."""

    async def scenario() -> None:
        heard: list[Event] = []
        subscriptions = Subscriptions()
        subscriptions.on(Event, heard.append)
        subscriptions.on(CallClosed, heard.append)
        subscriptions.publish(CLOSED)
        subscriptions.off(heard.append)
        subscriptions.publish(CLOSED)
        assert heard == [CLOSED, CLOSED]
        await subscriptions.close()

    run(scenario())


def test_a_handler_that_raises_does_not_keep_the_event_from_others(caplog: pytest.LogCaptureFixture) -> None:
    """QB-007."""

    async def scenario() -> None:
        heard: list[Event] = []
        subscriptions = Subscriptions()

        def broken(event: Event) -> None:
            raise RuntimeError("sync")

        async def broken_later(event: Event) -> None:
            raise RuntimeError("async")

        subscriptions.on(Event, broken)
        subscriptions.on(Event, broken_later)
        subscriptions.on(Event, heard.append)
        subscriptions.publish(CLOSED)
        await subscriptions.close()
        assert heard == [CLOSED]
        assert [str(error) for error in subscriptions.errors] == ["sync", "async"]

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_handlers_run_on_the_thread_of_the_event_loop() -> None:
    """QB-008."""

    async def scenario() -> None:
        threads: set[int] = set()
        subscriptions = Subscriptions()

        async def later(event: Event) -> None:
            threads.add(threading.get_ident())

        subscriptions.on(Event, lambda event: threads.add(threading.get_ident()))
        subscriptions.on(Event, later)
        subscriptions.publish(CLOSED)
        await subscriptions.close()
        assert threads == {threading.get_ident()}

    run(scenario())


def test_a_slow_handler_gets_its_events_in_order_and_holds_up_nobody() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        slow: list[Event] = []
        quick: list[Event] = []
        subscriptions = Subscriptions()

        async def handler(event: CallEvent) -> None:
            await gate.wait()
            slow.append(event)

        subscriptions.on(CallEvent, handler)
        subscriptions.on(CallEvent, quick.append)
        for event in (CONNECTED, CLOSED):
            subscriptions.publish(event)
        assert quick == [CONNECTED, CLOSED]
        assert not slow
        gate.set()
        await subscriptions.close()
        assert slow == [CONNECTED, CLOSED]

    run(scenario())


def test_two_calls_are_handled_side_by_side() -> None:
    async def scenario() -> None:
        both = asyncio.Barrier(2)
        subscriptions = Subscriptions()

        async def handler(event: CallEvent) -> None:
            async with asyncio.timeout(5):
                await both.wait()

        subscriptions.on(CallEvent, handler)
        subscriptions.publish(CallClosed(call=CallId("1"), reason=EndReason.HUNG_UP))
        subscriptions.publish(CallClosed(call=CallId("2"), reason=EndReason.HUNG_UP))
        await subscriptions.close()
        assert not subscriptions.errors

    run(scenario())


def test_a_stream_ends_after_what_was_told_before_its_end() -> None:
    async def scenario() -> None:
        subscriptions = Subscriptions()
        stream = subscriptions.stream(CallEvent, where=lambda event: event.call == "c")
        subscriptions.publish(LinkReconnected())
        subscriptions.publish(CONNECTED)
        subscriptions.publish(CallClosed(call=CallId("other"), reason=EndReason.MISSED))
        subscriptions.end(stream)
        subscriptions.publish(CLOSED)
        assert [event async for event in stream] == [CONNECTED]
        await subscriptions.close()

    run(scenario())


def test_a_subscriber_who_never_reads_does_not_grow(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        stream: EventStream[Event] = EventStream()
        for _ in range(QUEUE_LIMIT + 10):
            stream.put(CONNECTED)
        stream.close()
        assert len([event async for event in stream]) == QUEUE_LIMIT

    run(scenario())
    assert len(caplog.records) == 1


@pytest.mark.parametrize("wrong", [str, int])
def test_subscribing_to_no_event_is_refused(wrong: type) -> None:
    with pytest.raises(TypeError, match="class of events"):
        Subscriptions().on(wrong, print)


def test_subscribing_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a function"):
        Subscriptions().on(Event, 1)  # type: ignore[arg-type]  # the mistake under test
