"""What becomes of a call when its network has a fault: each participant in a process and a network of its own.

All send picture and sound, and use a real chat server over the same network. Needs root and Prosody.
"""

from __future__ import annotations

import asyncio
import json
import sys
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from time import monotonic

from benchmarks.figures import Figure, milliseconds
from benchmarks.forward import forwarding
from benchmarks.network import Switch, unavailable
from benchmarks.path_peer import Role
from qbcall.devserver import DevServer

ROOT = Path(__file__).parent.parent
KINDS = ("audio", "video")
PATIENCE = 60.0
SETTLED = 0.5
"""Seconds of a healthy call between two faults."""


class Participant:
    """One process, and what it told."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
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
                    raise EOFError(f"{self.name} ended before it told {what}")
                self._news.clear()
                await self._news.wait()

    def gap(self, what: str, since: float) -> float:
        """Longest time without this that was not over before `since`."""
        return max(later - sooner for sooner, later in pairwise(self.told[what]) if later >= since)

    async def end(self) -> None:
        """Let it hang up."""
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        await self._reading


class Meeting:
    """Participants of a call, each at a socket of a switch. The last one called the others."""

    def __init__(self, switch: Switch, roles: list[Role]) -> None:
        self.switch = switch
        self.people: dict[int, Participant] = {}
        self._roles = roles

    async def enter(self, one: int) -> Participant:
        """Start a participant, the first time or anew, until it is online."""
        role = self._roles[one]
        process = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", self.switch.names[one], sys.executable, "-m", "benchmarks.path_peer"),
            json.dumps(asdict(role)),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            limit=2**20,
        )
        self.people[one] = person = Participant(role.user.partition("@")[0], process)
        await person.first("ready")
        return person

    async def leave(self) -> None:
        """All end."""
        await asyncio.gather(*(person.end() for person in self.people.values()))

    def others(self, one: int) -> list[int]:
        """All but this one."""
        return [other for other in self.people if other != one]

    async def flows(self, one: int, other: int, kind: str, since: float) -> float:
        """Seconds until both get this kind of each other again."""
        ends = ((one, other), (other, one))
        return max([await self.people[a].first(f"{kind} {self.people[b].name}", since) for a, b in ends]) - since

    async def back(self, since: float, kind: str, one: int = 0) -> float:
        """Seconds until this participant and all others get this kind of each other again."""
        return max([await self.flows(one, other, kind, since) for other in self.others(one)])

    async def healthy(self) -> None:
        """All receive everything, for a while; what came late because of a fault is there."""
        until = monotonic() + SETTLED
        for one in self.people:
            for kind in KINDS:
                await self.back(until, kind, one)

    def gap(self, kind: str, since: float, *, without: int) -> float:
        """The longest between any two, but one."""
        rest = self.others(without)
        ends = [(a, b) for a in rest for b in rest if a != b]
        return max(self.people[a].gap(f"{kind} {self.people[b].name}", since) for a, b in ends)


Relay = Callable[[str], AbstractAsyncContextManager[dict[str, object]]]
"""Opens a relay at an address of this machine; gives the settings `ice` of who is to use it."""


@asynccontextmanager
async def meeting(
    size: int = 2, *, nat: bool = False, relay: Relay | None = None, **call: object
) -> AsyncIterator[Meeting]:
    """Participants who see and hear each other; `call` are settings of all of them."""
    names = [f"p{one}" for one in range(size)]
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(DevServer(names, tls=True))
        switch = stack.enter_context(Switch(size, nat=nat))
        port = await stack.enter_async_context(forwarding(switch.server, server.port))
        ice = await stack.enter_async_context(relay(switch.server)) if relay else {}
        roles = [
            Role(
                user=f"{name}@{server.domain}",
                password=server.accounts[name],
                server=f"{switch.server}:{port}",
                ca_file=str(server.ca_file),
                call=call,
                ice=ice,
            )
            for name in names
        ]
        roles[-1] = replace(roles[-1], others=[role.user for role in roles[:-1]])
        found = Meeting(switch, roles)
        stack.push_async_callback(found.leave)
        await asyncio.gather(*map(found.enter, range(size - 1)))
        await found.enter(size - 1)
        await found.healthy()
        yield found


async def blackouts(seconds: float, times: int) -> list[Figure]:
    """First sound and picture after a participant's cable is whole again, at the side that waits longer."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with meeting() as pair:
        for _ in range(times):
            pair.switch.cut(0)
            await asyncio.sleep(seconds)
            pair.switch.heal(0)
            whole = monotonic()
            for kind in KINDS:
                found[kind].append(await pair.back(whole, kind))
            await pair.healthy()
    return [
        milliseconds(f"blackout of {seconds:g} s, chat too: first {kind} after it", found[kind]) for kind in KINDS
    ]


