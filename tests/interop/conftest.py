"""What the interoperability tests share: one event loop, one server, one browser; a room for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

from tests.interop import sdk
from tests.interop.room import Premises, Room, chromium
from tests.interop.table import Row, lines

ROWS: list[Row] = []
Scenario = Callable[[Room], Coroutine[Any, Any, None]]
Run = Callable[..., None]
"""`run(scenario, patience=…)`: plays a coroutine function of a `Room`."""


@cache
def missing() -> str:
    """What this machine lacks for these tests; empty: nothing."""
    if shutil.which("prosody") is None:
        return "prosody is not installed: apt-get install prosody"
    if chromium() is None:
        return "chromium is not installed: apt-get install chromium"
    if find_spec("playwright") is None:
        return "playwright is not installed: pip install playwright"
    try:
        sdk.script()
    except sdk.SdkMissing as error:
        return str(error)
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip where something is missing; where INTEROP=required, that is an error."""
    if item.get_closest_marker("interop") and missing():
        if os.environ.get("INTEROP") == "required":
            pytest.fail(missing(), pytrace=False)
        pytest.skip(missing())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if ROWS:
        terminalreporter.section("qbcall and the QuickBlox JavaScript SDK")
        for line in lines(ROWS):
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="session")
def premises(runner: asyncio.Runner) -> Iterator[Premises]:
    one = Premises()
    runner.run(one.__aenter__())
    yield one
    runner.run(one.__aexit__(None, None, None))


@pytest.fixture
def run(runner: asyncio.Runner, premises: Premises, request: pytest.FixtureRequest) -> Run:
    """Plays a scenario, then sees that it left no user of the SDK deaf."""

    def play(scenario: Scenario, patience: float = 50.0) -> None:
        async def whole() -> None:
            async with asyncio.timeout(patience), Room(premises, request.node.name, ROWS) as room:
                await scenario(room)
                await room.prove_hearing()

        runner.run(whole())

    return play
