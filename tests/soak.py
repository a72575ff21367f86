"""Thousands of signals between two clients over a network that breaks all the time, and what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Protocol

from qbcall import Call, CallMedia, Client, Config, IncomingCall, LinkReconnected, ParticipantJoined, Signal
from tests.adapters.wire_proxy import Fault, Kind, WireProxy

PATIENCE = 60.0
"""Seconds for one thing to happen."""
IN_FLIGHT = 100
"""Signals of one direction that are not acknowledged."""
KINDS = (Kind.CUT,) * 16 + (Kind.STALL,) * 3 + (Kind.BLACK_HOLE,)
"""A dead line takes seconds to be noticed: few of them."""


class Server(Protocol):
    """What a soak needs of a chat server."""

    port: int
    domain: str
    accounts: dict[str, str]

    async def restart(self) -> None:
        """Kill it, and start it again."""


@dataclass
class Side:
    """One client, in the call, and what it was told."""

    client: Client
    call: Call
    proxy: WireProxy
    heard: list[int] = field(default_factory=list)
    resumed: list[bool] = field(default_factory=list)
    """Of each reconnection."""

    def __post_init__(self) -> None:
        self.client.on(Signal)(self._hear)
        self.client.on(LinkReconnected)(lambda event: self.resumed.append(event.resumed))

    def _hear(self, event: Signal) -> None:
        assert event.sender != self.client.user
        self.heard.append(int(event.data))

    async def send(self, to: Side, numbers: range) -> None:
        """All of these, so many at a time, each until the other client acknowledged it."""
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int) -> None:
            await self.call.signal("n", str(number), to.client.user, ack=True)
            room.release()

        async with asyncio.TaskGroup() as group:
            for number in numbers:
                await room.acquire()
                group.create_task(one(number))


@dataclass
class Figures:
    """What became of all."""

    sent: int
    """In each direction."""
    sides: list[Side]
    seconds: float

    @property
    def reconnections(self) -> int:
        """Of both."""
        return sum(len(side.resumed) for side in self.sides)

    @property
    def refused(self) -> int:
        """Reconnections without resumption."""
        return sum(side.resumed.count(False) for side in self.sides)

    def __str__(self) -> str:
        kinds = Counter(kind.value for side in self.sides for kind in side.proxy.happened)
        lines = [
            f"at {side.client.user}: {self.sent} sent to it, {self.sent - len(set(side.heard))} lost,"
            f" {len(side.heard) - len(set(side.heard))} repeated,"
            f" {sum(one > other for one, other in pairwise(side.heard))} out of order"
            for side in self.sides
        ]
        broken = ", ".join(f"{kinds[kind.value]} times {kind.value}" for kind in Kind)
        links = (
            f"{self.reconnections} reconnections, {self.refused} without resumption; {broken}; {self.seconds:.0f} s"
        )
        return "\n".join([*lines, links])


def faults(seed: int, span: range) -> Iterator[Fault]:
    """One for each connection, after so many bytes."""
    rng = Random(seed)
    while True:
        yield Fault(rng.choice(KINDS), rng.choice(span), rng.uniform(0.0, 0.5))


def config(server: Server, name: str, port: int) -> Config:
    """Of a client that comes back fast."""
    return Config.of(
        account={
            "jid": f"{name}@{server.domain}",
            "password": server.accounts[name],
            "server": f"127.0.0.1:{port}",
            "plaintext": True,
        },
        link={"backoff": 0.1, "reconnect_window": PATIENCE},
        ice={"addresses": ["127.0.0.1"]},
        media={"source": "silence", "sinks": ["null"]},
    )


@asynccontextmanager
async def talking(server: Server, names: tuple[str, str]) -> AsyncIterator[list[Side]]:
    """Two clients in a call, each behind a proxy."""
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(WireProxy(server.port)) for _ in names]
        some = [config(server, name, proxy.port) for name, proxy in zip(names, proxies, strict=True)]
        one, other = [await stack.enter_async_context(Client(each)) for each in some]
        accepted: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

        @other.on(IncomingCall)
        async def accept(event: IncomingCall) -> None:
            await other.calls[event.call].accept()
            accepted.set_result(other.calls[event.call])

        call = await one.call(other.user, media=CallMedia.AUDIO)
        await call.wait_for(ParticipantJoined, timeout=PATIENCE)
        theirs = await accepted
        await asyncio.gather(call.connected(PATIENCE), theirs.connected(PATIENCE))
        yield [Side(one, call, proxies[0]), Side(other, theirs, proxies[1])]
        await call.hang_up()


async def soak(server: Server, count: int, seed: int, *, span: range, names: tuple[str, str]) -> Figures:
    """Send `count` signals in each direction; after half of them, the server crashes.

    Each connection breaks after a number of bytes out of `span`.
    """
    started = asyncio.get_running_loop().time()
    async with talking(server, names) as sides:
        one, other = sides
        for number, side in enumerate(sides):
            side.proxy.faults = faults(seed + number, span)
            side.proxy.cut()
        async with asyncio.TaskGroup() as group:
            group.create_task(one.send(other, range(count)))
            group.create_task(other.send(one, range(count)))
            await other.client.wait_for(
                Signal, timeout=5 * PATIENCE, where=lambda event: int(event.data) == count // 2
            )
            await server.restart()
        for side in sides:
            side.proxy.faults = None
            side.proxy.cut()
    return Figures(count, sides, asyncio.get_running_loop().time() - started)
