"""Four participants in one process, all of what they receive decoded: how much of it arrives.

Four times the work of one on a machine of two cores: with aiortc's ways there is not enough time for all of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from statistics import median
from time import perf_counter

import av
import psutil

from benchmarks.apart import apart
from benchmarks.figures import Figure, middle, spread
from benchmarks.gathering import NAMES, Guest, Picture, gathering
from benchmarks.ways import Ways
from qbcall import MediaKind
from qbcall.media.frames import Frame

WAYS = {"aiortc's ways": Ways(stock=True), "ours": Ways()}
SETTLE = 4.0
"""Seconds of the call before the measurement."""
GOALS: dict[Picture, dict[str, float]] = {(640, 480, 30): {"video": 30, "audio": 50}}
UNITS = {"video": "pictures", "audio": "audio frames"}
Key = tuple[str, str, str]
"""Receiver, sender and kind."""


async def crowd(picture: Picture, seconds: float, settle: float) -> dict[str, object]:
    """One call: frames per second of each kind and direction, percent of a core, and megabytes.

    `others` is what other programs took, in percent of a core; `off`, how far the statistics count otherwise.
    """
    came: Counter[Key] = Counter()

    def take(receiver: str, sender: str, frame: Frame) -> None:
        came[receiver, sender, "video" if isinstance(frame, av.VideoFrame) else "audio"] += 1

    process = psutil.Process()
    async with gathering(len(NAMES), picture, take) as guests:
        await asyncio.sleep(settle)
        process.cpu_percent()
        psutil.cpu_percent()
        before, told_before, began = came.copy(), told(guests), perf_counter()
        await asyncio.sleep(seconds)
        percent, taken = process.cpu_percent(), perf_counter() - began
        after, told_after = came.copy(), told(guests)
        others = psutil.cpu_percent() * (psutil.cpu_count() or 1) - percent
        memory = process.memory_info().rss / 1e6
    rates = {
        kind: [(after[key] - before[key]) / taken for key in told_after if key[2] == kind]
        for kind in ("video", "audio")
    }
    off = max(abs(after[key] - before[key] - told_after[key] + told_before[key]) for key in told_after)
    return {**rates, "percent": percent, "memory": memory, "off": off, "others": others}


def told(guests: list[Guest]) -> dict[Key, int]:
    """The same as the statistics count it."""
    return {
        (guest.name, sender, kind.value): count
        for guest in guests
        for kind in MediaKind
        for sender, count in guest.decoded(kind).items()
    }


async def one_process(picture: Picture, turns: int, seconds: float, settle: float = SETTLE) -> list[Figure]:
    """Both ways in turn."""
    found: dict[str, list[dict[str, list[float]]]] = {name: [] for name in WAYS}
    for _ in range(turns):
        for name, ways in WAYS.items():
            found[name].append(await apart(ways, crowd, picture, seconds, settle))
    return [figure for name, some in found.items() for figure in shown(picture, name, some)]


def shown(picture: Picture, name: str, some: list[dict[str, list[float]]]) -> list[Figure]:
    """The figures of one way."""
    title = "{}x{}@{}, four in one process, {}".format(*picture, name)
    figures = []
    for kind, unit in UNITS.items():
        least, medians = [min(one[kind]) for one in some], [median(one[kind]) for one in some]
        goal = GOALS.get(picture, {}).get(kind) if name == "ours" else None
        figures.append(
            Figure(
                f"{title}: {unit} per second of {len(some[0][kind])} directions",
                f"least {median(least):.1f}, median {median(medians):.1f}",
                f"least {spread(least)}; median {spread(medians)}",
                "" if goal is None else f"{goal:g}",
            )
        )
    percents, memories, others = ([one[what] for one in some] for what in ("percent", "memory", "others"))
    off = max(one["off"] for one in some)
    return [
        *figures,
        middle(f"{title}: processor", percents, "% of a core"),  # type: ignore[arg-type]  # numbers
        middle(f"{title}: processor of other programs", others, "% of a core"),  # type: ignore[arg-type]  # numbers
        middle(f"{title}: memory", memories, "MB", digits=0),  # type: ignore[arg-type]  # numbers
        Figure(f"{title}: frames counted otherwise by the statistics", f"{off} at most of a direction"),
    ]
