"""Typed signals over a private Prosody, beside bare slixmpp messages over the same; and links that are cut."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter, process_time

from benchmarks.bare_chat import BareChat, chat
from benchmarks.calls import config
from benchmarks.figures import Figure, milliseconds, ratio, spread
from qbcall import (
    Call,
    CallMedia,
    Client,
    IncomingCall,
    LinkReconnected,
    LinkReconnecting,
    ParticipantJoined,
    Signal,
)
from qbcall.devserver import DevServer
from tests.adapters.wire_proxy import WireProxy

NAMES = ("ann", "bob", "eve", "fay")
TEXT = "x" * 100
AS_LARGE = "x" * 550
"""Makes a bare message as large as a signal with that text."""
BATCH = 900
"""Signals at once: fewer than may wait in one call."""
TRIPS = 20
"""There and back in a row, in turn with bare slixmpp."""
SETTLE = 0.25
"""Seconds after a measurement, in which receipts are sent and the server ends what it still does for it."""
OUTAGE = 5.0
"""Seconds without a network."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clients in a call without media."""

    ann: Client
    bob: Client
    call: Call
    theirs: Call


@asynccontextmanager
async def talking(server: DevServer, port: int | None = None) -> AsyncIterator[Pair]:
    """Ann called Bob; `port`: where Ann's chat goes."""
    hers = config(server, "ann")
    if port is not None:
        hers = hers.model_copy(
            update={"account": hers.account.model_copy(update={"server": f"{server.host}:{port}"})}
        )
    async with Client(hers) as ann, Client(config(server, "bob")) as bob:

        @bob.on(IncomingCall)
        async def accept(event: IncomingCall) -> None:
            await bob.calls[event.call].accept(source="none", sinks=())

        async with ann.call(bob.user, media=CallMedia.AUDIO, source="none", sinks=()) as call:
            await call.connected()
            theirs = bob.calls[call.id]
            await theirs.wait_for(ParticipantJoined)
            yield Pair(ann, bob, call, theirs)


