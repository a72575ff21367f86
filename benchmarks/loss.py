"""What becomes of sound and picture on a bad network: packets that are lost, and a path that is gone for a while.

Two participants in one process; the sockets of one lose what they send and what they receive. Both directions count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import nan
from statistics import median
from typing import TypedDict

import av

from benchmarks.apart import apart
from benchmarks.figures import Figure, middle, milliseconds
from benchmarks.gathering import NAMES, Guest, Picture, gathering
from benchmarks.sweep import Sweep, place_of
from benchmarks.ways import Ways
from qbcall import MediaKind
from qbcall.media.frames import Frame, Source, VideoFormat
from qbcall.media.synthetic import TestCard

WAYS = {"aiortc's ways": Ways(stock=True), "ours": Ways()}
PICTURE: Picture = (640, 480, 30)
SETTLE = 3.0
"""Seconds of the call before the measurement."""
LOSSES = {1: "at least 49.8", 10: "at least 45"}
"""Percent, and blocks of 20 ms a second that are to be there."""
AFTER = 5.0
"""Seconds after a blackout, in which all is to come back."""


@dataclass
class Ear:
    """What one participant received."""

    sound: list[tuple[float, float | None]] = field(default_factory=list)
    """When each block came, and its delay where it tells that."""
    pictures: list[float] = field(default_factory=list)
    """When each came."""

    def delay(self, since: float) -> float:
        """Seconds: the median of the sound from then on; NaN: none of it told."""
        return median([delay for at, delay in self.sound if delay is not None and at >= since] or [nan])


class Heard(TypedDict):
    """What was measured in one direction."""

    blocks: float
    """Of sound, per second."""
    made_up: float
    """How many of them were made up in the place of lost ones."""
    delay: float
    """Seconds of the sound at last."""
    frozen: float
    """Part of the time in which the picture stood still for more than 0.1 s."""


def receiving(ears: dict[str, Ear], sweeps: dict[str, Sweep], receiver: str, sender: str, frame: Frame) -> None:
    """Note a frame."""
    now = asyncio.get_running_loop().time()
    if isinstance(frame, av.VideoFrame):
        ears[receiver].pictures.append(now)
    else:
        place = place_of(frame)
        ears[receiver].sound.append((now, None if place is None else sweeps[sender].delay(place, now)))


def sources(sweeps: dict[str, Sweep]) -> dict[str, object]:
    """Test cards with a sound that tells its age."""
    return {name: Source(audio=sweep, video=TestCard(VideoFormat(*PICTURE), name)) for name, sweep in sweeps.items()}


async def lossy(impair: str, seconds: float, settle: float) -> list[Heard]:
    """One call: both directions."""
    ears, sweeps = {name: Ear() for name in NAMES[:2]}, {name: Sweep() for name in NAMES[:2]}
    async with gathering(
        2, PICTURE, lambda *words: receiving(ears, sweeps, *words), impair=impair, sources=sources(sweeps)
    ) as guests:
        await asyncio.sleep(settle)
        began, before = asyncio.get_running_loop().time(), [made_up(guest) for guest in guests]
        await asyncio.sleep(seconds)
        ended, after = asyncio.get_running_loop().time(), [made_up(guest) for guest in guests]
    taken = ended - began
    found: list[Heard] = []
    for guest, first, last in zip(guests, before, after, strict=True):
        ear = ears[guest.name]
        times = [at for at, _ in ear.sound if began <= at < ended]
        gaps = (later - max(sooner, began) for sooner, later in pairwise(ear.pictures) if began < later <= ended)
        found.append(
            Heard(
                blocks=len(times) / taken,
                made_up=(last - first) / taken,
                delay=ear.delay(began + taken / 2),
                frozen=sum(gap for gap in gaps if gap > 0.1) / taken,
            )
        )
    return found


def made_up(guest: Guest) -> int:
    """Blocks of sound in the place of lost ones."""
    return sum(report.received[MediaKind.AUDIO].frames_concealed or 0 for report in guest.call.stats().values())


async def losses(
    turns: int, seconds: float, settle: float = SETTLE, percents: Sequence[int] = (0, *LOSSES)
) -> list[Figure]:
    """Both ways in turn, without loss and with each loss."""
    found: dict[tuple[str, int], list[Heard]] = {(name, loss): [] for name in WAYS for loss in percents}
    for turn in range(turns):
        for (name, loss), some in found.items():
            impair = f"loss={loss}%,seed={turn + 1}" if loss else ""
            some.extend(await apart(WAYS[name], lossy, impair, seconds, settle))
    return [
        figure
        for (name, loss), some in found.items()
        for figure in (shown(name, loss, some, found[name, 0]) if loss else bare(name, some))
    ]


def bare(name: str, some: list[Heard]) -> list[Figure]:
    """Without loss."""
    title = f"no loss, {name}"
    return [
        middle(f"{title}: audio frames per second", [one["blocks"] for one in some]),
        milliseconds(f"{title}: delay of the sound", [one["delay"] for one in some]),
    ]


def shown(name: str, loss: int, some: list[Heard], without: list[Heard]) -> list[Figure]:
    """With loss, against the same without."""
    title, ours = f"{loss} % loss, {name}", name == "ours"
    whole = [one["blocks"] - one["made_up"] for one in some]
    more = [one["delay"] - other["delay"] for one, other in zip(some, without, strict=True)]
    return [
        middle(f"{title}: audio frames per second", [one["blocks"] for one in some], goal=LOSSES[loss] * ours),
        middle(f"{title}: of them not made up", whole),
        milliseconds(f"{title}: standing delay of the sound", more, "0 ms" * ours),
        middle(
            f"{title}: picture stood still for more than 0.1 s",
            [one["frozen"] * 1e2 for one in some],
            "% of the time",
        ),
    ]


class Dark(TypedDict):
    """What one participant saw of a blackout, in seconds."""

    video: float
    """From its end to the first picture."""
    audio: float
    """The same of the sound."""
    gap: float
    """From the last picture before it to the first one after it, without its length."""


async def dark(length: float, starts: list[float], after: float) -> list[Dark]:
    """One call with several blackouts."""
    ears, sweeps = {name: Ear() for name in NAMES[:2]}, {name: Sweep() for name in NAMES[:2]}
    impair = ",".join(f"blackout={length:g}s@{start:g}s" for start in starts)
    loop = asyncio.get_running_loop()
    async with gathering(
        2, PICTURE, lambda *words: receiving(ears, sweeps, *words), impair=impair, sources=sources(sweeps)
    ) as guests:
        await asyncio.sleep(starts[0] / 2)
        media = guests[0].client._media
        assert media is not None, "the client was entered"
        began = media._networks[guests[0].call.id]._began
        assert began is not None, "media flows"
        await asyncio.sleep(began + starts[-1] + length + after - loop.time())
    return [seen(ear, began + start, began + start + length, after) for ear in ears.values() for start in starts]


def seen(ear: Ear, start: float, end: float, after: float) -> Dark:
    """Of one blackout."""
    video, audio = first(ear.pictures, end, after), first((at for at, _ in ear.sound), end, after)
    last = max((at for at in ear.pictures if at < end), default=nan)
    if last >= start + (end - start) / 2:  # nothing passes, but what came before may be decoded late
        return Dark(video=nan, audio=nan, gap=nan)
    return Dark(video=video - end, audio=audio - end, gap=video - last - (end - start))


def first(times: Iterable[float], since: float, after: float) -> float:
    """The first of them that is not before; the end of the measurement, if there is none."""
    return min((at for at in times if at >= since), default=since + after)


async def blackouts(turns: int, length: float, starts: list[float], after: float = AFTER) -> list[Figure]:
    """Both ways in turn."""
    found: dict[str, list[Dark]] = {name: [] for name in WAYS}
    for _ in range(turns):
        for name, ways in WAYS.items():
            found[name] += await apart(ways, dark, length, starts, after)
    title = f"blackout of {length:g} s"
    words = {
        "video": "path back to the first picture",
        "gap": "gap of pictures, without its length",
        "audio": "path back to the first sound",
    }
    return [
        milliseconds(
            f"{title}, {name}: {word}",
            [one[kind] for one in some],  # type: ignore[literal-required]  # a key of both
            "at most 250 ms" if name == "ours" and kind == "video" else "",
        )
        for name, some in found.items()
        for kind, word in words.items()
    ]
