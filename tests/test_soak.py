"""Nothing said is lost, repeated or out of order, however often the network and the server break."""

from __future__ import annotations

import asyncio

import pytest

from qbcall.devserver import DevServer
from tests.prosody import NEEDS_PROSODY
from tests.soak import Figures, soak

SEED = 4


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
        async with asyncio.timeout(300), DevServer(accounts=("ann", "bob")) as server:
            return await soak(server, 5000, SEED, span=range(20_000, 120_000), names=("ann", "bob"))

    figures = asyncio.run(scenario())
    check(figures, capsys)
    assert figures.reconnections >= 100
    assert figures.refused >= 2
