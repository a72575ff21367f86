"""What one participant of a mesh of four costs, each in a process of its own.

All are measured at the same time: the machine's speed changes by a fifth from one minute to the next, but by the same
for all. With four full participants on two cores it is near its limit, so the frames that arrived are told as well.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from benchmarks.figures import Figure
from benchmarks.gathering import NAMES, Picture
from benchmarks.ways import OURS, Ways
from qbcall.devserver import DevServer

SETTLE = 3.0
"""Seconds of the call before the measurement."""
STATS = ("--stats", "1")
"""Every second the statistics, which tell the codecs."""


@dataclass(frozen=True, slots=True)
class Member:
    """One participant."""

    ways: Ways = OURS
    words: Sequence[str] = ()
    """More for its command."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one participant of a call was measured to need."""

    percent: float
    """Of a core."""
    memory: float
    """Megabytes."""
    pictures: list[float]
    """Per second, that were received from each peer."""
    codecs: list[str]
    """Those of the pictures that came in, of each direction of which this is known."""
    sent: list[float]
    """Its pictures per second, that each of the others received."""


async def start(
    server: DevServer, name: str, picture: Picture, *words: str, ways: Ways = OURS
) -> asyncio.subprocess.Process:
    """Run the program for a user of the server; `until` reads what it writes."""
    width, height, fps = picture
    environment = ways.environment | {
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
        *("-m", "benchmarks.ways", *words, "--json", "--quiet"),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )


async def measure(picture: Picture, seconds: float, settle: float = SETTLE) -> list[Figure]:
    """Processor time and memory of the caller, in a call that lasts `seconds` after it has settled."""
    sample, *_ = await sampled(picture, seconds, [Member()] * len(NAMES), settle=settle)
    title = "{}x{}@{}, one of four".format(*picture)
    got = sample.pictures
    return [
        Figure(f"{title}: processor", f"{sample.percent:.1f} % of a core"),
        Figure(f"{title}: memory", f"{sample.memory:.0f} MB"),
        Figure(f"{title}: pictures received per second and peer", f"{sum(got) / len(got):.1f}", shown(got)),
    ]


async def sampled(
    picture: Picture, seconds: float, members: Sequence[Member], *, settle: float = SETTLE
) -> list[Sample]:
    """One call of four, of whom the first calls the others; what each of them needed at the same time."""
    codecs: dict[tuple[str, str], str] = {}
    ended: dict[str, dict[str, Any]] = {}
    caller, *callees = NAMES
    first, *others = members
    async with DevServer(accounts=NAMES) as server:
        programs: dict[str, asyncio.subprocess.Process] = {}
        for name, member in zip(callees, others, strict=True):
            words = ("answer", "--once", *STATS, *member.words)
            programs[name] = await start(server, name, picture, *words, ways=member.ways)
        for name in callees:
            await until(programs[name], "link.online")
        called = [f"{name}@{server.domain}" for name in callees]
        words = ("call", *called, "--duration", str(settle + seconds + 1), *STATS, *first.words)
        programs[caller] = await start(server, caller, picture, *words, ways=first.ways)
        for _ in callees:
            await until(programs[caller], "peer.state", new="connected")
        needed = await asyncio.gather(*(watch(programs[name].pid, seconds, settle) for name in NAMES))
        ended[caller] = await until(programs[caller], "call.ended", note=partial(note, codecs, caller))
        for name in callees:  # their call with each other would go on
            programs[name].terminate()
        for name in callees:
            ended[name] = await until(programs[name], "call.ended", note=partial(note, codecs, name))
        await asyncio.gather(*(program.communicate() for program in programs.values()))
        jids = {name: f"{name}@{server.domain}" for name in NAMES}
    return [
        Sample(
            *percent_and_memory,
            pictures=[rate(ended[name], jids[other]) for other in NAMES if other != name],
            codecs=[codec for (receiver, _), codec in codecs.items() if receiver == name],
            sent=[rate(ended[other], jids[name]) for other in NAMES if other != name],
        )
        for name, percent_and_memory in zip(NAMES, needed, strict=True)
    ]


def rate(ended: dict[str, Any], sender: str) -> float:
    """Pictures per second of a sender, by what a receiver's program said at the end."""
    return float(ended["peers"][sender]["frames"].get("video", 0)) / float(ended["connected"])


def note(codecs: dict[tuple[str, str], str], receiver: str, line: dict[str, Any]) -> None:
    """What a line says about the codec of pictures that came in; the codec of the packets, not what was agreed."""
    if line["type"] == "stats" and (codec := line["report"]["received"].get("video", {}).get("codec")):
        codecs[receiver, line["peer"]] = codec


async def watch(pid: int, seconds: float, settle: float) -> tuple[float, float]:
    """Percent of a core and megabytes of a process, over `seconds`."""
    process = psutil.Process(pid)
    await asyncio.sleep(settle)
    process.cpu_percent()
    await asyncio.sleep(seconds)
    return process.cpu_percent(), process.memory_info().rss / 1e6


async def until(
    process: asyncio.subprocess.Process,
    kind: str,
    note: Callable[[dict[str, Any]], None] = lambda line: None,
    **fields: str,
) -> dict[str, Any]:
    """The next line of this type with these fields; `note` is told all until then."""
    assert process.stdout is not None
    async for text in process.stdout:
        line: dict[str, Any] = json.loads(text)
        note(line)
        if line["type"] == kind and all(line.get(name) == value for name, value in fields.items()):
            return line
    raise RuntimeError(f"the process ended without {kind}")


def shown(values: Sequence[float]) -> str:
    """Each value."""
    return ", ".join(f"{value:.1f}" for value in values)


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    if smoke:
        return await measure((160, 120, 10), 1.0, settle=0.5)
    return [*await measure((320, 240, 15), 10.0), *await measure((640, 480, 30), 10.0)]
