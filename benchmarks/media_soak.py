"""A long call of four in one process, all decoded: nothing grows, nothing is out of order, lips and words agree.

Pictures say their number and when they were drawn; the sound says when it was made: see `sweep`.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import time

import av
import numpy as np
import psutil

from benchmarks.figures import Figure
from benchmarks.gathering import NAMES, Picture, gathering
from benchmarks.sweep import PERIOD, Sweep, place_of
from qbcall.media import testcard
from qbcall.media.frames import Frame, Source, VideoFormat
from qbcall.media.synthetic import TestCard

PICTURE: Picture = (320, 240, 15)
SECONDS, WARM = 600.0, 60.0
"""Of the call, and of its beginning, in which caches fill up."""
LOOK = 5.0
"""Seconds between two looks at what the process takes."""
MOST_APART = 0.08
"""Seconds between picture and sound."""
MOST_GROWTH = 0.05
"""Part of the memory that may come on top of it, by the slope of all that is seen after the beginning."""
NOISE = 0.005
"""Seconds by which the place of a block of sound may be misread."""


@dataclass
class Direction:
    """What one participant received of another."""

    counter: int = -1
    stamps: dict[str, int] = field(default_factory=dict)
    """Time stamp of the latest frame of each kind."""
    heard: tuple[float, float] | None = None
    """Where in its period the latest block of sound began, if it tells that, and its time stamp; in seconds."""
    pictures: int = 0
    blocks: int = 0
    unread: int = 0
    """Pictures that say nothing."""
    repeated: int = 0
    """Pictures that are the one before once more: a complete one was asked for while there was no new one."""
    skipped: int = 0
    """Numbers of pictures that did not come."""
    wrong: Counter[str] = field(default_factory=Counter)
    """Frames that do not follow the one before, by what says so."""
    delay: float | None = None
    """Seconds of the latest sound that told it."""
    apart: list[float] = field(default_factory=list)
    """Seconds that the sound is later than the picture, of the pictures of the present second."""
    second: int = 0
    medians: array[float] = field(default_factory=lambda: array("d"))
    """Of `apart`, of the seconds before; all of them would take memory themselves."""
    beyond: int = 0
    """Pictures that were too far from the sound."""

    def follow(self, kind: str, frame: Frame) -> None:
        """Check a time stamp."""
        assert frame.pts is not None, "received frames have time stamps"
        before, self.stamps[kind] = self.stamps.get(kind, -1), frame.pts
        self.wrong[f"time stamp of {kind}"] += frame.pts <= before

    def see(self, frame: av.VideoFrame, now: float, clock: float) -> None:
        """Look at a picture; `clock` is the time that cards say."""
        self.follow("video", frame)
        self.pictures += 1
        card = testcard.read(frame)
        if card is None:
            self.unread += 1
            return
        self.wrong["number of picture"] += card.counter < self.counter
        self.repeated += card.counter == self.counter
        if self.counter >= 0:
            self.skipped += max(card.counter - self.counter - 1, 0)
        self.counter = card.counter
        if self.delay is not None:
            self.note(int(now), self.delay - (clock - card.timestamp / 1000))

    def note(self, second: int, apart: float) -> None:
        """Note how far a picture is from the sound."""
        if second != self.second and self.apart:
            self.medians.append(median(self.apart))
            self.apart.clear()
        self.second = second
        self.apart.append(apart)
        self.beyond += abs(apart) > MOST_APART

    def hear(self, frame: av.AudioFrame, now: float, sweep: Sweep) -> None:
        """Listen to a block of sound."""
        self.follow("audio", frame)
        self.blocks += 1
        place, at = place_of(frame), self.stamps["audio"] / frame.sample_rate
        if place is None:
            return
        self.delay = sweep.delay(place, now)
        if self.heard is not None:
            # Time stamps say which period it is: both go on with the clock.
            before, at_before = self.heard
            step = at - at_before
            step += (place - before - step + PERIOD / 2) % PERIOD - PERIOD / 2
            self.wrong["place of sound"] += step < NOISE
        self.heard = place, at


@dataclass(frozen=True, slots=True)
class Taken:
    """What the process has at one time."""

    at: float
    memory: float
    """Megabytes."""
    threads: int
    files: int
    tasks: int

    @classmethod
    def now(cls, process: psutil.Process, at: float) -> Taken:
        """What it has."""
        return cls(
            at, process.memory_info().rss / 1e6, process.num_threads(), process.num_fds(), len(asyncio.all_tasks())
        )


async def soak(seconds: float, warm: float, look: float) -> list[Figure]:
    """One call."""
    directions: defaultdict[tuple[str, str], Direction] = defaultdict(Direction)
    sweeps = {name: Sweep() for name in NAMES}
    sources = {
        name: Source(audio=sweep, video=TestCard(VideoFormat(*PICTURE), name)) for name, sweep in sweeps.items()
    }
    loop = asyncio.get_running_loop()

    def take(receiver: str, sender: str, frame: Frame) -> None:
        direction = directions[receiver, sender]
        if isinstance(frame, av.VideoFrame):
            direction.see(frame, loop.time(), time())
        else:
            direction.hear(frame, loop.time(), sweeps[sender])

    process, seen = psutil.Process(), list[Taken]()
    async with gathering(len(NAMES), PICTURE, take, sources=sources):
        began = loop.time()
        process.cpu_percent()
        psutil.cpu_percent()
        while loop.time() < began + seconds:
            await asyncio.sleep(look)
            seen.append(Taken.now(process, loop.time() - began))
        percent, taken = process.cpu_percent(), loop.time() - began
        others = psutil.cpu_percent() * (psutil.cpu_count() or 1) - percent
    settled = [one for one in seen if one.at >= warm] or seen[-1:]
    return [
        *kept(settled),
        *ordered(list(directions.values()), taken),
        together(list(directions.values())),
        Figure(
            f"processor of all four, in {taken:.0f} s", f"{percent:.1f} % of a core", f"other programs {others:.1f} %"
        ),
    ]


def verdict(what: str, passed: bool, words: str, goal: str) -> Figure:
    """Whether it passed, with figures."""
    return Figure(what, f"{'pass' if passed else 'FAIL'}, {words}", goal=goal)


def kept(seen: list[Taken]) -> list[Figure]:
    """What the process took after the beginning."""
    first, last = seen[0], seen[-1]
    minutes = [one.at / 60 for one in seen]
    slope = float(np.polyfit(minutes, [one.memory for one in seen], 1)[0]) if len(seen) > 2 else 0.0
    grown = slope * (minutes[-1] - minutes[0])
    return [
        verdict(
            "memory",
            grown <= MOST_GROWTH * first.memory,
            f"{first.memory:.0f} MB after {first.at:.0f} s, {last.memory:.0f} MB after {last.at:.0f} s,"
            f" at most {max(one.memory for one in seen):.0f} MB, slope {slope:+.2f} MB/min",
            f"at most {MOST_GROWTH:.0%} more by the slope",
        ),
        *(
            flat(what, count, seen)
            for what, count in (
                ("threads", lambda one: one.threads),
                ("file descriptors", lambda one: one.files),
                ("tasks", lambda one: one.tasks),
            )
        ),
    ]


def flat(what: str, count: Callable[[Taken], int], seen: list[Taken]) -> Figure:
    """Whether there are as many at the end as at the beginning; some come and go."""
    counts = [count(one) for one in seen]
    part = max(len(counts) // 4, 1)
    first, last = median(counts[:part]), median(counts[-part:])
    words = f"{counts[0]} at first, {counts[-1]} at last, {min(counts)} to {max(counts)}; median of the first quarter"
    return verdict(what, last <= first, f"{words} {first:g}, of the last {last:g}", "no more at last than at first")


def ordered(directions: list[Direction], seconds: float) -> list[Figure]:
    """Order, and what came at all."""
    expected = len(NAMES) * (len(NAMES) - 1)
    wrong = +sum((one.wrong for one in directions), Counter[str]())
    pictures, blocks = ([getattr(one, what) for one in directions] for what in ("pictures", "blocks"))
    unread, skipped, repeated = (
        sum(getattr(one, what) for one in directions) for what in ("unread", "skipped", "repeated")
    )
    return [
        verdict(
            f"order in {len(directions)} directions",
            not wrong and len(directions) == expected,
            f"{sum(wrong.values())} frames out of order {dict(wrong)} of {sum(pictures)} pictures and"
            f" {sum(blocks)} blocks of sound;"
            f" {unread} pictures unreadable, {skipped} numbers of pictures left out, {repeated} repeated",
            "none out of order",
        ),
        Figure(
            "arrived per second, of the least direction",
            f"{min(pictures) / seconds:.2f} pictures of {PICTURE[2]},"
            f" {min(blocks) / seconds:.2f} blocks of sound of 50",
        ),
    ]


def together(directions: list[Direction]) -> Figure:
    """Picture and sound, each second of each direction, and each picture."""
    seconds = np.array([value for one in directions for value in one.medians] or [np.nan])
    beyond, pictures = (sum(getattr(one, what) for one in directions) for what in ("beyond", "pictures"))
    return verdict(
        "sound later than the picture",
        bool(np.max(np.abs(seconds)) <= MOST_APART),
        f"median {np.median(seconds) * 1e3:+.0f} ms; medians of each second {seconds.min() * 1e3:+.0f} to"
        f" {seconds.max() * 1e3:+.0f} ms, n={len(seconds)}; {beyond} of {pictures} pictures beyond",
        f"at most {MOST_APART * 1e3:.0f} ms in the median of each second",
    )


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    return await (soak(2.0, 1.0, 0.25) if smoke else soak(SECONDS, WARM, LOOK))
