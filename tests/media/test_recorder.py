"""Recordings play: what went in comes out, together, whatever happened on the way."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from qbcall.core.model import User
from qbcall.errors import SinkError
from qbcall.media.recorder import Recorder
from qbcall.media.recording import Recording
from qbcall.media.sinks import open_sink
from qbcall.media.testcard import read
from qbcall.media.tone import pitch
from tests.media.pieces import cards, heard, sound

ANN = User("ann@example.org")
FPS, BLOCKS = 15, 50


def recording(tmp_path: Path) -> tuple[Recording, list[Path]]:
    paths: list[Path] = []

    def next_path() -> Path:
        paths.append(tmp_path / f"{len(paths)}.mkv")
        return paths[-1]

    return Recording(next_path), paths


def played(path: Path) -> tuple[list[tuple[float, int]], list[av.AudioFrame]]:
    """When each card is shown, and its counter; and the sound."""
    seen: list[tuple[float, int]] = []
    blocks: list[av.AudioFrame] = []
    with av.open(path) as container:
        for frame in (frame for packet in container.demux() for frame in packet.decode()):
            if isinstance(frame, av.VideoFrame):
                card = read(frame)
                seen.append((frame.time or 0.0, -1 if card is None else card.counter))
            elif isinstance(frame, av.AudioFrame):
                blocks.append(frame)
    return seen, blocks


def in_order(*streams: Iterator[tuple[float, av.VideoFrame | av.AudioFrame]]) -> list[tuple[float, object]]:
    return sorted((item for stream in streams for item in stream), key=lambda item: item[0])


def video(start: float, seconds: float, width: int = 160, height: int = 120) -> Iterator[tuple[float, av.VideoFrame]]:
    return (
        (start + number / FPS, frame)
        for number, frame in enumerate(islice(cards(width=width, height=height), round(seconds * FPS)))
    )


def audio(start: float, seconds: float) -> Iterator[tuple[float, av.AudioFrame]]:
    return (
        (start + number / BLOCKS, frame) for number, frame in enumerate(islice(sound(440), round(seconds * BLOCKS)))
    )


def write_all(some: Recording, items: list[tuple[float, object]]) -> None:
    for time, frame in items:
        assert isinstance(frame, (av.VideoFrame, av.AudioFrame))
        some.write(frame, time)
    some.close()


def test_recording_holds_every_picture_at_its_time_and_all_sound(tmp_path: Path) -> None:
    some, paths = recording(tmp_path)
    write_all(some, in_order(video(100.0, 2), audio(100.03, 2)))
    [path] = paths
    seen, blocks = played(path)
    assert [counter for _, counter in seen] == list(range(30))
    assert [time for time, _ in seen] == pytest.approx([number / FPS for number in range(30)], abs=0.002)
    samples = heard(blocks)
    assert len(samples) == pytest.approx(96_000, abs=2000)
    assert pitch(samples, 48_000) == pytest.approx(440, abs=1)


def test_gap_in_the_sound_is_filled_so_that_it_stays_with_the_picture(tmp_path: Path) -> None:
    some, paths = recording(tmp_path)
    write_all(some, in_order(video(0.0, 4), audio(0.0, 1), audio(3.0, 1)))
    _, blocks = played(paths[0])
    samples = heard(blocks)
    assert len(samples) == pytest.approx(4 * 48_000, abs=4000)
    assert not np.abs(samples[60_000:130_000].astype(int)).max() > 100
    assert pitch(samples[150_000:180_000], 48_000) == pytest.approx(440, abs=2)


def test_picture_that_changes_its_size_is_fitted_with_bars(tmp_path: Path) -> None:
    some, paths = recording(tmp_path)
    write_all(
        some,
        in_order(video(0.0, 0.4), video(1.0, 0.4, width=320, height=240), video(2.0, 0.4, width=120, height=160)),
    )
    with av.open(paths[0]) as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {(160, 120)}
    assert [card.counter for frame in frames[6:12] if (card := read(frame))] == list(range(6))
    assert frames[-1].to_ndarray()[60, :30].max() <= 20, "a bar at the left"
    assert frames[-1].to_ndarray()[60, 40:120].max() > 30


def test_recording_of_sound_alone_has_no_picture(tmp_path: Path) -> None:
    some, paths = recording(tmp_path)
    write_all(some, in_order(audio(0.0, 3)))
    seen, blocks = played(paths[0])
    assert seen == []
    assert len(heard(blocks)) == pytest.approx(144_000, abs=2000)


def test_kind_that_comes_late_starts_another_file_with_both(tmp_path: Path) -> None:
    some, paths = recording(tmp_path)
    write_all(some, in_order(audio(0.0, 6), video(4.0, 2)))
    first, second = (played(path) for path in paths)
    assert (len(first[0]), len(second[0])) == (0, 30)
    assert len(heard(first[1])) + len(heard(second[1])) == pytest.approx(6 * 48_000, abs=5000)


def test_short_recording_is_complete_and_empty_one_is_no_file(tmp_path: Path) -> None:
    some, paths = recording(tmp_path)
    some.close()
    assert paths == []
    write_all(some, in_order(audio(0.0, 0.2)))
    assert len(heard(played(paths[0])[1])) == pytest.approx(9600, abs=1500)


def test_sink_records_each_user_into_a_file_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"record:{tmp_path / 'calls'}")
        for name in ("ann", "bob"):
            for frame in islice(cards(name), 10):
                sink.write(User(f"{name}@example.org"), frame)
            for block in islice(sound(440), 20):
                sink.write(User(f"{name}@example.org"), block)
        await sink.close()

    asyncio.run(scenario())
    for name in ("ann", "bob"):
        seen, blocks = played(tmp_path / "calls" / f"{name}@example.org.mkv")
        assert [counter for _, counter in seen] == list(range(10))
        assert pitch(heard(blocks), 48_000) == pytest.approx(440, abs=5)


def test_full_disk_is_told_once_and_does_not_stop_the_call(tmp_path: Path) -> None:
    """A limit on the size of files breaks writing as a full disk does."""

    async def scenario() -> None:
        sink = await open_sink(f"record:{tmp_path}")
        assert isinstance(sink, Recorder)
        noise = np.random.default_rng(1)

        async def fill() -> None:
            for _ in range(10_000):
                pixels = noise.integers(0, 256, (120, 160, 3), np.uint8)
                sink.write(ANN, av.VideoFrame.from_ndarray(pixels, format="rgb24"))
                sink.write(ANN, next(sound(440)))
                await asyncio.sleep(0)

        with pytest.raises(SinkError, match="the recording broke"):
            await fill()
        assert isinstance(sink.error, OSError)
        await sink.close()

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        asyncio.run(scenario())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_failure_at_the_very_end_is_told_by_closing(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"record:{tmp_path / 'gone'}")
        sink.write(ANN, next(cards()))
        (tmp_path / "gone").rmdir()
        with pytest.raises(SinkError, match="the recording broke"):
            await sink.close()

    asyncio.run(scenario())
