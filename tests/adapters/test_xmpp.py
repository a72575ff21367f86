"""The chat link over a real server: signals arrive as they were sent, and whatever else happens is told once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal as signals
import sys
from dataclasses import replace
from xml.etree.ElementTree import tostring

import pytest

from qbcall.adapters import xmpp_stream
from qbcall.adapters.ports import ChatLink
from qbcall.adapters.xmpp import XmppLink
from qbcall.adapters.xmpp_stream import XmppStream
from qbcall.core.inputs import Arrived, LinkBroke, LinkUp
from qbcall.core.model import Candidate, Description, Device
from qbcall.core.signals import (
    Accept,
    Candidates,
    Decline,
    End,
    Invite,
    RestartAnswer,
    RestartOffer,
    Signal,
    Update,
)
from qbcall.devserver import DevServer
from qbcall.errors import LinkDown
from tests.adapters.xmpp_room import ANN, BOB, HEAD, linked, online, run, stranger
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = NEEDS_PROSODY

ODD = {
    "empty": "",
    "spaces": "  a  b ",
    "marks": "<&>\"']]>",
    "lines": "one\n\ttwo\n",
    "ö": "日本語 🎉",
    "sdp": "key named like a field",
}
SDP = Description("v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=x:<&>\"'\n")
CALL = HEAD.call
END = End(call=CALL)
SIGNALS: list[Signal] = [
    Invite(head=HEAD, offer=SDP, info=ODD),
    Accept(call=CALL, answer=SDP, info=ODD),
    Decline(call=CALL, info=ODD),
    End(call=CALL, info=ODD),
    Candidates(call=CALL, candidates=(Candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", "0", 0),)),
    Update(call=CALL, info=ODD),
    RestartOffer(call=CALL, offer_id="1", offer=SDP),
    RestartAnswer(call=CALL, offer_id="1", answer=SDP),
    Invite(head=HEAD, offer=Description("v=0\n" + "a=x\n" * 16_000)),
]

SIGNAL = (
    "<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>hangUp</signalType>"
    "<sessionID>one</sessionID></extraParams>"
)


async def flushed(*links: XmppLink | XmppStream) -> None:
    """Everything that was written before has arrived: the server works in order."""
    for link in links:
        await link.round_trip()


def test_signals_of_every_kind_arrive_as_they_were_sent_and_in_order() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            async with (
                online(settings(server)) as (ann, told, device),
                online(settings(server, "bob")) as (_, bob, _),
            ):
                link: ChatLink = ann
                for signal in SIGNALS:
                    link.send(BOB, HEAD, signal)
                for signal in SIGNALS:
                    assert await bob.next(Arrived) == Arrived(sender=ANN, device=device, signal=signal)
            assert told.unread == bob.unread == []

    run(scenario)


def test_two_devices_of_a_user_both_get_it() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server)) as (ann, _, _),
            online(settings(server, "bob")) as (_, phone, first),
            online(settings(server, "bob")) as (_, desk, second),
        ):
            assert first != second
            ann.send(BOB, HEAD, END)
            assert (await phone.next(Arrived)).signal == (await desk.next(Arrived)).signal == END

    run(scenario)


def test_to_a_user_who_is_offline_is_silence_even_later() -> None:
    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (ann, told, _):
            ann.send(BOB, HEAD, END)
            await flushed(ann)
            async with online(settings(server, "bob")) as (bob, heard, _):
                await flushed(bob)
                assert heard.unread == told.unread == []

    run(scenario)


def test_signal_that_cannot_be_written_is_logged_and_the_link_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server)) as (ann, _, _),
            online(settings(server, "bob")) as (_, bob, _),
        ):
            ann.send(BOB, HEAD, Candidates(call=CALL, candidates=()))
            ann.send(BOB, HEAD, End(call=CALL, info={"no name": "x"}))
            ann.send(BOB, replace(HEAD, callees=()), END)
            ann.send(BOB, HEAD, END)
            assert (await bob.next(Arrived)).signal == END

    with caplog.at_level(logging.ERROR, "qbcall"):
        run(scenario)
    assert len(caplog.records) == 3


def test_sent_while_offline_is_lost_silently() -> None:
    async def scenario() -> None:
        async with DevServer() as server, linked(settings(server)) as (ann, told):
            ann.send(BOB, HEAD, END)
            with pytest.raises(LinkDown):
                await ann.round_trip()
            ann.drop()
            await ann.close()
            assert told.posted == []

    run(scenario)


# -- losing the link -------------------------------------------------------------------------------------------------


def test_server_killed_is_told_once_and_dialing_again_is_the_same_device() -> None:
    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (ann, told, device):
            await server.kill()
            broke = await told.next(LinkBroke)
            assert isinstance(broke.reason, LinkDown)
            assert not broke.fatal
            ann.send(BOB, HEAD, END)
            ann.dial()
            assert not (await told.next(LinkBroke)).fatal, "nobody listens"
            await server.restart()
            ann.dial()
            assert (await told.next(LinkUp)).device == device
            await ann.round_trip()
            assert told.unread == []

    run(scenario)


def test_server_that_shuts_down_is_told_once() -> None:
    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (_, told, _):
            assert server.pid is not None
            os.kill(server.pid, signals.SIGTERM)
            broke = await told.next(LinkBroke)
            assert isinstance(broke.reason, LinkDown)
            assert not broke.fatal
        assert told.unread == []

    run(scenario)


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process with a signal")
def test_server_that_stops_answering_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmpp_stream, "PING_INTERVAL", 0.05)
    monkeypatch.setattr(xmpp_stream, "PING_TIMEOUT", 1.0)
    monkeypatch.setattr(xmpp_stream, "LEAVE_TIMEOUT", 0.1)

    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (_, told, _):
            assert server.pid is not None
            os.kill(server.pid, signals.SIGSTOP)
            try:
                broke = await told.next(LinkBroke)
            finally:
                os.kill(server.pid, signals.SIGCONT)
            assert isinstance(broke.reason, LinkDown)
            assert not broke.fatal
            assert "did not answer" in str(broke.reason)

    run(scenario)


def test_link_that_is_watched_stays_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmpp_stream, "PING_INTERVAL", 0.01)

    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (ann, told, _):
            for _ in range(20):
                await ann.round_trip()
            assert told.unread == []

    run(scenario)


@pytest.mark.parametrize("tls", [False, True])
def test_dropped_or_closed_posts_nothing_at_any_moment(tls: bool) -> None:
    """After 0, 1, 2 … rounds of the event loop, from dialing to being online."""

    async def scenario() -> None:
        async with DevServer(tls=tls) as server:
            for rounds in (0, 1, 2, 5, 10, 20, 40, 80, 160):
                async with linked(settings(server)) as (ann, told):
                    ann.dial()
                    for _ in range(rounds):
                        await asyncio.sleep(0)
                    before = list(told.posted)
                    ann.drop() if rounds % 2 else await ann.close()
                assert told.posted == before

    run(scenario)


def test_dropped_and_dialed_at_once_is_the_same_device_without_conflict() -> None:
    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (ann, told, device):
            for _ in range(3):
                ann.drop()
                ann.dial()
                assert (await told.next(LinkUp)).device == device
            ann.dial()
            assert (await told.next(LinkUp)).device == device
            await ann.round_trip()
            assert told.unread == []

    run(scenario)


# -- hostile peers ---------------------------------------------------------------------------------------------------


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


def test_what_another_device_of_the_account_sends_is_ignored() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server)) as (ann, told, device),
            stranger(settings(server)) as other,
        ):
            other.write(f"<message to='{device}' type='headline'>{SIGNAL}</message>")
            await flushed(other, ann)
            assert told.unread == []
            assert ann.ignored == {"from this account": 1}

    run(scenario)


def test_ping_of_a_peer_is_answered() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, _, device),
            stranger(settings(server)) as ann,
        ):
            ann.seen.clear()
            ann.write(f"<iq to='{device}' type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>")
            await flushed(ann, bob, ann)
            (answer,) = [xml for xml in ann.seen if xml.get("id") == "p1"]
            assert answer.get("type") == "result"
            assert answer.get("from") == device

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
