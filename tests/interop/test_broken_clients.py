"""Nothing that a broken or hostile client sends ends a running call of qbcall, or raises.

The call is between two clients of qbcall. Nonsense comes from a stranger, from a second device of each of the two,
and, most dangerous, over the connections of the two devices that take part. `NONSENSE_SEED` makes the nonsense
of an earlier run again.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Any, Self
from xml.etree.ElementTree import Element

import pytest
from slixmpp.xmlstream import tostring

from qbcall import (
    CallState,
    Config,
    EndReason,
    IncomingCall,
    InvalidState,
    PeerEvent,
    PeerHungUp,
    PeerReconnected,
    PeerReconnecting,
    PeerRejected,
)
from qbcall.adapters.xmpp_stream import XmppStream
from qbcall.core.signals import Decline, End, RestartOffer, Signal
from qbcall.devserver import DevServer
from qbcall.dialects.quickblox import QuickBlox
from qbcall.dialects.xml import CLIENT
from qbcall.errors import Malformed
from tests.adapters.xmpp_room import Stranger, flushed, stranger
from tests.interop.broken_stanzas import RECORDED, RESTARTS, nonsense
from tests.interop.js_user import PATIENCE, local_part
from tests.interop.py_user import PyUser
from tests.interop.py_user import settings as of_py
from tests.interop.telling_link import TellingLink
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = NEEDS_PROSODY

SEED = os.environ.get("NONSENSE_SEED") or secrets.token_hex(4)
CALLER, CALLEE, STRANGER, FRIEND = 1001, 1002, 1003, 1004
MOST = 200_000
"""Bytes of a stanza; servers let not many more through."""
IGNORED = {"an error", "not a headline", "delayed", "not a signal"}
"""Reasons for which nonsense is ignored; a run in which chance brings none of one is not to be expected."""
BROKEN = 400
"""Broken stanzas, besides the recorded ones."""
BROKEN_RESTARTS = 40
ANSWERED = 0.05
"""Share of the calls which ring because of nonsense that are accepted; the others are rejected."""
SMALL = {"source": "test:size=160x120,fps=10"}


@dataclass(frozen=True)
class Source:
    """A device that sends nonsense."""

    stream: XmppStream
    targets: tuple[str, ...]
    inside: bool
    """Whether it takes part in the call: then its hang-ups and rejects are excepted."""


class Running:
    """A call between two clients of qbcall that see and hear each other, and those who mean ill."""

    def __init__(self, server: DevServer, policy: dict[str, object]) -> None:
        self.server = server
        self.rng = Random(SEED)
        self.sources: list[Source] = []
        self._policy = policy
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.caller, self.callee = await self.py(CALLER), await self.py(CALLEE)
        self.call = await self.caller.call([CALLEE])
        self.answered = await self.callee.ringing(CALLER)
        await self.callee.accept(self.answered)
        await self.goes_on()
        for py in (self.caller, self.callee):
            py.client.on(IncomingCall)(self._answer)
        await self._open_sources()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def py(self, user: int) -> PyUser:
        """One more user of qbcall."""
        one = PyUser(user, Config.of(**of_py(self.server, user, {"media": SMALL, "call": self._policy})))
        await self._stack.enter_async_context(one.client)
        return one

    async def goes_on(self) -> None:
        """See that each sees and hears more of the other."""
        one, other = self.caller, self.callee
        await asyncio.gather(
            one.receives(CALLEE, more=one.found(CALLEE)), other.receives(CALLER, more=other.found(CALLER))
        )
        assert (self.call.state, self.answered.state) == (CallState.CONNECTED, CallState.CONNECTED)

    async def comes_back(self) -> None:
        """See that both go on, once what made the connection anew is over."""
        await self.goes_on()
        for py in (self.caller, self.callee):
            while len(self.told(py, PeerReconnected)) < len(self.told(py, PeerReconnecting)):
                await py.expect(PeerReconnected)
        await self.goes_on()

    async def flood(self, stanzas: Iterable[tuple[Source, Element]]) -> int:
        """Send stanzas, each to one of those who take part; how many were sent is given back."""
        sent = 0
        for source, message in stanzas:
            to = self.rng.choice(source.targets)
            message.set("to", to)
            text = tostring(message, xmlns=CLIENT)
            if len(text) > MOST:
                continue
            source.stream.write(text)
            sent += 1
            if sent % 20 == 0:
                await flushed(source.stream)
        await flushed(*(source.stream for source in self.sources), *(inside(py) for py in (self.caller, self.callee)))
        return sent

    def harmless(self, source: Source, message: Element, *but: type[Signal]) -> bool:
        """Whether a stanza must not do anything to the call; what ends it legally, must."""
        if not source.inside:
            return True
        try:
            signal = QuickBlox(self.caller.client.user).decode(message)
        except Malformed:
            return True
        return not (isinstance(signal, but) and signal.call == self.call.id)

    def told(self, py: PyUser, *kinds: type[PeerEvent]) -> list[PeerEvent]:
        """What a user was told of the running call; calls that nonsense made ring too, and are rejected."""
        return [event for kind in kinds for event in py.told(kind) if event.call == self.call.id]

    async def hang_up_others(self) -> None:
        """End all calls that nonsense made."""
        for py in (self.caller, self.callee):
            for call in tuple(py.client.calls.values()):
                if call.id != self.call.id and call.end_reason is None:
                    await call.hang_up()
                    await call.ended()

    async def _open_sources(self) -> None:
        both = self.caller.client, self.callee.client
        callers, callees = [(str(client.user), client.device) for client in both]
        ends: dict[int, tuple[str, ...]] = {CALLER: callees, CALLEE: callers, STRANGER: callers + callees}
        for user, some in ends.items():
            wire = settings(self.server, local_part(user))
            self.sources.append(Source(await self._stack.enter_async_context(stranger(wire)), some, inside=False))
        for py in (self.caller, self.callee):
            self.sources.append(Source(inside(py), ends[py.user], inside=True))

    async def _answer(self, event: IncomingCall) -> None:
        for py in (self.caller, self.callee):
            call = py.client.calls.get(event.call)
            if call is None or call.caller == py.jid(FRIEND):
                continue
            with suppress(InvalidState):  # it ended meanwhile
                await (call.accept() if self.rng.random() < ANSWERED else call.reject())


def inside(py: PyUser) -> XmppStream:
    """The connection of a client, to write what it never would."""
    assert isinstance(py.client.link, TellingLink)
    stream = py.client.link.link._stream
    assert stream is not None, "online"
    return stream


def ignored(py: PyUser) -> Counter[str]:
    """What a client ignored, by the reason."""
    assert isinstance(py.client.link, TellingLink)
    return py.client.link.link.ignored + Counter(py.client.ignored)


def answers(running: Running) -> list[str]:
    """Errors with which clients of qbcall answered; those that name no device are the server's."""
    devices = {running.caller.client.device, running.callee.client.device}
    seen = [xml for source in running.sources if isinstance(source.stream, Stranger) for xml in source.stream.seen]
    return [tostring(xml) for xml in seen if xml.get("type") == "error" and xml.get("from") in devices]


