"""Confirmations: a ticket is told once the server has what it was given for, and silence is noticed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from qbcall.adapters.xmpp_acks import ASK_BYTES, SM, Acks, Session
from qbcall.adapters.xmpp_settings import XmppSettings

QUICK = XmppSettings(jid="ann@localhost", password="x", answer_timeout=0.05, idle_interval=0.05)
SLOW = XmppSettings(jid="ann@localhost", password="x")
STANZA = "<message to='bob@localhost'/>"


class Wire:
    """What an `Acks` writes and tells."""

    def __init__(self, settings: XmppSettings = SLOW) -> None:
        self.written: list[str] = []
        self.grew = asyncio.Event()
        self.confirmed: list[int] = []
        self.broke: list[str] = []
        self.dead: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.acks = Acks(
            settings,
            write=self.write,
            confirmed=self.confirmed.append,
            broke=lambda reason: self.broke.append(str(reason)),
            dead=lambda reason: self.dead.set_result(str(reason)),
        )

    def write(self, text: str) -> None:
        self.written.append(text)
        self.grew.set()
        self.acks.left(text)

    def send(self, ticket: int | None, text: str = STANZA) -> None:
        self.write(text)
        self.acks.wrote(len(text), ticket)

    def take(self, text: str) -> None:
        self.acks.take(fromstring(text.replace("/>", f" xmlns='{SM}'/>", 1)))

    def enable(self, offer: str = "<enabled id='s1' resume='true'/>") -> None:
        self.acks.enable()
        self.take(offer)
        self.written.clear()

    def questions(self) -> list[str]:
        return [text for text in self.written if text.startswith("<r ") or "urn:xmpp:ping" in text]

    def answers(self) -> list[str]:
        return [text for text in self.written if text.startswith("<a ")]

    async def answered(self) -> None:
        """Until one more answer was written."""
        count = len(self.answers())
        while len(self.answers()) == count:
            self.grew.clear()
            await self.grew.wait()

    def pong(self, question: str, kind: str = "result") -> bool:
        found = re.search("id='([^']*)'", question)
        assert found
        return self.acks.answers(fromstring(f"<iq xmlns='jabber:client' type='{kind}' id='{found[1]}'/>"))


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_burst_is_asked_about_once_and_confirmed_at_once() -> None:
    async def scenario() -> None:
        wire = Wire()
        for ticket in range(1, 6):
            wire.send(ticket)
        assert wire.questions() == []
        await asyncio.sleep(0)
        (ping,) = wire.questions()
        assert wire.written[-1] == ping
        wire.send(6)
        await asyncio.sleep(0)
        assert wire.questions() == [ping], "one at a time"
        assert wire.pong(ping)
        assert wire.confirmed == [5]
        _, second = wire.questions()
        assert wire.pong(second, "error"), "an error is an answer"
        assert wire.confirmed == [5, 6]
        wire.acks.stop()

    run(scenario)


def test_stream_management_asks_and_answers_with_counts() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.enable()
        wire.send(1)
        wire.send(None)
        wire.write("<iq type='result'/>")
        wire.write(" ")
        wire.send(2)
        await asyncio.sleep(0)
        assert wire.questions() == [f"<r xmlns='{SM}'/>"]
        wire.take("<a h='3'/>")
        assert wire.confirmed == [1]
        wire.take("<a h='4'/>")
        assert wire.confirmed == [1, 2]
        for _ in range(3):
            wire.acks.entered()
            wire.take("<r/>")
        assert wire.answers() == [], "one for those that come within a moment"
        await wire.answered()
        assert wire.answers() == [f"<a xmlns='{SM}' h='3'/>"]
        wire.take("<r/>")
        await wire.answered()
        assert wire.answers() == [f"<a xmlns='{SM}' h='3'/>"] * 2
        wire.take("<r/>")
        wire.acks.stop()
        wire.written.clear()
        wire.acks.answer()
        assert wire.answers() == [f"<a xmlns='{SM}' h='3'/>"], "before it logs out"

    run(scenario)


def test_server_without_stream_management_is_answered_nothing() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.take("<r/>")
        wire.acks.answer()
        assert wire.written == []
        wire.acks.stop()

    run(scenario)


def test_much_is_asked_about_before_the_last_answer() -> None:
    """A slow server must be seen to go on."""

    async def scenario() -> None:
        wire = Wire()
        wire.enable()
        big = f"<message>{'x' * ASK_BYTES}</message>"
        for ticket in range(3):
            wire.send(ticket, big)
        assert len(wire.questions()) == 3
        wire.take("<a h='1'/>")
        assert wire.confirmed == [0]
        wire.acks.stop()

    run(scenario)


def test_silence_after_a_question_is_death() -> None:
    async def scenario() -> None:
        wire = Wire(QUICK)
        wire.send(1)
        assert "did not answer within 0.05 s" in await asyncio.wait_for(wire.dead, 5)
        assert wire.confirmed == []
        wire.acks.stop()

    run(scenario)


def test_idle_link_is_asked_now_and_then() -> None:
    async def scenario() -> None:
        wire = Wire(QUICK)
        wire.acks.watch()
        await asyncio.wait_for(wire.dead, 5)
        assert len(wire.questions()) == 1
        wire.acks.stop()

    run(scenario)


def test_process_that_was_held_up_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("qbcall.adapters.xmpp_acks.OVERSLEPT", -1.0)
        wire = Wire(QUICK)
        wire.send(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(wire.dead), 5 * QUICK.answer_timeout)
        wire.acks.stop()

    run(scenario)


@pytest.mark.parametrize(
    "nonsense",
    ["<a/>", "<a h=''/>", "<a h='-1'/>", "<a h='x'/>", f"<a h='{10**30}'/>", "<enabled/>", "<failed/>", "<unheard/>"],
)
def test_nonsense_changes_nothing(nonsense: str) -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.enable()
        wire.send(1)
        wire.take(nonsense)
        assert not wire.confirmed
        wire.take("<a h='1'/>")
        assert wire.confirmed == [1]
        assert not wire.broke
        wire.acks.stop()

    run(scenario)


def test_server_that_has_more_than_was_sent_cannot_be_believed() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.enable()
        wire.send(1)
        wire.take("<a h='2'/>")
        assert wire.broke == ["the server has 2 stanzas of 1"]
        wire.acks.stop()

    run(scenario)


def test_answer_of_a_stranger_is_no_answer() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.send(1)
        await asyncio.sleep(0)
        assert not wire.pong("id='ping-1'")
        (ping,) = wire.questions()
        assert wire.pong(ping, "get"), "no answer, but nobody else's either"
        assert wire.confirmed == []
        wire.acks.stop()

    run(scenario)


def test_refused_stream_management_leaves_pings() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.enable("<failed/>")
        wire.send(7)
        await asyncio.sleep(0)
        (ping,) = wire.questions()
        assert wire.pong(ping)
        assert wire.confirmed == [7]
        assert wire.acks.session("ann@localhost/x") is None
        wire.acks.stop()

    run(scenario)


# -- another connection ----------------------------------------------------------------------------------------------


def broken(wire: Wire) -> Session:
    """A session of which two stanzas came in, and three went out that nobody confirmed."""
    wire.enable()
    for ticket in (5, 6, 7):
        wire.send(ticket)
    for _ in range(2):
        wire.acks.entered()
    wire.acks.stop()
    session = wire.acks.session("ann@localhost/x")
    assert session
    return session


def test_resumed_session_counts_on_and_tells_what_the_server_had() -> None:
    async def scenario() -> None:
        session, wire = broken(Wire()), Wire()
        wire.acks.resume(session)
        assert wire.written == [f"""<resume xmlns='{SM}' previd="s1" h='2'/>"""]
        assert wire.acks.resumed(session, fromstring(f"<resumed xmlns='{SM}' previd='s1' h='2'/>"))
        assert wire.confirmed == [6]
        wire.send(7)
        wire.take("<a h='3'/>")
        assert wire.confirmed == [6, 7]
        wire.acks.entered()
        wire.take("<r/>")
        await wire.answered()
        assert wire.answers() == [f"<a xmlns='{SM}' h='3'/>"]
        wire.acks.stop()
        again = wire.acks.session("ann@localhost/x")
        assert again
        assert (again.id, again.received, again.tickets) == ("s1", 3, ())

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "confirmed"),
    [
        (f"<failed xmlns='{SM}' h='1'/>", [5]),
        (f"<failed xmlns='{SM}'/>", []),
        (f"<resumed xmlns='{SM}' previd='other' h='0'/>", []),
        (f"<resumed xmlns='{SM}' previd='s1'/>", []),
    ],
)
def test_session_that_is_gone_is_not_resumed(answer: str, confirmed: list[int]) -> None:
    async def scenario() -> None:
        session, wire = broken(Wire()), Wire()
        assert not wire.acks.resumed(session, fromstring(answer))
        assert wire.confirmed == confirmed
        assert wire.acks.session("ann@localhost/x") is None
        wire.acks.stop()

    run(scenario)
