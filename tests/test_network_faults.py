"""Faults of the network under a call of two processes, each in a network of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import pytest

from benchmarks.network import unavailable
from benchmarks.path_faults import KINDS, Pair, calling

pytestmark = pytest.mark.skipif(unavailable() != "", reason=unavailable() or "-")


def run(scenario: Callable[[Pair], Coroutine[Any, Any, None]]) -> None:
    """Two are in a call; then this happens."""

    async def play() -> None:
        async with asyncio.timeout(100), calling() as pair:
            await scenario(pair)

    asyncio.run(play())


async def both_receive(pair: Pair) -> None:
    """From now on, both kinds."""
    since = monotonic()
    for kind in KINDS:
        await pair.back(since, kind)


def test_network_that_was_away_gives_the_call_back_by_itself() -> None:
    """QB-111, VR-013, VR-014: of the same connections, whose loss and return are told once."""

    async def scenario(pair: Pair) -> None:
        pair.cable.cut()
        for one in pair.both:
            await one.first("PeerReconnecting")
        pair.cable.heal()
        for one in pair.both:
            await one.first("PeerReconnected")
        await both_receive(pair)
        assert [len(one.told["PeerReconnecting"]) for one in pair.both] == [1, 1]

    run(scenario)


@pytest.mark.parametrize("side", [0, 1])
def test_machine_that_gets_another_address_stays_in_the_call(side: int) -> None:
    """VR-008: without a signal, and whichever side decides about the path."""

    async def scenario(pair: Pair) -> None:
        for _ in range(2):
            pair.cable.move(side)
            await both_receive(pair)

    run(scenario)


def test_card_that_was_down_and_has_another_address_then_brings_the_call_back() -> None:
    """VR-008."""

    async def scenario(pair: Pair) -> None:
        pair.cable.unplug(0)
        await pair.both[1].first("PeerReconnecting")
        pair.cable.move(0)
        pair.cable.plug(0)
        await both_receive(pair)
        await pair.both[1].first("PeerReconnected")

    run(scenario)


def test_process_that_is_killed_is_told() -> None:
    """QB-110, VR-013."""

    async def scenario(pair: Pair) -> None:
        pair.both[0].process.kill()
        await pair.both[1].first("PeerReconnecting")

    run(scenario)
