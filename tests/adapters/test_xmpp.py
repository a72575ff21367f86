"""The chat link over a real server: signals arrive as they were sent, and whatever else happens is told once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal as signals
import sys
from dataclasses import replace

import pytest

from qbcall.adapters import xmpp_stream
from qbcall.adapters.ports import ChatLink
from qbcall.core.inputs import Arrived, LinkBroke, LinkUp
from qbcall.core.model import Candidate, Description
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
from tests.adapters.xmpp_room import ANN, BOB, HEAD, flushed, linked, online, run
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
    RestartOffer(call=CALL, offer_id="1", offer=SDP, head=HEAD),
    RestartAnswer(call=CALL, offer_id="1", answer=SDP),
    Invite(head=HEAD, offer=Description("v=0\n" + "a=x\n" * 16_000)),
]


def test_signals_of_every_kind_arrive_as_they_were_sent_and_in_order() -> None:
    """QB-034, and the same for what is not info."""

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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
@pytest.mark.parametrize("stream_management", [False, True])
def test_server_that_stops_answering_is_noticed(monkeypatch: pytest.MonkeyPatch, stream_management: bool) -> None:
    monkeypatch.setattr(xmpp_stream, "LEAVE_TIMEOUT", 0.1)
    quick: dict[str, object] = {"idle_interval": 0.05, "answer_timeout": 1.0, "stream_management": stream_management}

    async def scenario() -> None:
        async with DevServer() as server, online(settings(server, "ann", **quick)) as (_, told, _):
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


@pytest.mark.parametrize("stream_management", [False, True])
def test_link_that_is_watched_stays_up(stream_management: bool) -> None:
    wanted: dict[str, object] = {"idle_interval": 0.01, "stream_management": stream_management}

    async def scenario() -> None:
        async with DevServer() as server, online(settings(server, "ann", **wanted)) as (ann, told, _):
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
