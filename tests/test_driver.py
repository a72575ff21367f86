"""What happens first counts first, however soon it is taken in."""

from __future__ import annotations

import asyncio

from qbcall.core import events as ev
from qbcall.core.effects import Effect, Emit, MediaEffect
from qbcall.core.engine import Engine
from qbcall.core.inputs import Arrived, Confirmed, Contacts, Input
from qbcall.core.model import CallHead, CallId, Device, User
from qbcall.core.policy import Policy
from qbcall.core.signals import End, Signal
from qbcall.driver import Driver

ARRIVED = Arrived(sender=User("b"), device=Device("b/1"), signal=End(call=CallId("1")))
CONTACTS = Contacts(users=frozenset())
CONFIRMED = Confirmed(ticket=1)


class Nobody:
    """A link and media to which nothing is said."""

    def dial(self) -> None:
        raise AssertionError

    drop = dial

    def send(self, to: User, head: CallHead, signal: Signal, ticket: int | None = None) -> None:
        raise AssertionError

    def perform(self, effect: MediaEffect) -> None:
        raise AssertionError

    def release(self, call: CallId) -> None:
        raise AssertionError

    async def close(self) -> None:
        """Nothing to do."""


class Noting(Engine):
    """Tells of each input, and notes the order."""

    def __init__(self) -> None:
        super().__init__(User("a"), Policy(), leads=lambda one, other: one > other)
        self.taken: list[Input] = []

    def handle(self, what: Input, now: float) -> list[Effect]:
        self.taken.append(what)
        return [Emit(ev.LinkReconnecting(reason=""))]


def test_what_arrives_is_taken_in_at_once_but_after_what_was_before_it() -> None:
    async def scenario() -> None:
        engine = Noting()
        driver = Driver(engine, lambda event: None)
        driver.connect(Nobody(), Nobody())
        driver.post(CONTACTS)
        assert engine.taken == []
        driver.post(ARRIVED)
        assert engine.taken == [CONTACTS, ARRIVED]
        await asyncio.sleep(0)
        assert engine.taken == [CONTACTS, ARRIVED], "once"
        driver.stop()

    asyncio.run(scenario())


def test_what_arrives_while_something_is_told_waits_for_its_turn() -> None:
    async def scenario() -> None:
        engine = Noting()
        seen: list[int] = []

        def publish(_: ev.Event) -> None:
            seen.append(len(engine.taken))
            if len(seen) == 1:
                driver.post(CONFIRMED)
                assert engine.taken == [ARRIVED]

        driver = Driver(engine, publish)
        driver.connect(Nobody(), Nobody())
        driver.post(ARRIVED)
        await asyncio.sleep(0)
        assert engine.taken == [ARRIVED, CONFIRMED]
        assert seen == [1, 2]
        driver.stop()

    asyncio.run(scenario())
