"""The contacts of the account are told at each login and when they change, and nobody else can change them."""

from __future__ import annotations

import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from xml.etree.ElementTree import fromstring

import pytest

from qbcall import devserver_files
from qbcall.adapters.xmpp import XmppLink, XmppSettings
from qbcall.adapters.xmpp_roster import Roster
from qbcall.core.inputs import Arrived, Contacts, LinkBroke, LinkUp
from qbcall.core.model import User
from qbcall.core.signals import End
from qbcall.devserver import DevServer
from qbcall.dialects.quickblox import QuickBlox
from tests.adapters.inbox import Inbox
from tests.adapters.wire_proxy import WireProxy
from tests.adapters.xmpp_room import ANN, BOB, HEAD, Stranger, flushed, online, run, stranger
from tests.prosody import NEEDS_PROSODY, settings

NOBODY = Contacts(users=frozenset())
ONLY_BOB = Contacts(users=frozenset({BOB}))
END = End(call=HEAD.call)
PUSH = "<query xmlns='jabber:iq:roster'><item jid='eve@localhost' subscription='both'/></query>"


@asynccontextmanager
async def linked(wanted: XmppSettings) -> AsyncIterator[tuple[XmppLink, Inbox]]:
    """A link that has not dialed yet, and everything it tells."""
    inbox = Inbox()
    link = XmppLink(wanted, QuickBlox(User(wanted.jid)), inbox)
    try:
        yield link, inbox
    finally:
        await link.close()


async def befriend(ann: Stranger, bob: Stranger) -> None:
    """Ann may see the presence of Bob."""
    ann.write(f"<presence to='{BOB}' type='subscribe'/>")
    await flushed(ann, bob)
    bob.write(f"<presence to='{ANN}' type='subscribed'/>")
    await flushed(bob, ann)


def remove(ann: Stranger, user: User) -> None:
    item = f"<item jid='{user}' subscription='remove'/>"
    ann.write(f"<iq type='set' id='rm'><query xmlns='jabber:iq:roster'>{item}</query></iq>")


@NEEDS_PROSODY
def test_contacts_are_told_before_the_link_is_up_and_when_they_change() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            stranger(settings(server)) as desk,
            stranger(settings(server, "bob")) as bob,
            linked(settings(server)) as (ann, told),
        ):
            ann.dial()
            assert await told.next(Contacts) == NOBODY
            await told.next(LinkUp)
            await befriend(desk, bob)
            assert await told.next(Contacts) == ONLY_BOB
            ann.dial()
            assert await told.next(Contacts) == ONLY_BOB
            await told.next(LinkUp)
            remove(desk, BOB)
            assert await told.next(Contacts) == NOBODY
            await flushed(ann)
            assert told.unread == []

    run(scenario)


@NEEDS_PROSODY
def test_request_that_is_not_granted_makes_no_contact() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            stranger(settings(server)) as desk,
            linked(settings(server)) as (ann, told),
        ):
            ann.dial()
            await told.next(Contacts)
            await told.next(LinkUp)
            desk.write(f"<presence to='{BOB}' type='subscribe'/>")
            await flushed(desk, ann)
            assert told.unread == []

    run(scenario)


@NEEDS_PROSODY
def test_contacts_are_told_anew_after_a_resumption() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            WireProxy(server.port) as proxy,
            stranger(settings(server)) as desk,
            stranger(settings(server, "bob")) as bob,
            linked(settings(server, port=proxy.port)) as (ann, told),
        ):
            ann.dial()
            await told.next(Contacts)
            await told.next(LinkUp)
            proxy.cut()
            await told.next(LinkBroke)
            await befriend(desk, bob)
            ann.dial()
            assert (await told.next(LinkUp)).resumed
            assert await told.next(Contacts) == ONLY_BOB

    run(scenario)


@NEEDS_PROSODY
def test_push_of_a_peer_changes_nothing() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, _, _),
            stranger(settings(server, "bob")) as eve,
            stranger(settings(server)) as desk,
            linked(settings(server)) as (ann, told),
        ):
            ann.dial()
            assert await told.next(Contacts) == NOBODY
            device = (await told.next(LinkUp)).device
            for forger in (eve, desk):
                forger.write(f"<iq to='{device}' type='set' id='forged'>{PUSH}</iq>")
                await flushed(forger, ann, forger)
                (answer,) = [xml for xml in forger.seen if xml.get("id") == "forged"]
                assert answer.get("type") == "error"
            bob.send(ANN, HEAD, END)
            await told.next(Arrived)
            assert told.unread == []

    run(scenario)


