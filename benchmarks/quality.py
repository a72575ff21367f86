"""How like the picture that is received is to the one that was sent, at a bit rate that the encoders are told.

Two in one process: one sends test cards, or pictures all of which move; the other keeps some of what it decodes. Each
says its name, number and time: so it is drawn once more, and compared. Encoders miss the rate that they are told,
each in its own way: what really came is told beside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import nan
from statistics import median
from time import perf_counter
from typing import TypedDict

import av
import numpy as np

from benchmarks import moving
from benchmarks.apart import apart
from benchmarks.figures import Figure, spread
from benchmarks.gathering import NAMES, Picture, gathering
from benchmarks.ways import Ways
from qbcall import MediaKind, StatsReport
from qbcall.core.model import User
from qbcall.media import testcard
from qbcall.media.cardcode import Card
from qbcall.media.frames import Frame, Source, VideoFormat
from qbcall.media.planes import luma

CODECS = ("VP8", "H264")
PICTURE: Picture = (640, 480, 30)
RATE = 500
"""Kilobit per second that the encoders are told."""
SETTLE = 6.0
"""Seconds of the call before the measurement: rates have settled."""
EVERY = 3
"""Of how many pictures one is compared."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is sent."""

    source: object
    draw: Callable[[VideoFormat, Card], av.VideoFrame]
    """Once more."""


def _card(format: VideoFormat, card: Card) -> av.VideoFrame:
    return testcard.draw(format, card.name, card.counter, card.timestamp)


FORMAT = VideoFormat(*PICTURE)
SUBJECTS = {
    "test card": Subject("test", _card),
    "moving picture": Subject(Source(video=moving.Moving(FORMAT, NAMES[0])), moving.draw),
}


class Look(TypedDict):
    """What was received in one call."""

    psnr: list[float]
    """Decibel of luma, of each picture that was compared."""
    unread: int
    """Pictures that could not be compared: so bad that their number cannot be read."""
    rate: float
    """Kilobit per second of RTP payload, as the receiver counts."""
    sent: float
    """The same as the sender counts."""
    pictures: float
    """Per second."""
    codec: str


async def look(seconds: float, settle: float, subject: str = "test card") -> Look:
    """One call."""
    kept: list[av.VideoFrame] = []
    came: list[float] = []

    def take(receiver: str, sender: str, frame: Frame) -> None:
        if isinstance(frame, av.VideoFrame) and receiver == NAMES[1]:
            came.append(perf_counter())
            if began is not None and len(came) % EVERY == 0:
                kept.append(frame)

    began: float | None = None
    async with gathering(2, PICTURE, take, sources={NAMES[0]: SUBJECTS[subject].source, NAMES[1]: "none"}) as guests:
        await asyncio.sleep(settle)
        before = [only(guest.call.stats()) for guest in guests]
        began = perf_counter()
        await asyncio.sleep(seconds)
        after = [only(guest.call.stats()) for guest in guests]
        taken = perf_counter() - began
    (sent, _), (_, received) = ([one.sent, one.received] for one in after)
    (sent_before, _), (_, received_before) = ([one.sent, one.received] for one in before)
    video = MediaKind.VIDEO
    bits = [
        (now[video].bytes or 0) - (then[video].bytes or 0)
        for now, then in ((received, received_before), (sent, sent_before))
    ]
    found = [psnr(frame, SUBJECTS[subject].draw) for frame in kept]
    return Look(
        psnr=[value for value in found if value is not None],
        unread=found.count(None),
        rate=bits[0] * 8e-3 / taken,
        sent=bits[1] * 8e-3 / taken,
        pictures=sum(at >= began for at in came) / taken,
        codec=str(received[video].codec),
    )


def only(reports: Mapping[User, StatsReport]) -> StatsReport:
    """The one there is."""
    (report,) = reports.values()
    return report


def psnr(frame: av.VideoFrame, draw: Callable[[VideoFormat, Card], av.VideoFrame]) -> float | None:
    """Decibel of a received picture's luma against the picture as it was drawn; None: it does not say which it is."""
    card = testcard.read(frame)
    if card is None:
        return None
    assert (frame.width, frame.height) == PICTURE[:2], "it is as large as it was"
    drawn = draw(FORMAT, card)
    difference = luma(frame).astype(np.float64) - luma(drawn)
    return float(10 * np.log10(255**2 / max(float(np.mean(difference**2)), 1e-3)))


async def quality(
    turns: int,
    seconds: float,
    settle: float = SETTLE,
    codecs: Sequence[str] = CODECS,
    subjects: Iterable[str] = SUBJECTS,
) -> list[Figure]:
    """Both ways in turn, with both codecs."""
    cases = list(product(subjects, codecs))
    found: dict[tuple[str, str, bool], list[Look]] = {(*case, stock): [] for case in cases for stock in (True, False)}
    for _ in range(turns):
        for (subject, codec, stock), some in found.items():
            ways = Ways(stock=stock, codec=codec, bits=RATE * 1000)
            some.append(await apart(ways, look, seconds, settle, subject))
    return [figure for case in cases for figure in shown(*case, stock=found[*case, True], ours=found[*case, False])]


def shown(subject: str, codec: str, *, stock: list[Look], ours: list[Look]) -> list[Figure]:
    """The figures of one codec."""
    title = "{}x{}@{} {}, {}, told {} kbit/s".format(*PICTURE, codec, subject, RATE)
    better = [level(one) - level(other) for one, other in zip(ours, stock, strict=True)]
    rates = [one["rate"] / (other["rate"] or nan) for one, other in zip(ours, stock, strict=True)]
    return [
        row(f"{title}, aiortc's ways: PSNR of luma", stock),
        row(f"{title}, ours: PSNR of luma", ours),
        Figure(
            f"{title}: PSNR of ours above that of aiortc's ways",
            f"{median(better):+.2f} dB with {median(rates):.2f} times as many bits",
            f"{spread(better, 2)}; {spread(rates, 2)}",
            "at least -1 dB" if subject == "test card" else "",
        ),
    ]


def level(one: Look) -> float:
    """The median; NaN: no picture could be compared, e.g. as the machine was too busy."""
    return median(one["psnr"] or [nan])


def row(what: str, looks: list[Look]) -> Figure:
    """What was measured."""
    values = [level(one) for one in looks]
    rates, sent, pictures = ([one[key] for one in looks] for key in ("rate", "sent", "pictures"))
    codecs = {one["codec"] for one in looks}
    return Figure(
        what,
        f"{median(values):.2f} dB at {median(rates):.0f} kbit/s on the wire",
        f"{spread(values, 2)}; {spread(rates, 0)} kbit/s received, {spread(sent, 0)} sent;"
        f" {median(pictures):.1f} pictures per second; {' '.join(codecs)};"
        f" {sum(len(one['psnr']) for one in looks)} pictures compared,"
        f" {sum(one['unread'] for one in looks)} unreadable",
    )
