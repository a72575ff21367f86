"""Who hears which events, three ways: a handler, an iterator, or waiting for one.

Subscribing to a class also gives its subclasses. A synchronous handler runs at once, on the event loop's thread, in
the order of subscription. An asynchronous one has a queue and a task for each call, so that a slow handler holds up
nobody else: the events of one call reach it one after the other, those of two calls side by side. An exception in a
handler is logged; the other handlers still hear the event; the client raises it when it is left.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from qbcall.core.events import CallClosed, CallEvent, Event

log = logging.getLogger("qbcall.subscriptions")

E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)
Handler = Callable[[E], Awaitable[None] | None]

QUEUE_LIMIT = 4096
"""Events that wait for one slow subscriber; older ones are dropped, with a warning."""


HANDLER_PATIENCE = 5.0
"""Seconds that handlers get to finish when the client is left."""


class EventStream(AsyncIterator[E_co], Generic[E_co]):
    """Events as an asynchronous iterator; ends when it is closed and everything before that was read."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=QUEUE_LIMIT)
        self._closed = False
        self._wakeup = asyncio.Event()
        self._warned = False

    def put(self, event: Event) -> None:
        """Add an event at the end."""
        if len(self._events) == QUEUE_LIMIT and not self._warned:
            self._warned = True
            log.warning("a subscriber is %d events late: the oldest are dropped", QUEUE_LIMIT)
        self._events.append(event)
        self._wakeup.set()

    def close(self) -> None:
        """Nothing comes any more."""
        self._closed = True
        self._wakeup.set()

    def __aiter__(self) -> EventStream[E_co]:
        return self

    async def __anext__(self) -> E_co:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._wakeup.clear()
            await self._wakeup.wait()
        return self._events.popleft()  # type: ignore[return-value]  # only events of the class are put


class Subscriptions:
    """All subscribers of one client."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        """What handlers raised, at most the first 100."""
        self._subscribers: list[tuple[type[Event], Callable[[Event], None], object]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[EventStream[Any]] = set()
        self._lanes: dict[tuple[int, str], EventStream[Event]] = {}

    def on(self, event_class: type[E], handler: Handler[E], *, where: Callable[[E], bool] | None = None) -> None:
        """Call the handler with each event of the class for which `where` holds.

        Raises:
            TypeError: `event_class` is no class of events, or the handler cannot be called.
        """
        if not issubclass(event_class, Event):
            raise TypeError(f"event_class must be a class of events from qbcall, not {event_class!r}")
        if not callable(handler):
            raise TypeError(f"the handler must be a function, not {handler!r}")
        queued = inspect.iscoroutinefunction(handler)
        call = partial(self._enqueue, handler) if queued else partial(self._call, handler)

        def tell(event: Event) -> None:
            if where is None or where(event):  # type: ignore[arg-type]  # publish() checked the class
                call(event)

        self._subscribers.append((event_class, tell, handler))

    def off(self, handler: object) -> None:
        """Call this handler no more; one that was never subscribed is no error."""
        self._subscribers = [entry for entry in self._subscribers if entry[2] != handler]

    def publish(self, event: Event) -> None:
        """Tell everybody."""
        for event_class, tell, _ in tuple(self._subscribers):
            if isinstance(event, event_class):
                tell(event)
        if isinstance(event, CallClosed):
            for key in [key for key in self._lanes if key[1] == event.call]:
                self._lanes.pop(key).close()

    def stream(self, event_class: type[E], *, where: Callable[[E], bool] | None = None) -> EventStream[E]:
        """The events from now on, of the class and for which `where` holds, until it is given to `end`."""
        stream: EventStream[E] = EventStream()

        def tell(event: Event) -> None:
            if where is None or where(event):  # type: ignore[arg-type]  # publish() checked the class
                stream.put(event)

        self._streams.add(stream)
        self._subscribers.append((event_class, tell, stream))
        return stream

    def end(self, stream: EventStream[Any]) -> None:
        """Close a stream: what is in it can still be read."""
        self.off(stream)
        self._streams.discard(stream)
        stream.close()

    async def close(self) -> None:
        """End all streams, and let the handlers finish the event they are at; nothing new is told."""
        self._subscribers.clear()
        for stream in (*self._streams, *self._lanes.values()):
            stream.close()
        self._streams.clear()
        self._lanes.clear()
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=HANDLER_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _enqueue(self, handler: Callable[[Any], Any], event: Event) -> None:
        key = (id(handler), event.call if isinstance(event, CallEvent) else "")
        if key not in self._lanes:
            self._lanes[key] = EventStream()
            self._spawn(self._serve(self._lanes[key], handler))
        self._lanes[key].put(event)

    async def _serve(self, lane: EventStream[Event], handler: Callable[[Any], Any]) -> None:
        async for event in lane:
            await self._finish(handler, event, handler(event))

    def _call(self, handler: Callable[[Any], Any], event: Event) -> None:
        try:
            result = handler(event)
        except Exception as error:
            self._note(handler, event, error)
        else:
            if inspect.isawaitable(result):
                self._spawn(self._finish(handler, event, result))

    async def _finish(self, handler: object, event: Event, work: Awaitable[object]) -> None:
        try:
            await work
        except Exception as error:
            self._note(handler, event, error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, handler: object, event: Event, error: Exception) -> None:
        log.error("the handler %r raised on %s", handler, type(event).__name__, exc_info=error)
        if len(self.errors) < 100:
            self.errors.append(error)
