"""Media files as sources, with files made on the spot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import numpy as np
import pytest

from qbcall.core.model import MediaKind
from qbcall.errors import SourceError
from qbcall.media.blocks import samples_of
from qbcall.media.frames import Frame, FrameSource, Source, SourceEnded, VideoFormat
from qbcall.media.sources import open_source
from qbcall.media.testcard import read
from qbcall.media.tone import pitch
from tests.media.pieces import heard, make_file, pictures
from tests.media.test_sources import open_files
from tests.media.virtual_clock import VirtualClockLoop, run

FORMAT = VideoFormat(160, 120, 15)
BOTH = tuple(MediaKind)


async def read_all(part: FrameSource | None) -> list[Frame]:
    assert part is not None
    frames: list[Frame] = []
    while True:
        try:
            frames.append(await part.read())
        except SourceEnded:
            return frames


async def read_some(part: FrameSource | None, count: int) -> list[Frame]:
    assert part is not None
    return [await part.read() for _ in range(count)]


def counters(frames: list[Frame]) -> list[int]:
    found = [read(frame) for frame in pictures(frames)]
    return [-1 if card is None else card.counter for card in found]


async def opened(path: Path, format: VideoFormat = FORMAT, options: str = "") -> Source:
    return await open_source(f"file:{path}{options}", format, "bob", BOTH)


def test_file_is_played_once_in_real_time_with_all_its_sound_and_pictures(tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = await opened(make_file(tmp_path / "a.mkv", seconds=2), options=",loop=no")
        start = loop.time()
        seen, blocks = await asyncio.gather(read_all(source.video), read_all(source.audio))
        assert 1.8 < loop.time() - start < 2.2
        assert counters(seen) == list(range(30))
        samples = heard(blocks)
        assert len(samples) == pytest.approx(96_000, abs=2000)
        assert pitch(samples, 48_000) == pytest.approx(440, abs=1)
        await source.close()

    run(scenario)


def test_file_is_played_again_and_again_unless_told_otherwise(tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = await opened(make_file(tmp_path / "a.mkv", seconds=1))
        start = loop.time()
        seen, blocks = await asyncio.gather(read_some(source.video, 60), read_some(source.audio, 200))
        assert loop.time() - start == pytest.approx(4, abs=0.3)
        assert counters(seen)[:45] == list(range(15)) * 3
        assert pitch(heard(blocks), 48_000) == pytest.approx(440, abs=5)
        await source.close()

    run(scenario)


def test_reader_that_was_away_gets_what_is_due_now(tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = await opened(make_file(tmp_path / "a.mkv", seconds=8), options=",loop=no")
        await read_some(source.video, 5)
        for _ in range(60):  # only the sound is read for a while, as when the picture is muted
            await read_some(source.audio, 4)
        [late] = counters(await read_some(source.video, 1))
        assert late == pytest.approx((loop.time() - 1000) * 15, abs=3)
        await source.close()

    run(scenario)


@pytest.mark.parametrize(
    ("size", "wanted", "found"),
    [
        ((320, 240), (160, 120), (160, 120)),
        ((320, 180), (160, 120), (160, 90)),
        ((160, 120), (640, 480), (160, 120)),
        ((120, 320), (160, 120), (44, 120)),
    ],
)
def test_picture_is_made_smaller_with_its_proportions_and_never_larger(
    size: tuple[int, int], wanted: tuple[int, int], found: tuple[int, int], tmp_path: Path
) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        path = make_file(tmp_path / "a.mkv", seconds=0.4, width=size[0], height=size[1])
        source = await opened(path, VideoFormat(*wanted, 15))
        [frame] = pictures(await read_some(source.video, 1))
        assert (frame.width, frame.height, frame.format.name) == (*found, "yuv420p")
        await source.close()

    run(scenario)


def test_pictures_beyond_the_wished_rate_are_left_out(tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = await opened(make_file(tmp_path / "a.mkv", seconds=2, fps=30), options=",loop=no")
        seen = await read_all(source.video)
        assert len(seen) == pytest.approx(30, abs=2)
        assert set(np.diff(counters(seen))) == {2}
        await source.close()

    run(scenario)


def test_picture_file_is_a_still(tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        path = tmp_path / "still.png"
        with av.open(make_file(tmp_path / "a.mkv")) as movie:
            next(movie.decode(video=0)).save(path)
        source = await opened(path)
        assert source.audio is None
        assert counters(await read_some(source.video, 5)) == [0] * 5
        await source.close()

    run(scenario)


def test_damaged_packets_are_passed_over(tmp_path: Path) -> None:
    whole = make_file(tmp_path / "a.mkv", seconds=3).read_bytes()
    noise = np.random.default_rng(5).integers(0, 256, 300, np.uint8).tobytes()
    middle = len(whole) // 2
    damaged = tmp_path / "b.mkv"
    damaged.write_bytes(whole[:middle] + noise + whole[middle + 300 :])

    async def scenario(loop: VirtualClockLoop) -> None:
        source = await opened(damaged, options=",loop=no")
        seen, blocks = await asyncio.gather(read_all(source.video), read_all(source.audio))
        assert len(seen) > 15
        assert sum(len(samples_of(block)) for block in blocks if isinstance(block, av.AudioFrame)) > 48_000
        await source.close()

    run(scenario)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.webm", None, "there is no file"),
        (".", None, "there is no file"),
        ("garbage.webm", bytes(range(256)) * 40, "cannot be read as media"),
        ("empty.mp4", b"", "cannot be read as media"),
        ("notes.txt", b"remember the milk\n" * 50, "cannot be read as media"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "cannot be read as media"),
    ],
)
def test_file_that_is_missing_or_no_media_is_refused(
    name: str, content: bytes | None, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=f"file:.*{complaint}"):
        asyncio.run(opened(path))


def test_cut_off_file_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = make_file(tmp_path / "a.mkv", seconds=3).read_bytes()
    cut = tmp_path / "b.mkv"
    cut.write_bytes(whole[: len(whole) // 2])

    async def scenario(loop: VirtualClockLoop) -> None:
        source = await opened(cut, options=",loop=no")
        assert counters(await read_all(source.video))[:10] == list(range(10))
        await source.close()

    run(scenario)


def test_closed_file_leaves_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        path = make_file(tmp_path / "a.mkv")
        before = open_files()
        source = await opened(path)
        await read_some(source.video, 2)
        await source.close()
        assert open_files() == before

    run(scenario)
