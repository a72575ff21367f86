"""Nothing said is lost, repeated or out of order, however often the network and the server break."""

from __future__ import annotations

import asyncio

import pytest

from qbcall.devserver import DevServer
from tests.ejabberd import NEEDS_EJABBERD, Ejabberd
from tests.prosody import NEEDS_PROSODY
from tests.soak import Figures, Server, soak

SEED = 4
NAMES = ("ann", "bob")
SPAN = range(10_000, 220_000)
"""Bytes after which a connection breaks."""


async def soaked(server: Server, count: int) -> Figures:
    async with asyncio.timeout(300):
        return await soak(server, count, SEED, span=SPAN, names=NAMES)


def check(figures: Figures, capsys: pytest.CaptureFixture[str]) -> None:
    """Print the figures; all arrived, once and in order."""
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201 - figures to look at
    for side in figures.sides:
        assert side.heard == list(range(figures.sent))


@NEEDS_PROSODY
@pytest.mark.timeout(400)
def test_signals_over_prosody_arrive_once_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """VR-001, VR-004, VS-007, VS-030."""

    async def scenario() -> Figures:
        async with DevServer(accounts=NAMES) as server:
            return await soaked(server, 5000)

    figures = asyncio.run(scenario())
    check(figures, capsys)
    assert figures.reconnections >= 100
    assert figures.refused >= 2


@NEEDS_EJABBERD
@pytest.mark.timeout(400)
def test_signals_over_ejabberd_arrive_once_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Another server with Stream Management of its own."""

    async def scenario() -> Figures:
        async with Ejabberd(NAMES) as server:
            return await soaked(server, 1000)

    figures = asyncio.run(scenario())
    check(figures, capsys)
    assert figures.reconnections >= 20
    assert figures.refused >= 2
