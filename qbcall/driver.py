"""The only place that thinks in time: feeds the core, carries out its effects, wakes it when a timer is due."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable

from qbcall.adapters.ports import ChatLink, MediaEngine
from qbcall.core.effects import (
    DialLink,
    Drop,
    DropLink,
    Effect,
    Emit,
    MediaEffect,
    ReleaseCall,
    Transmit,
)
from qbcall.core.engine import Engine
from qbcall.core.events import CallStateChanged, Event, PeerStateChanged
from qbcall.core.inputs import Arrived, Confirmed, Input

PROMPT = (Arrived, Confirmed)
"""Facts that are taken in within the callback that tells them: the way of a signal there and back is short."""

log = logging.getLogger("qbcall.driver")


class Driver:
    """Joins the engine, the chat link and the media. Everything happens on the event loop's thread."""

    def __init__(self, engine: Engine, publish: Callable[[Event], None]) -> None:
        self.engine = engine
        self.ignored: Counter[str] = Counter()
        """Nonsense that arrived, by kind."""
        self._publish = publish
        self._link: ChatLink | None = None
        self._media: MediaEngine | None = None
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Input] = deque()
        self._outbox: deque[Effect] = deque()
        self._performing = False
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled: asyncio.Handle | None = None
        self._rearming: asyncio.Handle | None = None

    def connect(self, link: ChatLink, media: MediaEngine) -> None:
        """Set the outside; both were given `post`."""
        self._link = link
        self._media = media

    def post(self, what: Input) -> None:
        """A fact; taken in as soon as the present one is done. Never raises."""
        self._inbox.append(what)
        if isinstance(what, PROMPT) and not self._performing:
            self._drain()
        elif self._scheduled is None:
            self._scheduled = self._loop.call_soon(self._drain)

    def command(self, what: Input) -> None:
        """A wish of the user, carried out at once.

        Raises:
            UsageError: it cannot be fulfilled; nothing changed.
            LinkDown: it needs the chat link, and there is none.
        """
        self._perform(self.engine.handle(what, self._loop.time()))
        self._rearm()

    def stop(self) -> None:
        """Wake the core no more."""
        for handle in (self._timer, self._scheduled, self._rearming):
            if handle is not None:
                handle.cancel()
        self._inbox.clear()

    def _drain(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        while self._inbox:
            self._step(self._inbox.popleft())
        self._rearm()

    def _step(self, what: Input) -> None:
        if isinstance(what, Arrived):
            log.debug("call %s: %s arrived from %s", what.signal.call, type(what.signal).__name__, what.sender)
        try:
            self._perform(self.engine.handle(what, self._loop.time()))
        except Exception:
            log.exception("a rule of the core broke on %s; please report it", type(what).__name__)

    def _wake(self) -> None:
        self._timer = None
        while self._inbox:  # what happened before the timer counts before it
            self._step(self._inbox.popleft())
        log.debug("timer due")
        try:
            self._perform(self.engine.advance(self._loop.time()))
        except Exception:
            log.exception("a rule of the core broke on a timer; please report it")
        self._rearm()

    def _rearm(self) -> None:
        """See when the core wants to be woken: once for all that happens in one turn of the loop, after it."""
        if self._rearming is None:
            self._rearming = self._loop.call_soon(self._arm)

    def _arm(self) -> None:
        self._rearming = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.engine.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._wake)

    def _perform(self, effects: list[Effect]) -> None:
        self._outbox.extend(effects)
        if self._performing:  # a handler of an event gave a command: its effects come after those before it
            return
        self._performing = True
        try:
            while self._outbox:
                self._carry_out(self._outbox.popleft())
        finally:
            self._performing = False

    def _carry_out(self, effect: Effect) -> None:
        assert self._link is not None, "connect() comes first"
        assert self._media is not None, "connect() comes first"
        match effect:
            case Emit():
                self._log(effect.event)
                self._publish(effect.event)
            case Transmit():
                log.debug("call %s: %s to %s", effect.head.call, type(effect.signal).__name__, effect.to)
                self._link.send(effect.to, effect.head, effect.signal, effect.ticket)
            case DialLink():
                self._link.dial()
            case DropLink():
                self._link.drop()
            case ReleaseCall():
                self._media.release(effect.call)
            case Drop():
                self._note(effect)
            case MediaEffect():
                self._media.perform(effect)

    def _log(self, event: Event) -> None:
        match event:
            case PeerStateChanged():
                log.info("call %s: %s %s -> %s", event.call, event.peer, event.old.name, event.new.name)
            case CallStateChanged():
                log.info("call %s: %s -> %s", event.call, event.old.name, event.new.name)
            case _:
                log.debug("%s", type(event).__name__)

    def _note(self, drop: Drop) -> None:
        self.ignored[drop.why] += 1
        if self.ignored[drop.why] == 1:
            log.info("ignored: %s (from %s; told once)", drop.why, drop.sender or "nobody")
