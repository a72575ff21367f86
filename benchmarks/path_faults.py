"""What becomes of a call when its network has a fault: two participants in two processes, in networks of their own.

Both send picture and sound. The chat works all the time. Needs root.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from time import monotonic

from benchmarks.figures import Figure, milliseconds
from benchmarks.network import Cable, unavailable
from benchmarks.path_peer import Exchange

ROOT = Path(__file__).parent.parent
KINDS = ("audio", "video")
PATIENCE = 60.0
SETTLED = 2.0
"""Seconds of a healthy call between two faults."""


class Participant:
    """One process, and what it told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.told: dict[str, list[float]] = {}
        self._news = asyncio.Event()
        self._over = False
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None, "it is piped"
        async for line in self.process.stdout:
            at, what = json.loads(line)
            self.told.setdefault(what, []).append(at)
            self._news.set()
        self._over = True
        self._news.set()

    async def first(self, what: str, since: float = 0.0) -> float:
        """When it told this, at or after `since`.

        Raises:
            TimeoutError: it did not.
            EOFError: it ended before.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                times = self.told.get(what, [])
                if (place := bisect_left(times, since)) < len(times):
                    return times[place]
                if self._over:
                    raise EOFError(f"the participant ended before it told {what}")
                self._news.clear()
                await self._news.wait()

    def gap(self, kind: str, since: float) -> float:
        """Longest time without a frame of this kind that was not over before `since`."""
        return max(later - sooner for sooner, later in pairwise(self.told[kind]) if later >= since)

    async def end(self) -> None:
        """Let it hang up."""
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        await self._reading


class Pair:
    """Two participants in a call over a cable."""

    def __init__(self, cable: Cable, here: Participant, there: Participant) -> None:
        self.cable = cable
        self.both = (here, there)

    async def healthy(self) -> None:
        """Both receive everything, for a while; what came late because of a fault is there."""
        until = monotonic() + SETTLED
        for one in self.both:
            for kind in KINDS:
                await one.first(kind, until)

    async def back(self, since: float, kind: str) -> float:
        """Seconds until the last of both received this kind again."""
        return max([await one.first(kind, since) for one in self.both]) - since


@asynccontextmanager
async def calling(*, interval: float = 60.0) -> AsyncIterator[Pair]:
    """Two participants who see and hear each other."""
    async with AsyncExitStack() as stack:
        socket = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qbcall-path-"))) / "chat"
        cable = stack.enter_context(Cable())
        await stack.enter_async_context(Exchange().open(socket))
        people = []
        for number, (name, other) in enumerate((("bob", ""), ("ann", "bob"))):
            process = await asyncio.create_subprocess_exec(
                *("ip", "netns", "exec", cable.names[number], sys.executable, "-m", "benchmarks.path_peer"),
                *(name, other, str(socket), str(interval)),
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
                limit=2**20,
            )
            people.append(Participant(process))
            stack.push_async_callback(people[-1].end)
            await people[-1].first("ready")
        pair = Pair(cable, *people)
        await pair.healthy()
        yield pair


async def blackouts(seconds: float, times: int) -> list[Figure]:
    """First sound and picture after the cable is whole again, at the side that waits longer."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with calling() as pair:
        for _ in range(times):
            pair.cable.cut()
            await asyncio.sleep(seconds)
            pair.cable.heal()
            whole = monotonic()
            for kind in KINDS:
                found[kind].append(await pair.back(whole, kind))
            await pair.healthy()
    return [milliseconds(f"blackout of {seconds:g} s: first {kind} after it", found[kind]) for kind in KINDS]


async def moves(times: int, *, down: float) -> list[Figure]:
    """Longest gap of sound and picture when one side's address changes, while its card is down for so long."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with calling() as pair:
        for number in range(times):
            began = monotonic()
            side = number % 2
            if down:
                pair.cable.unplug(side)
                await asyncio.sleep(down)
            pair.cable.move(side)
            pair.cable.plug(side)
            there = monotonic()
            for kind in KINDS:
                late = await pair.back(there, kind)
                found[kind].append(late)
            await pair.healthy()
            if not down:
                for kind in KINDS:
                    found[kind][-1] = max(one.gap(kind, began) for one in pair.both)
    what = f"link down {down:g} s, then a new address: first {{}} after that" if down else "new address: gap of {}"
    return [milliseconds(what.format(kind), found[kind]) for kind in KINDS]


async def killed(times: int) -> list[Figure]:
    """How soon the other one is told that a process was killed."""
    found = []
    for _ in range(times):
        async with calling() as pair:
            stayed, left = pair.both
            left.process.kill()
            when = monotonic()
            found.append(await stayed.first("PeerDisconnected", when) - when)
            stayed.process.kill()
    return [milliseconds("peer process killed: DISCONNECTED is told", found)]


async def forever(times: int) -> list[Figure]:
    """A blackout without end: from the loss that is told to the failure, with a disconnect interval of 10 s."""
    found = []
    for _ in range(times):
        async with calling(interval=10.0) as pair:
            pair.cable.cut()
            one = pair.both[0]
            lost = await one.first("PeerReconnecting")
            found.append(await one.first("PeerReconnectFailed") - lost)
            await one.first("CallClosed")
    return [milliseconds("blackout without end, interval of 10 s: FAILED after", found)]


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module; none where there can be no networks of its own."""
    if why := unavailable():
        return [Figure("faults of the network", "not measured", why)]
    if smoke:
        return [*await blackouts(2.0, 1), *await moves(1, down=0.0)]
    figures = [*await killed(4)]
    for seconds, times in ((2.0, 6), (5.0, 4), (10.0, 3), (20.0, 2)):
        figures += await blackouts(seconds, times)
    return [*figures, *await moves(8, down=0.0), *await moves(6, down=3.0), *await forever(2)]