def play(
    scenario: Callable[[Running], Coroutine[Any, Any, None]],
    caplog: pytest.LogCaptureFixture,
    policy: dict[str, object],
) -> None:
    """Run a scenario in a running call; afterwards no exception was logged, and no error was sent."""

    async def whole() -> None:
        accounts = [local_part(user) for user in (CALLER, CALLEE, STRANGER, FRIEND)]
        async with (
            asyncio.timeout(2 * PATIENCE),
            DevServer(accounts=accounts) as server,
            Running(server, policy) as running,
        ):
            await scenario(running)
            assert answers(running) == []

    with caplog.at_level(logging.WARNING):
        try:
            asyncio.run(whole())
        except AssertionError as error:
            raise AssertionError(f"NONSENSE_SEED={SEED}") from error
        gc.collect()  # asyncio tells then of exceptions that nobody asked for
    assert [r.getMessage() for r in caplog.records if r.exc_info or r.levelno >= logging.ERROR] == [], SEED


def test_nonsense_does_not_end_a_running_call(caplog: pytest.LogCaptureFixture) -> None:
    """QB-049."""

    async def scenario(running: Running) -> None:
        stanzas = (
            (source, message)
            for message in nonsense(running.call.head, running.rng, BROKEN)
            for source in running.rng.sample(running.sources, 2)
            if running.harmless(source, message, End, Decline, RestartOffer)
        )
        sent = await running.flood(stanzas)
        await running.hang_up_others()
        await running.goes_on()
        for py in (running.caller, running.callee):
            assert running.told(py, PeerReconnecting, PeerHungUp, PeerRejected) == []
            assert set(ignored(py)) >= IGNORED
        friend = await running.py(FRIEND)
        for user in (CALLER, CALLEE):
            call = await friend.call([user], video=False)
            await (running.caller if user == CALLER else running.callee).ringing(FRIEND)
            await call.hang_up()
        assert sent > len(RECORDED) + BROKEN

    play(scenario, caplog, {"stall_timeout": 30})


def test_nonsense_about_a_lost_connection_does_not_end_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """QB-118: fresh offers of a device that takes part are obeyed, and the media comes back, whatever they hold."""

    async def scenario(running: Running) -> None:
        stanzas = (
            (source, message)
            for message in nonsense(running.call.head, running.rng, BROKEN_RESTARTS, RESTARTS)
            for source in running.sources
            if source.inside and running.harmless(source, message, End, Decline)
        )
        assert await running.flood(stanzas) > BROKEN_RESTARTS
        for py in (running.caller, running.callee):
            await py.expect(PeerReconnecting)
            assert running.told(py, PeerHungUp, PeerRejected) == []
        await running.comes_back()

    play(scenario, caplog, {"stall_timeout": 1, "restart_interval": 1})


@pytest.mark.parametrize(
    ("signal", "reason"), [(End, EndReason.REMOTE_HUNG_UP), (Decline, EndReason.REJECTED)], ids=["hang-up", "reject"]
)
def test_device_that_takes_part_ends_the_call(
    caplog: pytest.LogCaptureFixture, signal: type[End | Decline], reason: EndReason
) -> None:
    """What is excepted above: otherwise these tests could not fail."""

    async def scenario(running: Running) -> None:
        assert running.callee.client.link is not None
        running.callee.client.link.send(running.caller.client.user, running.call.head, signal(call=running.call.id))
        async with asyncio.timeout(PATIENCE):
            assert await running.call.ended() is reason

    play(scenario, caplog, {"stall_timeout": 30})
