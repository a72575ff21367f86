"""What a real server has is confirmed, with Stream Management and without."""

from __future__ import annotations

import logging

import pytest

from qbcall.core.inputs import Arrived, Confirmed
from qbcall.core.signals import Candidates, End
from qbcall.devserver import DevServer
from tests.adapters.inbox import Inbox
from tests.adapters.xmpp_room import BOB, HEAD, online, run
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = [NEEDS_PROSODY, pytest.mark.parametrize("stream_management", [False, True])]

END = End(call=HEAD.call)
UNWRITABLE = Candidates(call=HEAD.call, candidates=())


async def confirmed(told: Inbox, last: int) -> list[int]:
    """The tickets that are told until the last one."""
    found = [0]
    while found[-1] < last:
        found.append((await told.next(Confirmed)).ticket)
    return found[1:]


def test_each_signal_is_confirmed_and_a_burst_at_once(stream_management: bool) -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, stream_management=stream_management)) as (ann, told, _),
            online(settings(server, "bob")) as (_, heard, _),
        ):
            for ticket in (1, 2):
                ann.send(BOB, HEAD, END, ticket)
                assert await confirmed(told, ticket) == [ticket]
                await heard.next(Arrived)
            for ticket in range(3, 503):
                ann.send(BOB, HEAD, END, ticket)
            found = await confirmed(told, 502)
            assert found == sorted(found)
            assert len(found) < 100
            for _ in range(3, 503):
                await heard.next(Arrived)
            assert told.unread == []

    run(scenario)


def test_what_cannot_be_written_is_confirmed_after_what_was_before_it(
    stream_management: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise it would be sent again after each login."""

    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, stream_management=stream_management)) as (ann, told, _),
        ):
            ann.send(BOB, HEAD, UNWRITABLE, 1)
            assert await confirmed(told, 1) == [1]
            ann.send(BOB, HEAD, END, 2)
            ann.send(BOB, HEAD, UNWRITABLE, 3)
            assert await confirmed(told, 3) == [3]

    with caplog.at_level(logging.CRITICAL, "qbcall"):
        run(scenario)


def test_who_logs_out_has_what_they_heard(stream_management: bool) -> None:
    """Otherwise the server would tell the sender of the last signals that they were not delivered."""

    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (ann, _, _):
            async with online(settings(server, "bob", stream_management=stream_management)) as (bob, heard, _):
                ann.send(BOB, HEAD, END)
                await heard.next(Arrived)
                await bob.close()
            await ann.round_trip()
            assert ann.ignored == {}

    run(scenario)