@NEEDS_PROSODY
def test_server_without_rosters_has_no_contacts(monkeypatch: pytest.MonkeyPatch) -> None:
    template = devserver_files.CONFIG.template.replace('"roster", ', "").replace(
        'modules_disabled = { "s2s"', 'modules_disabled = { "s2s", "roster"'
    )
    monkeypatch.setattr(devserver_files, "CONFIG", string.Template(template))

    async def scenario() -> None:
        async with DevServer() as server, linked(settings(server)) as (ann, told):
            ann.dial()
            assert await told.next(Contacts) == NOBODY
            await told.next(LinkUp)
            assert told.unread == []

    run(scenario)


# -- what a server may say -------------------------------------------------------------------------------------------


class Wire:
    """A `Roster` that has asked, and what it writes and tells."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.told: list[set[str]] = []
        self.roster = Roster(write=self.written.append, tell=lambda users: self.told.append(set(users)))
        self.roster.ask(ANN)
        self.question = fromstring(self.written.pop()).get("id", "")

    def hear(self, items: str, kind: str = "set", name: str = "p1", sender: str = "") -> bool:
        origin = f"from='{sender}'" if sender else ""
        query = f"<query xmlns='jabber:iq:roster'>{items}</query>"
        return self.roster.takes(
            fromstring(f"<iq xmlns='jabber:client' type='{kind}' id='{name}' {origin}>{query}</iq>")
        )

    def answer(self, items: str, kind: str = "result") -> bool:
        return self.hear(items, kind, self.question)


def item(jid: str, subscription: str) -> str:
    return f"<item jid='{jid}' subscription='{subscription}'/>"


@pytest.mark.parametrize(
    ("items", "users"),
    [
        ("", set()),
        (item("a@x", "both") + item("b@x", "from") + item("c@x", "to"), {"a@x", "b@x", "c@x"}),
        (item("a@x", "none") + item("b@x", "remove") + item("c@x", "unheard") + "<item jid='d@x'/>", set()),
        (item("A@X", "both"), {"a@x"}),
        (item("gateway.x", "both") + item("a@x/desk", "both") + item("", "both") + item("a b@x", "both"), set()),
        ("<item subscription='both'/><unheard/>", set()),
    ],
)
def test_subscribed_users_of_the_answer_are_contacts(items: str, users: set[str]) -> None:
    wire = Wire()
    assert wire.answer(items)
    assert wire.told == [users]
    assert wire.written == []


def test_error_is_an_empty_answer_and_a_second_answer_is_none() -> None:
    wire = Wire()
    assert wire.answer(item("a@x", "both").replace("item", "error"), "error")
    assert wire.answer(item("a@x", "both")), "not slixmpp's either"
    assert wire.told == [set()]


def test_push_is_answered_and_changes_what_it_names() -> None:
    wire = Wire()
    wire.answer(item("a@x", "both"))
    for change, name in ((item("b@x", "to"), "p1"), (item("a@x", "remove"), "&quot;&lt;"), (item("b@x", "to"), "p3")):
        assert wire.hear(change, name=name, sender=ANN)
    assert wire.told == [{"a@x"}, {"a@x", "b@x"}, {"b@x"}], "the last changed nothing"
    assert [fromstring(text).get("id") for text in wire.written] == ["p1", '"<', "p3"]
    assert {fromstring(text).get("type") for text in wire.written} == {"result"}


def test_push_before_the_answer_is_in_the_answer() -> None:
    wire = Wire()
    assert wire.hear(item("b@x", "both"))
    assert wire.told == []
    wire.answer(item("a@x", "both"))
    assert wire.told == [{"a@x"}]


@pytest.mark.parametrize("sender", [BOB, f"{ANN}/desk", "localhost", "annother@localhost"])
def test_push_of_anybody_else_is_not_taken(sender: str) -> None:
    wire = Wire()
    wire.answer("")
    assert not wire.hear(item("b@x", "both"), sender=sender)
    assert not wire.hear(item("b@x", "both"), kind="get")
    assert not wire.hear(item("b@x", "both"), kind="result")
    assert wire.told == [set()]
    assert wire.written == []
