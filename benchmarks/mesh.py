"""What one participant of a mesh of four costs: the starting point for a faster media path.

Three participants run in processes of their own; the one that is measured runs alone in a fourth. With four full
participants on two cores the machine is near its limit, so the frames that arrived are told as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.figures import Figure
from qbcall.devserver import DevServer

NAMES = ("ann", "bob", "cat", "dan")
Picture = tuple[int, int, int]
"""Width, height, and pictures per second."""
SETTLE = 3.0
"""Seconds of the call before the measurement."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the caller of one call was measured to need."""

    percent: float
    """Of a core."""
    memory: float
    """Megabytes."""
    pictures: list[float]
    """Per second, that were received from each peer."""


async def start(
    server: DevServer, name: str, picture: Picture, *words: str, program: str = "qbcall"
) -> asyncio.subprocess.Process:
    """Run the program, which is a module, for a user of the server; `until` reads what it writes."""
    width, height, fps = picture
    environment = os.environ | {
        "QBCALL_PASSWORD": server.accounts[name],
        "QBCALL_JID": f"{name}@{server.domain}",
        "QBCALL_SERVER": f"{server.host}:{server.port}",
        "QBCALL_ACCOUNT__PLAINTEXT": "true",
        "QBCALL_ICE__ADDRESSES": "127.0.0.1",
        "QBCALL_MEDIA__WIDTH": str(width),
        "QBCALL_MEDIA__HEIGHT": str(height),
        "QBCALL_MEDIA__FPS": str(fps),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", program, *words, "--json", "--quiet"),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )


async def measure(picture: Picture, seconds: float) -> list[Figure]:
    """Processor time and memory of the caller, in a call that lasts `seconds` after it has settled."""
    sample = await sampled(picture, seconds)
    title = "{}x{}@{}, one of four".format(*picture)
    got = sample.pictures
    return [
        Figure(f"{title}: processor", f"{sample.percent:.1f} % of a core"),
        Figure(f"{title}: memory", f"{sample.memory:.0f} MB"),
        Figure(f"{title}: pictures received per second and peer", f"{sum(got) / len(got):.1f}", shown(got)),
    ]


async def sampled(
    picture: Picture, seconds: float, program: str = "qbcall", caller: Sequence[str] = (), others: Sequence[str] = ()
) -> Sample:
    """One call, in which the caller runs this program; with these more words for its command, and for the others'."""
    first, *callees = NAMES
    async with DevServer(accounts=NAMES) as server:
        answering = [await start(server, name, picture, "answer", "--once", *others) for name in callees]
        for process in answering:
            await until(process, "link.online")
        duration = str(SETTLE + seconds + 1)
        words = ("call", *(f"{name}@{server.domain}" for name in callees), "--duration", duration, *caller)
        calling = await start(server, first, picture, *words, program=program)
        for _ in callees:
            await until(calling, "peer.state", new="connected")
        percent, memory = await watch(calling.pid, seconds)
        ended = await until(calling, "call.ended")
        for process in answering:
            process.terminate()
        await asyncio.gather(calling.communicate(), *(process.communicate() for process in answering))
    got = [peer["frames"].get("video", 0) / float(ended["connected"]) for peer in ended["peers"].values()]
    return Sample(percent, memory, got)


async def watch(pid: int, seconds: float) -> tuple[float, float]:
    """Percent of a core and megabytes of a process, over `seconds`."""
    process = psutil.Process(pid)
    await asyncio.sleep(SETTLE)
    process.cpu_percent()
    await asyncio.sleep(seconds)
    return process.cpu_percent(), process.memory_info().rss / 1e6


async def until(process: asyncio.subprocess.Process, kind: str, **fields: str) -> dict[str, Any]:
    """The next line of this type with these fields."""
    assert process.stdout is not None
    async for text in process.stdout:
        line: dict[str, Any] = json.loads(text)
        if line["type"] == kind and all(line.get(name) == value for name, value in fields.items()):
            return line
    raise RuntimeError(f"the process ended without {kind}")


def shown(values: Sequence[float]) -> str:
    """Each value."""
    return ", ".join(f"{value:.1f}" for value in values)


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    if smoke:
        return await measure((160, 120, 10), 1.0)
    return [*await measure((320, 240, 15), 10.0), *await measure((640, 480, 30), 10.0)]
