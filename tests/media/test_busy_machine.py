"""Sources on a machine that is too busy: what is late is dropped, and nothing lags behind the clock."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame, VideoFormat
from qbcall.media.outgoing import Local
from qbcall.media.sources import open_source
from qbcall.media.testcard import read
from tests.media.pieces import heard, make_file, pictures
from tests.media.virtual_clock import VirtualClockLoop, run

FORMAT = VideoFormat(160, 120, 15)
BOTH = tuple(MediaKind)
Spec = Callable[[Path], str]
PICTURES: list[Spec] = [
    lambda place: "test",
    lambda place: f"file:{make_file(place / 'a.mkv', seconds=12)},loop=no",
    lambda place: f"file:{make_file(place / 'b.mkv', seconds=2)}",
]


def counter(frame: Frame) -> int:
    """The number on a card."""
    (picture,) = pictures([frame])
    card = read(picture)
    assert card is not None
    return card.counter


async def opened(spec: str) -> Local:
    return Local.of(await open_source(spec, FORMAT, "ann", BOTH), FORMAT)


@pytest.mark.parametrize("make", PICTURES)
@pytest.mark.parametrize("stall", [0.3, 1.0, 5.0])
def test_picture_after_a_stall_is_that_of_now(make: Spec, stall: float, tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        spec = make(tmp_path)
        local = await opened(spec)
        assert local.video is not None
        feed = local.video.subscribe()
        first = await feed.recv()
        start = loop.time() - counter(first) / 15
        for _ in range(20):
            await feed.recv()
        loop.now += stall
        for _ in range(4):  # one that waited, one that was just made, and those that follow
            latest = await feed.recv()
        whole = 30 if "b.mkv" in spec else 10**9
        expected = (loop.time() - start) * 15 % whole
        lag = (expected - counter(latest)) % whole
        assert lag == pytest.approx(0, abs=2) or lag == pytest.approx(whole, abs=2)
        assert latest.pts is not None
        assert first.pts is not None
        assert (latest.pts - first.pts) / 90_000 == pytest.approx(loop.time() - start, abs=0.1)
        await local.close()

    run(scenario)


@pytest.mark.parametrize("make", PICTURES[:2])
def test_machine_that_manages_every_third_picture_shows_those_of_now(make: Spec, tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        local = await opened(make(tmp_path))
        assert local.video is not None
        feed = local.video.subscribe()
        start = loop.time() - counter(await feed.recv()) / 15
        for _ in range(40):
            loop.now += 0.2  # each takes three times as long as it may
            latest = await feed.recv()
            assert counter(latest) == pytest.approx((loop.time() - start) * 15, abs=7)
        assert counter(latest) > 100
        await local.close()

    run(scenario)


def speech_at_three_seconds(path: Path) -> Path:
    """Silence, and noise from the third second on."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        noise = np.random.default_rng(1).integers(-9000, 9000, 5 * 48_000).astype("<i2")
        file.writeframes(np.concatenate([np.zeros(3 * 48_000, "<i2"), noise]).tobytes())
    return path


@pytest.mark.parametrize("stall", [0.07, 0.12, 0.18, 0.25, 1.0, 2.0])
def test_sound_of_a_file_after_a_stall_is_that_of_now(stall: float, tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        local = await opened(f"file:{speech_at_three_seconds(tmp_path / 'a.wav')},loop=no")
        assert local.audio is not None
        feed = local.audio.subscribe()
        await feed.recv()
        start = loop.time()
        for _ in range(20):
            await feed.recv()
        loop.now += stall
        while not heard([await feed.recv()]).any():
            pass
        assert loop.time() - start == pytest.approx(3.05, abs=0.1)  # 40 to 60 ms are always read ahead
        await local.close()

    run(scenario)


def test_muted_file_goes_on_behind_the_silence(tmp_path: Path) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        local = await opened(f"file:{speech_at_three_seconds(tmp_path / 'a.wav')},loop=no")
        assert local.audio is not None
        feed = local.audio.subscribe()
        await feed.recv()
        start = loop.time()
        local.audio.muted = True
        while loop.time() < start + 4:
            assert not heard([await feed.recv()]).any()
        local.audio.muted = False
        blocks = [await feed.recv() for _ in range(20)]
        assert heard(blocks[-10:]).any()
        await asyncio.sleep(0)
        await local.close()

    run(scenario)