async def round_trip(pair: Pair) -> float:
    """Seconds from sending a signal to hearing the one that answers it; call it once at a time."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    answering: list[asyncio.Task[str]] = []

    def back(event: Signal) -> None:
        answering.append(loop.create_task(pair.theirs.signal("back", event.data, to=pair.ann.user)))

    def here(event: Signal) -> None:
        done.set_result(perf_counter())

    pair.bob.on_signal("out")(back)
    pair.ann.on_signal("back")(here)
    started = perf_counter()
    sending = loop.create_task(pair.call.signal("out", TEXT, to=pair.bob.user))
    taken = float(await done) - started
    await asyncio.gather(sending, *answering)
    pair.bob.off(back)
    pair.ann.off(here)
    return taken


async def sent(pair: Pair, *, ack: bool) -> float:
    """Seconds that the sender of a signal waits: until the server has it, or until the other application was told."""
    started = perf_counter()
    await pair.call.signal("out", TEXT, to=pair.bob.user, ack=ack)
    return perf_counter() - started


async def trips(server: DevServer, times: int) -> list[Figure]:
    """There and back, in turn with bare slixmpp."""
    async with talking(server) as pair, chat(server, "eve", "fay") as bare:
        ways: dict[str, Callable[[], Awaitable[float]]] = {
            "message there and another back, bare slixmpp": lambda: bare.round_trip(TEXT),
            "the same with as many bytes as a signal": lambda: bare.round_trip(AS_LARGE),
            "signal until the server has it": lambda: sent(pair, ack=False),
            "signal there and its receipt back, ack=True (to reach: at most 1.5)": lambda: sent(pair, ack=True),
            "signal there and another back": lambda: round_trip(pair),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(times // TRIPS + 1):
            for name, way in ways.items():
                some = [await way() for _ in range(TRIPS)]
                await asyncio.sleep(SETTLE)
                taken[name] += some if number else []  # the first ones warm up
    yardstick = statistics.median(next(iter(taken.values())))
    return [
        figure
        for name, some in taken.items()
        for figure in (
            milliseconds(name, some),
            Figure("  ratio to bare slixmpp", f"{statistics.median(some) / yardstick:.2f}"),
        )
    ]


async def flood(pair: Pair, times: int) -> None:
    """Send so many at once, and wait until the application at the other end was told all."""
    await asyncio.gather(*(pair.call.signal("flood", TEXT, to=pair.bob.user, ack=True) for _ in range(times)))


async def one_way(server: DevServer, rounds: int, times: int) -> list[Figure]:
    """Signals per second, and what one costs; in turn with bare slixmpp."""
    ours: list[tuple[float, float]] = []
    bares: list[tuple[float, float]] = []
    async with chat(server, "eve", "fay") as bare:
        for _ in range(rounds):
            async with talking(server) as pair:  # anew: who sends more than 500 a second for long is slowed down
                ours.append(await _measured(pair, times))
            bares.append(await _measured(bare, times))
    costs, yardstick = [cost for _, cost in ours], [cost for _, cost in bares]
    return [
        _per_second(f"{times} signals at once, one way, until all were acknowledged", ours, times),
        _per_second(f"{times} messages at once, one way, bare slixmpp", bares, times),
        _microseconds("processor time of a signal, both ends", costs, times),
        _microseconds("processor time of a message, bare slixmpp, both ends", yardstick, times),
        ratio("ratio of the two", costs, yardstick),
    ]


async def _measured(what: Pair | BareChat, times: int) -> tuple[float, float]:
    """Seconds, and seconds of processor time of this process."""
    gc.collect()
    began, used = perf_counter(), process_time()
    await (flood(what, times) if isinstance(what, Pair) else what.flood(TEXT, times))
    return perf_counter() - began, process_time() - used


def _per_second(what: str, samples: Sequence[tuple[float, float]], times: int) -> Figure:
    rates = [times / taken for taken, _ in samples]
    return Figure(what, f"{statistics.median(rates):.0f} per second", spread(rates, digits=0))


def _microseconds(what: str, samples: Sequence[float], times: int) -> Figure:
    values = [sample / times * 1e6 for sample in samples]
    return Figure(what, f"{statistics.median(values):.0f} µs", spread(values, digits=0))


async def queued(server: DevServer, times: int, size: int) -> Figure:
    """Memory of signals that wait for the link, the tasks that await them included; all arrive afterwards."""
    async with WireProxy(server.port) as proxy, talking(server, proxy.port) as pair:
        broke = asyncio.ensure_future(pair.ann.wait_for(LinkReconnecting))
        await asyncio.sleep(0)
        proxy.refusing = True
        proxy.cut()
        await broke
        gc.collect()
        tracemalloc.start()
        texts = (f"{number:06}".ljust(size, "x") for number in range(times))
        sending = [asyncio.ensure_future(pair.call.signal("queued", text, ack=True)) for text in texts]
        await asyncio.sleep(0)
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        proxy.refusing = False
        await asyncio.gather(*sending)
    return Figure(
        f"memory of {times} queued signals of {size} bytes", f"{used / 1e6:.2f} MB", f"{used / times:.0f} each"
    )


async def returns(server: DevServer, times: int, outage: float) -> Figure:
    """From the return of the network to the return of the chat; cut with a reset, default pauses."""
    taken: list[float] = []
    async with WireProxy(server.port) as proxy, talking(server, proxy.port) as pair:
        for _ in range(times):
            broke = asyncio.ensure_future(pair.ann.wait_for(LinkReconnecting))
            back = asyncio.ensure_future(pair.ann.wait_for(LinkReconnected))
            await asyncio.sleep(0)
            proxy.refusing = outage > 0
            proxy.cut()
            await broke
            await asyncio.sleep(outage)
            proxy.refusing = False
            began = perf_counter()
            await back
            taken.append(perf_counter() - began)
    after = f"an outage of {outage:g} s" if outage else "a cut"
    late = sorted(taken)[max(0, -(-95 * len(taken) // 100) - 1)]
    return Figure(
        f"chat back after {after}, first pause 0.5 to 1.5 s",
        f"median {statistics.median(taken):.2f} s, p95 {late:.2f} s",
        spread(taken, digits=2),
    )


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    async with DevServer(accounts=NAMES) as server:
        return [
            *await trips(server, TRIPS if smoke else 20 * TRIPS),
            *await one_way(server, 1 if smoke else 7, 20 if smoke else BATCH),
            await queued(server, 20 if smoke else 1000, 100),
            await queued(server, 20 if smoke else 1000, 8192),
            await returns(server, 1 if smoke else 20, 0.0),
            await returns(server, 1 if smoke else 10, 0.0 if smoke else OUTAGE),
        ]