async def among_four(times: int) -> list[Figure]:
    """One of four is cut off, media and chat; then only two of them from each other."""
    back: dict[str, list[float]] = {kind: [] for kind in KINDS}
    link: dict[str, list[float]] = {kind: [] for kind in KINDS}
    rest: list[float] = []
    async with meeting(4) as four:
        for _ in range(times):
            for other, found in ((None, back), (1, link)):
                began = monotonic()
                four.switch.cut(0, other)
                await asyncio.sleep(5.0)
                four.switch.heal(0, other)
                whole = monotonic()
                for kind in KINDS:
                    again = four.back(whole, kind) if other is None else four.flows(0, other, kind, whole)
                    found[kind].append(await again)
                await four.healthy()
                rest.append(four.gap("audio", began, without=0))
    return [
        *(milliseconds(f"one of four cut off for 5 s: first {kind} after it", back[kind]) for kind in KINDS),
        *(milliseconds(f"two of four cut from each other: first {kind}", link[kind]) for kind in KINDS),
        milliseconds("meanwhile, between the others: longest gap of audio", rest),
    ]


async def moves(times: int, *, down: float) -> list[Figure]:
    """Longest gap of sound and picture when one side's address changes, while its card is down for so long."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with meeting() as pair:
        for number in range(times):
            began = monotonic()
            side = number % 2
            if down:
                pair.switch.unplug(side)
                await asyncio.sleep(down)
            pair.switch.move(side)
            pair.switch.plug(side)
            there = monotonic()
            for kind in KINDS:
                found[kind].append(await pair.back(there, kind))
            await pair.healthy()
            if not down:
                for kind in KINDS:
                    gaps = [one.gap(f"{kind} {other.name}", began) for one, other in _both(pair)]
                    found[kind][-1] = max(gaps)
    what = f"link down {down:g} s, then a new address: first {{}} after that" if down else "new address: gap of {}"
    return [milliseconds(what.format(kind), found[kind]) for kind in KINDS]


def _both(pair: Meeting) -> list[tuple[Participant, Participant]]:
    one, other = pair.people.values()
    return [(one, other), (other, one)]


async def killed(times: int) -> list[Figure]:
    """How soon the other one is told that a process was killed."""
    found = []
    for _ in range(times):
        async with meeting() as pair:
            stayed, left = pair.people.values()
            left.process.kill()
            when = monotonic()
            found.append(await stayed.first(f"PeerDisconnected {left.name}", when) - when)
            stayed.process.kill()
    return [milliseconds("peer process killed: DISCONNECTED is told", found)]


async def restarted(times: int) -> list[Figure]:
    """First sound and picture at both, after the process of one was killed and the next one is logged in."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with meeting() as pair:
        for _ in range(times):
            pair.people[0].process.kill()
            await pair.people[0].end()
            await pair.people[1].first("PeerReconnecting p0", monotonic() - 1)
            await pair.enter(0)
            there = await pair.people[0].first("ready")
            for kind in KINDS:
                found[kind].append(await pair.back(there, kind))
            await pair.healthy()
    return [milliseconds(f"peer killed and started again: first {kind} after login", found[kind]) for kind in KINDS]


async def forever(times: int) -> list[Figure]:
    """A blackout without end: from the loss that is told to the failure, with a disconnect interval of 10 s."""
    found = []
    for _ in range(times):
        async with meeting(disconnect_timeout=10.0) as pair:
            pair.switch.cut(0, 1)
            one, other = pair.people.values()
            lost = await one.first(f"PeerReconnecting {other.name}")
            found.append(await one.first(f"PeerReconnectFailed {other.name}") - lost)
            await one.first("CallClosed")
    return [milliseconds("blackout without end, interval of 10 s: FAILED after", found)]


async def faults(*, smoke: bool) -> list[Figure]:
    """All figures of this module; none where there can be no networks of its own."""
    if why := unavailable("prosody"):
        return [Figure("faults of the network", "not measured", why)]
    if smoke:
        return [*await blackouts(2.0, 1), *await moves(1, down=0.0)]
    figures = [*await killed(4)]
    for seconds, times in ((2.0, 6), (5.0, 4), (10.0, 3), (20.0, 2)):
        figures += await blackouts(seconds, times)
    figures += await among_four(3)
    figures += await restarted(6)
    return [*figures, *await moves(8, down=0.0), *await moves(6, down=3.0), *await forever(2)]
