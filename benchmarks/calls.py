"""Calls between two clients over a private Prosody, beside the same two peers joined by bare aiortc without XMPP."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import psutil

from benchmarks.bare import Bare
from benchmarks.figures import Figure, milliseconds, ratio
from qbcall import Client, Config, IncomingCall, PeerConnected
from qbcall.adapters.xmpp import XmppLink
from qbcall.devserver import DevServer
from qbcall.media.frames import Frame

ADDRESSES = ("127.0.0.1",)
PICTURE = "test:size=320x240,fps=15"
CALLS_IN_A_ROW = 50


def config(server: DevServer, name: str) -> Config:
    """One account of the private server."""
    return Config.of(
        account={
            "jid": f"{name}@{server.domain}",
            "password": server.accounts[name],
            "server": f"{server.host}:{server.port}",
            "plaintext": True,
        },
        ice={"addresses": ADDRESSES},
        media={"source": PICTURE, "sinks": ("null",)},
    )


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Client, Client]]:
    """Two clients online."""
    async with (
        DevServer(accounts=("ann", "bob")) as server,
        Client(config(server, "ann")) as ann,
        Client(config(server, "bob")) as bob,
    ):
        yield ann, bob


async def one_call(ann: Client, bob: Client) -> tuple[float, float]:
    """Seconds from the accept to both connected, and from the call to the caller's first decoded picture."""
    pictured = asyncio.get_running_loop().create_future()

    def see(user: str, frame: Frame) -> None:
        if hasattr(frame, "width") and not pictured.done():
            pictured.set_result(perf_counter())

    connected = asyncio.gather(ann.wait_for(PeerConnected), bob.wait_for(PeerConnected))
    ringing = asyncio.ensure_future(bob.wait_for(IncomingCall))
    await asyncio.sleep(0)
    started = perf_counter()
    async with ann.call(bob.user, sinks=[see]) as call:
        event = await ringing
        accepted = perf_counter()
        await bob.calls[event.call].accept()
        await connected
        both = perf_counter()
        seen = await pictured
    await bob.calls[call.id].ended()
    return both - accepted, seen - started


async def connect(times: int) -> list[Figure]:
    """Accept to connected, against bare aiortc, interleaved; and call to first picture."""
    accepts: list[float] = []
    pictures: list[float] = []
    bares: list[float] = []
    async with pair() as (ann, bob):
        for number in range(times + 1):  # the first one warms up
            accept, picture = await one_call(ann, bob)
            bare = await Bare(ADDRESSES).connect()
            if number:
                accepts.append(accept)
                pictures.append(picture)
                bares.append(bare)
    return [
        milliseconds("accept to connected on both sides, through Prosody", accepts),
        milliseconds("the same two peers, bare aiortc, no signalling", bares),
        ratio("ratio of the two (to reach: at most 2)", accepts, bares),
        milliseconds("call to first decoded picture, answered at once", pictures),
    ]


async def chat(times: int) -> list[Figure]:
    """A ping to the server and back (XEP-0199)."""
    async with pair() as (ann, _):
        link = ann.link
        assert isinstance(link, XmppLink), "the client made it"
        trips = [await link.round_trip() for _ in range(times)]
    return [milliseconds("chat round trip", trips)]


async def row(times: int) -> list[Figure]:
    """Calls in a row: what grows?"""
    process = psutil.Process()

    def state() -> tuple[float, int, int, int]:
        gc.collect()
        return (
            process.memory_info().rss / 1e6,
            len(asyncio.all_tasks()),
            threading.active_count(),
            process.num_fds(),
        )

    async with pair() as (ann, bob):
        for _ in range(max(2, times // 5)):
            await one_call(ann, bob)
        before = state()
        for _ in range(times):
            await one_call(ann, bob)
        after = state()
    names = ("memory in MB", "tasks", "threads", "file descriptors")
    return [
        Figure(f"{name} after {times} calls in a row", f"{new:.0f}", f"before {old:.0f}")
        for name, old, new in zip(names, before, after, strict=True)
    ]


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    times = 1 if smoke else 10
    return [
        *await connect(times),
        *await chat(5 if smoke else 200),
        *await row(2 if smoke else CALLS_IN_A_ROW),
    ]
