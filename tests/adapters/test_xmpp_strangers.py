"""What others send: signals arrive, requests are answered; all else is counted, and answered by nothing."""

from __future__ import annotations

import logging
from xml.etree.ElementTree import tostring

import pytest

from qbcall.core.inputs import Arrived
from qbcall.core.model import Device
from qbcall.core.signals import End
from qbcall.devserver import DevServer
from tests.adapters.xmpp_room import ANN, BOB, HEAD, flushed, online, run, stranger
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = NEEDS_PROSODY

END = End(call=HEAD.call)
SIGNAL = (
    "<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>hangUp</signalType>"
    "<sessionID>one</sessionID></extraParams>"
)


def hostile(to: Device) -> dict[str, list[str]]:
    """Stanzas of a stranger, by what they are counted as; none may be answered."""
    head = f"<message to='{to}' type='headline'>"
    field = "<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier>"
    return {
        "an error": [
            f"<message to='{to}' type='error'><error type='cancel'><gone/></error>{SIGNAL}</message>",
            f"<message to='{to}' type='error'>{SIGNAL}</message>",
        ],
        "not a headline": [
            f"<message to='{to}' type='chat'><body>hello</body>{SIGNAL}</message>",
            f"<message to='{to}'>{SIGNAL}</message>",
            f"<message to='{to}' type='chat'><request xmlns='urn:xmpp:receipts'/><body>seen?</body></message>",
        ],
        "delayed": [f"{head}{SIGNAL}<delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/></message>"],
        "not a signal": [
            f"{head}</message>",
            f"{head}<body>hello</body></message>",
            f"{head}<extraParams/></message>",
            f"{head}{field}<signalType>unheard</signalType></extraParams></message>",
            f"{head}{'<a>' * 200}{'</a>' * 200}</message>",
        ],
        "malformed sessionID": [f"{head}{field}<signalType>call</signalType></extraParams></message>"],
        "malformed callType": [
            f"{head}{field}<signalType>call</signalType><sessionID>1</sessionID></extraParams></message>"
        ]
        * 3,
    }


def test_hostile_stanzas_are_answered_by_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, heard, device),
            stranger(settings(server)) as ann,
        ):
            await flushed(ann)
            ann.seen.clear()
            stanzas = hostile(device)
            for text in [text for texts in stanzas.values() for text in texts]:
                ann.write(text)
            for kind in ("subscribe", "error"):
                ann.write(f"<presence to='{BOB}' type='{kind}'/>")
            ann.write(f"<presence to='{device}'><show>nonsense</show><priority>x</priority></presence>")
            await flushed(ann, bob, ann)
            of_the_server = {"result", "unavailable"}
            """The answers to pings, and that of Prosody to a request for a subscription."""
            assert [tostring(xml) for xml in ann.seen if xml.get("type") not in of_the_server] == []
            assert bob.ignored == {kind: len(texts) for kind, texts in stanzas.items()}
            ann.write(f"<message to='{BOB}' type='headline'>{SIGNAL}</message>")
            assert (await heard.next(Arrived)).signal == END

    with caplog.at_level(logging.INFO, "qbcall"):
        run(scenario)
    told = [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()]
    assert len(told) == len({*told}) == 6, "each kind is told once"


def test_what_another_device_of_the_account_sends_is_told_and_the_other_way_round() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server)) as (ann, told, device),
            stranger(settings(server)) as other,
        ):
            other.write(f"<message to='{device}' type='headline'>{SIGNAL}</message>")
            arrived = await told.next(Arrived)
            assert (arrived.sender, arrived.signal) == (ANN, END)
            assert arrived.device != device
            async with online(settings(server)) as (_, also_told, _):
                await flushed(ann)
                ann.send(ANN, HEAD, END)
                assert (await also_told.next(Arrived)).device == device
            await flushed(ann)
            assert told.unread == []

    run(scenario)


INFO = "http://jabber.org/protocol/disco#info"


@pytest.mark.parametrize(
    ("kind", "query", "answer"),
    [
        ("get", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        ("get", f"<query xmlns='{INFO}'/>", "result"),
        ("get", f"<query xmlns='{INFO}' node='unheard'/>", "item-not-found"),
        ("get", "<query xmlns='jabber:iq:version'/>", "feature-not-implemented"),
        ("set", "<query xmlns='jabber:iq:roster'><item jid='x@y'/></query>", "feature-not-implemented"),
        ("set", "<unheard xmlns='of'/>", "feature-not-implemented"),
    ],
)
def test_request_of_a_peer_is_answered_once(
    kind: str, query: str, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 6120, section 8.2.3: a request is answered, at least with an error."""

    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, _, device),
            stranger(settings(server)) as ann,
        ):
            ann.seen.clear()
            for wanted in (kind, "result", "error"):
                ann.write(f"<iq to='{device}' type='{wanted}' id='p-{wanted}'>{query}</iq>")
            await flushed(ann, bob, ann)
            (only,) = [xml for xml in ann.seen if xml.get("id", "").startswith("p-")]
            assert only.get("id") == f"p-{kind}"
            assert only.get("from") == device
            assert answer in (only.get("type"), *(element.tag.rpartition("}")[2] for element in only.iter()))

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert not caplog.records


def test_disco_tells_what_is_understood_and_no_more() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, _, device),
            stranger(settings(server)) as ann,
        ):
            ann.write(f"<iq to='{device}' type='get' id='p1'><query xmlns='{INFO}'/></iq>")
            await flushed(ann, bob, ann)
            (answer,) = [xml for xml in ann.seen if xml.get("id") == "p1"]
            assert {found.get("var") for found in answer.iter(f"{{{INFO}}}feature")} == {INFO, "urn:xmpp:ping"}

    run(scenario)


def test_dialect_that_breaks_does_not_break_the_link(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, heard, _),
            online(settings(server)) as (ann, _, _),
        ):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("qbcall.dialects.quickblox.QuickBlox.decode", lambda *_: 1 / 0)
                ann.send(BOB, HEAD, END)
                await flushed(ann, bob)
            assert bob.ignored == {"broken": 1}
            ann.send(BOB, HEAD, END)
            assert (await heard.next(Arrived)).signal == END

    run(scenario)
    assert "a message cannot be read" in caplog.text
