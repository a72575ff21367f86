"""What media costs and how it arrives, with aiortc's own ways beside ours in the same run.

The figures of the processor and of the memory are those of one participant of four, each in a process of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from statistics import median

from benchmarks.beginning import beginning
from benchmarks.figures import Figure, middle, ratio, spread
from benchmarks.gathering import Picture
from benchmarks.loss import blackouts, losses
from benchmarks.mesh import SETTLE, Member, Sample, sampled
from benchmarks.one_process import one_process
from benchmarks.quality import CODECS, quality
from benchmarks.recording import recording
from benchmarks.ways import Ways

Part = Callable[[], Awaitable[list[Figure]]]
LARGE, SMALL, HIGH, TINY = (640, 480, 30), (320, 240, 15), (1280, 720, 30), (160, 120, 10)
TURNS, PLACES, SECONDS = 3, 4, 8.0
STOCK, ALL, NOTHING = "aiortc's ways", "all decoded", "nothing decoded"
"""The first is what the others are compared with."""
GOALS: dict[tuple[Picture, str], dict[str, float]] = {
    (LARGE, "VP8"): {ALL: 0.45, NOTHING: 0.30},
    (SMALL, "VP8"): {ALL: 0.45},
    (LARGE, "H264"): {ALL: 0.35},
}
"""Ratio of the processor time to aiortc's, at most."""
MEMORY = {(LARGE, "VP8"): 0.65}
"""The same of the memory."""


async def compare(
    picture: Picture, turns: int, seconds: float, codec: str = "VP8", settle: float = SETTLE
) -> list[Figure]:
    """Processor time and memory of participants of one call that differ in their ways, measured at the same time.

    In each turn they change places, as it is not the same to call and to be called.
    """
    ways = {
        STOCK: Ways(stock=True, codec=codec),
        ALL: Ways(watching=True, codec=codec),
        NOTHING: Ways(codec=codec),
    }
    fourth = Ways(watching=True, codec=codec)
    samples: dict[str, list[Sample]] = {name: [] for name in ways}
    for turn in range(turns):
        members = deque(Member(one) for one in (*ways.values(), fourth))
        members.rotate(turn)
        found = deque(await sampled(picture, seconds, members, settle=settle))
        found.rotate(-turn)
        for some, sample in zip(samples.values(), found, strict=False):  # nothing is said of the fourth
            some.append(sample)
    title = "{}x{}@{} {}, one of four".format(*picture, codec)
    (_, stock), *others = samples.items()
    goals, memory = GOALS.get((picture, codec), {}), MEMORY.get((picture, codec))
    figures = [figure for name, some in samples.items() for figure in told(f"{title}, {name}", some)]
    for name, ours in others:
        for what, most in (("percent", goals.get(name)), ("memory", memory)):
            few, many = ([getattr(one, what) for one in some] for some in (ours, stock))
            words = {"percent": "processor", "memory": "memory"}[what]
            goal = "" if most is None else f"at most {most:g}"
            figures.append(ratio(f"{title}, {name}: {words}, ratio to aiortc's ways", few, many, goal))
    return figures


MUTED = ("--mute", "audio", "--mute", "video")
SILENT = ("--source", "none")


async def mute(picture: Picture, turns: int, seconds: float, settle: float = SETTLE) -> list[Figure]:
    """What a muted participant costs above one who sends nothing, beside one who is not; all others are muted.

    One after the other: who hears somebody else needs more.
    """
    loud, muted = [], []
    for _ in range(turns):
        some = [
            (await sampled(picture, seconds, [Member(words=words)] + 3 * [Member(words=MUTED)], settle=settle))[0]
            for words in ((), MUTED, SILENT)
        ]
        nothing = some[-1].percent
        loud.append(max(some[0].percent - nothing, 0.1))
        muted.append(some[1].percent - nothing)
    title = "{}x{}@{}, one of four who is muted".format(*picture)
    return [
        middle(f"{title}: processor to send", muted, "% of a core"),
        ratio(f"{title}: processor to send, ratio to one who is not", muted, loud),
    ]


def told(what: str, samples: list[Sample]) -> list[Figure]:
    """The medians."""
    least = min(rate for one in samples for rate in one.pictures)
    given = min(rate for one in samples for rate in one.sent)
    codecs = Counter(codec for one in samples for codec in one.codecs)
    came = ", ".join(f"{codec} in {count} directions" for codec, count in codecs.items())
    percents = [one.percent for one in samples]
    return [
        Figure(
            f"{what}: processor",
            f"{median(percents):.1f} % of a core",
            f"{spread(percents)}; at least {least:.1f} pictures per second received, {given:.1f} sent; {came}",
        ),
        middle(f"{what}: memory", [one.memory for one in samples], "MB", digits=0),
    ]


async def run(*, smoke: bool) -> AsyncIterator[Figure]:
    """All figures of this module, as they are measured."""
    for part in quick() if smoke else whole():
        for figure in await part():
            yield figure


def whole() -> Iterator[Part]:
    """What is measured, one after the other."""
    yield partial(compare, LARGE, PLACES, SECONDS)
    yield partial(compare, SMALL, PLACES, SECONDS)
    yield partial(compare, LARGE, PLACES, SECONDS, "H264")
    yield partial(mute, LARGE, TURNS, SECONDS)
    yield partial(quality, TURNS, 5.0)
    yield partial(one_process, LARGE, TURNS, SECONDS)
    yield partial(one_process, HIGH, TURNS, SECONDS)
    yield partial(beginning, TURNS, 6)
    yield partial(blackouts, TURNS, 2.0, [4.0, 12.0])
    yield partial(losses, TURNS, 10.0)
    yield partial(recording, TURNS, 300)


def quick() -> Iterator[Part]:
    """The same in short, to see that it works."""
    yield partial(compare, TINY, 1, 1.0, "H264", settle=0.5)
    yield partial(mute, TINY, 1, 1.0, settle=0.5)
    yield together
    yield partial(recording, 1, 10)


async def together() -> list[Figure]:
    """Parts that say nothing beside each other, but that they work."""
    some = await asyncio.gather(
        quality(1, 0.5, settle=0.5, codecs=CODECS[-1:]),
        one_process(TINY, 1, 0.5, settle=0.5),
        beginning(1, 0),
        blackouts(1, 0.3, [0.5], after=0.5),
        losses(1, 0.5, settle=0.2, percents=(0, 10)),
    )
    return [figure for figures in some for figure in figures]
