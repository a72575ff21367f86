"""Faults of the network under real calls: each participant in a process and a network of its own, chat included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest

from benchmarks.network import unavailable
from benchmarks.path_faults import KINDS, Meeting, meeting
from tests.coturn import coturn

pytestmark = pytest.mark.skipif(unavailable("prosody") != "", reason=unavailable("prosody") or "-")
NEEDS_NAT = pytest.mark.skipif(unavailable("nft", "turnserver") != "", reason=unavailable("nft", "turnserver") or "-")


def run(scenario: Callable[[Meeting], Coroutine[Any, Any, None]], size: int = 2, **settings: Any) -> None:
    """They are in a call; then this happens."""

    async def play() -> None:
        async with asyncio.timeout(150), meeting(size, **settings) as call:
            await scenario(call)

    asyncio.run(play())


async def all_receive(call: Meeting) -> None:
    """From now on, both kinds, everybody of everybody."""
    since = monotonic()
    for one in call.people:
        for kind in KINDS:
            await call.back(since, kind, one)


async def told(call: Meeting, what: str, one: int, other: int) -> None:
    """Both told this of each other."""
    for near, far in ((one, other), (other, one)):
        await call.people[near].first(f"{what} {call.people[far].name}")


def test_network_that_was_away_gives_the_call_back_by_itself() -> None:
    """QB-111, VR-013, VR-014: of the same connections, whose loss and return are told once."""

    async def scenario(call: Meeting) -> None:
        call.switch.cut(0, 1)
        await told(call, "PeerReconnecting", 0, 1)
        call.switch.heal(0, 1)
        await told(call, "PeerReconnected", 0, 1)
        await all_receive(call)
        one, other = call.people.values()
        assert len(one.told[f"PeerReconnecting {other.name}"]) == 1
        assert len(other.told[f"PeerReconnecting {one.name}"]) == 1

    run(scenario)


def test_network_that_took_the_chat_along_gives_both_back() -> None:
    """VR-013, VR-014: nobody can say anything meanwhile."""

    async def scenario(call: Meeting) -> None:
        call.switch.cut(0)
        await told(call, "PeerReconnecting", 0, 1)
        await call.people[0].first("LinkReconnecting")
        call.switch.heal(0)
        await told(call, "PeerReconnected", 0, 1)
        await all_receive(call)
        await call.people[0].first("LinkReconnected")

    run(scenario)


@pytest.mark.parametrize("side", [0, 1])
def test_machine_that_gets_another_address_stays_in_the_call(side: int) -> None:
    """VR-008: whichever side decides about the path."""

    async def scenario(call: Meeting) -> None:
        for _ in range(2):
            call.switch.move(side)
            await all_receive(call)

    run(scenario)


def test_card_that_was_down_and_has_another_address_then_brings_the_call_back() -> None:
    """VR-008."""

    async def scenario(call: Meeting) -> None:
        call.switch.unplug(0)
        await call.people[1].first("PeerReconnecting p0")
        call.switch.move(0)
        call.switch.plug(0)
        await all_receive(call)
        await call.people[1].first("PeerReconnected p0")

    run(scenario)


def test_process_that_is_killed_is_told() -> None:
    """QB-110, VR-013."""

    async def scenario(call: Meeting) -> None:
        call.people[0].process.kill()
        await call.people[1].first("PeerReconnecting p0")

    run(scenario)


def test_process_that_is_killed_and_started_again_is_taken_back_into_the_call() -> None:
    """VR-023: nobody has to call again."""

    async def scenario(call: Meeting) -> None:
        call.people[0].process.kill()
        await call.people[0].end()
        await call.enter(0)
        await call.people[1].first("PeerReconnected p0")
        await all_receive(call)

    run(scenario)


def test_pair_that_is_cut_from_each_other_disturbs_no_other_pair_of_four() -> None:
    """QB-085: only the pair concerned is told, and only it waits."""

    async def scenario(call: Meeting) -> None:
        call.switch.cut(1, 2)
        await told(call, "PeerReconnecting", 1, 2)
        since = monotonic()
        for one, other in ((0, 1), (0, 2), (0, 3), (1, 3), (2, 3)):
            for kind in KINDS:
                await call.flows(one, other, kind, since)
        call.switch.heal(1, 2)
        await told(call, "PeerReconnected", 1, 2)
        await all_receive(call)
        lost = {
            (person.name, what.removeprefix("PeerReconnecting "))
            for person in call.people.values()
            for what in person.told
            if what.startswith("PeerReconnecting ")
        }
        assert lost == {("p1", "p2"), ("p2", "p1")}

    run(scenario, 4)


@asynccontextmanager
async def relay(host: str) -> AsyncIterator[dict[str, object]]:
    """A TURN server at this address."""
    async with coturn(host=host) as server:
        username, credential = server.credentials()
        url = f"turn:{host}:{server.port}"
        yield {"servers": [{"urls": [url], "username": username, "credential": credential}]}


@NEEDS_NAT
def test_two_behind_routers_meet_through_a_relay_and_meet_again_after_a_loss() -> None:
    """VR-014: their routers give each connection another port, so that there is no direct way."""

    async def scenario(call: Meeting) -> None:
        call.switch.cut(0)
        await told(call, "PeerReconnecting", 0, 1)
        call.switch.heal(0)
        await told(call, "PeerReconnected", 0, 1)
        await all_receive(call)
        await told(call, "relay-relay", 0, 1)
        for side in (0, 1):  # the relay knows it by this address
            call.switch.move(side)
            await all_receive(call)

    run(scenario, nat=True, relay=relay, stats_interval=1.0)
