"""What a call of four costs each, with aiortc's own ways beside ours in the same run."""

from __future__ import annotations

from benchmarks.figures import Figure, ratio, spread
from benchmarks.mesh import Picture, Sample, sampled
from benchmarks.recording import recording

PICTURES: tuple[Picture, ...] = ((640, 480, 30), (320, 240, 15))
TURNS, SECONDS = 3, 8.0
PROGRAMS = {"aiortc's ways": "benchmarks.stock", "all decoded": "benchmarks.watching", "nothing decoded": "qbcall"}
"""The first is what the others are compared with."""


async def compare(picture: Picture, turns: int, seconds: float) -> list[Figure]:
    """Processor time and memory of one participant of four, the ways in turn."""
    samples: dict[str, list[Sample]] = {name: [] for name in PROGRAMS}
    for _ in range(turns):
        for name, program in PROGRAMS.items():
            samples[name].append(await sampled(picture, seconds, program))
    title = "{}x{}@{}, one of four".format(*picture)
    figures = [told(f"{title}, {name}", some) for name, some in samples.items()]
    (_, stock), *others = samples.items()
    for name, ours in others:
        for what in ("percent", "memory"):
            few, many = ([getattr(one, what) for one in some] for some in (ours, stock))
            figures.append(ratio(f"{title}, {name}: {what}, ratio", few, many))
    return figures


MUTED = ("--mute", "audio", "--mute", "video")
NOTHING = ("--source", "none")


async def mute(picture: Picture, turns: int, seconds: float) -> list[Figure]:
    """What a muted participant costs above one who sends nothing, beside one who is not; all others are muted."""
    loud, muted = [], []
    for _ in range(turns):
        some = [await sampled(picture, seconds, caller=words, others=MUTED) for words in ((), MUTED, NOTHING)]
        nothing = some[-1].percent
        loud.append(max(some[0].percent - nothing, 0.1))
        muted.append(some[1].percent - nothing)
    title = "{}x{}@{}, one of four who is muted".format(*picture)
    return [
        Figure(f"{title}: processor to send", f"{sorted(muted)[len(muted) // 2]:.1f} % of a core", spread(muted)),
        ratio(f"{title}: processor to send, ratio to one who is not", muted, loud),
    ]


def told(what: str, samples: list[Sample]) -> Figure:
    """The medians."""
    percents = sorted(one.percent for one in samples)
    least = min(rate for one in samples for rate in one.pictures)
    return Figure(
        f"{what}: processor",
        f"{percents[len(percents) // 2]:.1f} % of a core",
        f"{spread(percents)}; at least {least:.1f} pictures per second received",
    )


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    if smoke:
        return [*await compare((160, 120, 10), 1, 1.0), *await mute((160, 120, 10), 1, 1.0), *await recording(1, 10)]
    figures = [figure for picture in PICTURES for figure in await compare(picture, TURNS, SECONDS)]
    return [*figures, *await mute(PICTURES[0], TURNS, SECONDS), *await recording(TURNS, 300)]
