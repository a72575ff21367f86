"""A server that is slow to read or to write is not dead: Prosody and ejabberd limit users so, and drop nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from qbcall.adapters.xmpp import XmppLink
from qbcall.core.inputs import Arrived, Confirmed
from qbcall.core.model import Description
from qbcall.core.signals import Invite
from qbcall.devserver import DevServer
from tests.adapters.inbox import Inbox
from tests.adapters.wire_proxy import Rates, WireProxy
from tests.adapters.xmpp_room import ANN, BOB, HEAD, online, run
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = [NEEDS_PROSODY, pytest.mark.parametrize("stream_management", [False, True])]

ANSWER_TIMEOUT = 0.2
"""Seconds; a twentieth of what is usual."""


def invite(kilobytes: int) -> Invite:
    return Invite(head=HEAD, offer=Description("v=0\n" + "a=x\n" * (256 * kilobytes)))


@asynccontextmanager
async def slowly(
    server: DevServer, rates: Rates, *, stream_management: bool
) -> AsyncIterator[tuple[XmppLink, Inbox]]:
    """Ann is online; from now on her connection is slow."""
    async with WireProxy(server.port) as proxy:
        wanted = settings(
            server, "ann", port=proxy.port, answer_timeout=ANSWER_TIMEOUT, stream_management=stream_management
        )
        async with online(wanted) as (ann, told, _):
            proxy.rates = rates
            yield ann, told
            proxy.rates = (None, None)


def test_much_on_a_slow_link_is_confirmed_bit_by_bit(stream_management: bool) -> None:
    """As 200 signals of 8 kB at 20 kB/s, twenty times as fast."""

    async def scenario() -> None:
        async with (
            DevServer() as server,
            slowly(server, (400_000.0, None), stream_management=stream_management) as (ann, told),
        ):
            for ticket in range(1, 201):
                ann.send(BOB, HEAD, invite(8), ticket)
            found = [0]
            while found[-1] < 200:
                found.append((await told.next(Confirmed)).ticket)
            assert max(later - earlier for earlier, later in pairwise(found)) < 20
            assert told.unread == []

    run(scenario)


def test_one_large_signal_on_a_slow_link_is_waited_for(stream_management: bool) -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            slowly(server, (40_000.0, None), stream_management=stream_management) as (ann, told),
        ):
            ann.send(BOB, HEAD, invite(60), 1)
            assert (await told.next(Confirmed)).ticket == 1

    run(scenario)


def test_answer_behind_much_else_is_waited_for(stream_management: bool) -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, heard, _),
            slowly(server, (None, 100_000.0), stream_management=stream_management) as (ann, told),
        ):
            for ticket in range(1, 16):
                bob.send(ANN, HEAD, invite(16), ticket)
            while (await heard.next(Confirmed)).ticket < 15:
                pass
            ann.send(BOB, HEAD, invite(1), 1)
            for _ in range(15):
                await told.next(Arrived)
            assert (await told.next(Confirmed)).ticket == 1

    run(scenario)
