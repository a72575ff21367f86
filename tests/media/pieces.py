"""Small sources and media files for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from qbcall.media import testcard
from qbcall.media.blocks import audio_frame, samples_of
from qbcall.media.frames import Frame, SourceEnded, VideoFormat
from qbcall.media.outgoing import Feed
from qbcall.media.tone import tone

EPOCH = 1_700_000_000_000


class Given:
    """A source without a pace: yields what it was given, then ends, or raises."""

    def __init__(self, frames: Iterable[Frame], error: Exception | None = None) -> None:
        self.given = iter(frames)
        self.reads = 0
        self.closed = 0
        self.error = error

    async def read(self) -> Frame:
        self.reads += 1
        for frame in self.given:
            return frame
        raise self.error or SourceEnded

    async def close(self) -> None:
        self.closed += 1


class Stuck(Given):
    """A source that yields nothing, ever."""

    def __init__(self) -> None:
        super().__init__(())

    async def read(self) -> Frame:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


def cards(name: str = "ann", width: int = 160, height: int = 120, first: int = 0) -> Iterator[av.VideoFrame]:
    format, number = VideoFormat(width, height, 15), first
    while True:
        yield testcard.draw(format, name, number, EPOCH + number)
        number += 1


def sound(hertz: int, rate: int = 48_000, layout: str = "mono", format: str = "s16") -> Iterator[av.AudioFrame]:
    """20 ms frames of a tone, in any rate, layout and format."""
    resampler = av.AudioResampler(format, layout, rate)
    for number, block in enumerate(tone(hertz)):
        frame = audio_frame(block[:, None])
        frame.pts, frame.time_base = number * 960, Fraction(1, 48_000)
        yield from resampler.resample(frame)


async def take(feed: Feed, count: int) -> list[Frame]:
    return [await feed.recv() for _ in range(count)]


def pictures(frames: Iterable[Frame]) -> list[av.VideoFrame]:
    return [frame for frame in frames if isinstance(frame, av.VideoFrame)]


def heard(frames: Iterable[Frame]) -> np.typing.NDArray[np.int16]:
    """All sound of some frames, shape (samples, channels)."""
    return np.concatenate([samples_of(frame) for frame in frames if isinstance(frame, av.AudioFrame)])


def make_file(path: Path, *, seconds: float = 1.0, fps: int = 15, width: int = 160, height: int = 120) -> Path:
    """A Matroska file with test cards of `ann` and a tone of 440 Hz."""
    with av.open(path, "w", format="matroska") as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "18"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("libopus", rate=48_000, layout="mono")
        for number, card in zip(range(round(seconds * fps)), cards(width=width, height=height), strict=False):
            card.pts, card.time_base = number, Fraction(1, fps)
            container.mux(video.encode(card))
        for number, block in zip(range(round(seconds * 50)), tone(440), strict=False):
            frame = audio_frame(block[:, None])
            frame.pts, frame.time_base = number * 960, Fraction(1, 48_000)
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path
