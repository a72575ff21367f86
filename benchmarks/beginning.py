"""How soon after the connection is told to it an application has the first frame of each kind; two in one process."""

from __future__ import annotations

import asyncio
from time import perf_counter

import av

from benchmarks.apart import apart
from benchmarks.figures import Figure, milliseconds
from benchmarks.gathering import PATIENCE, Picture, gathering
from benchmarks.ways import Ways
from qbcall import Client, PeerConnected
from qbcall.media.frames import Frame

WAYS = {"aiortc's ways": Ways(stock=True), "ours": Ways()}
PICTURE: Picture = (640, 480, 30)
KINDS = ("video", "audio")
SIDES = 2


async def calls(count: int) -> dict[str, list[float]]:
    """Seconds from the event to the first frame, of each call and side; below zero: the frame was sooner."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(count + 1):
        some = await once()
        if number or not count:  # the first one warms up
            for kind, seconds in some.items():
                found[kind] += seconds
    return found


async def once() -> dict[str, list[float]]:
    """One call."""
    connected: dict[str, float] = {}
    first: dict[tuple[str, str], float] = {}
    all_there = asyncio.Event()

    def take(receiver: str, sender: str, frame: Frame) -> None:
        first.setdefault((receiver, "video" if isinstance(frame, av.VideoFrame) else "audio"), perf_counter())
        if len(first) == SIDES * len(KINDS):
            all_there.set()

    def prepare(name: str, client: Client) -> None:
        @client.on(PeerConnected)
        def told(event: PeerConnected) -> None:
            connected.setdefault(name, perf_counter())

    async with gathering(SIDES, PICTURE, take, prepare=prepare), asyncio.timeout(PATIENCE):
        await all_there.wait()
    return {kind: [at - connected[name] for (name, one), at in first.items() if one == kind] for kind in KINDS}


async def beginning(turns: int, count: int) -> list[Figure]:
    """Both ways in turn."""
    found: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in KINDS} for name in WAYS}
    for _ in range(turns):
        for name, ways in WAYS.items():
            for kind, seconds in (await apart(ways, calls, count)).items():
                found[name][kind] += seconds
    title = "{}x{}@{}, connected to first".format(*PICTURE)
    return [
        milliseconds(f"{title} {kind} at the application, {name}", some[kind], "at most 15 ms" * (name == "ours"))
        for name, some in found.items()
        for kind in KINDS
    ]
