"""Devices, and threads that read them."""

from __future__ import annotations

import asyncio
import sys
import threading
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from qbcall.errors import SourceError
from qbcall.media.blocks import Blocks
from qbcall.media.devices import DeviceInfo, devices
from qbcall.media.live import open_device
from qbcall.media.sound_devices import mix
from qbcall.media.testcard import read
from tests.media.pieces import cards, sound


def test_devices_are_listed_with_names_and_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setenv("DISPLAY", ":5")
    dev, sysfs = tmp_path / "dev", tmp_path / "sys"
    for path in (dev, sysfs / "video2"):
        path.mkdir(parents=True)
    for name in ("video10", "video2", "videonull", "null"):
        (dev / name).touch()
    (sysfs / "video2" / "name").write_text("Integrated Camera\n")
    found = devices(dev, sysfs)
    assert [(one.kind, one.name, one.spec) for one in found] == [
        ("camera", "Integrated Camera", ""),
        ("camera", "/dev/video10", ""),
        ("microphone", "", ""),
        ("speaker", "", ""),
        ("screen", "X11 display :5", "screen"),
    ]
    assert ["OpenCV" in one.missing for one in found[:2]] == [True, True]
    assert ["sounddevice cannot be imported" in one.missing for one in found[2:4]] == [True, True]


def test_machine_without_devices_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    found = devices(tmp_path / "none", tmp_path / "none")
    assert found[0] == DeviceInfo("camera", "", "", f"there is no {tmp_path / 'none'}/video*")
    assert found[-1] == DeviceInfo("screen", "", "", "there is no X11 display (DISPLAY is not set)")
    assert all(bool(one.spec) != bool(one.missing) for one in found)


class Film:
    """A device that shows as many cards as it is told, one for each permission, and then breaks."""

    def __init__(self, count: int) -> None:
        self.frames = islice(cards(), count)
        self.go = threading.Semaphore(0)
        self.closed = threading.Event()

    def grab(self) -> av.VideoFrame:
        self.go.acquire()
        for frame in self.frames:
            return frame
        raise OSError("unplugged")

    def close(self) -> None:
        self.closed.set()


def counter(frame: object) -> int:
    assert isinstance(frame, av.VideoFrame)
    card = read(frame)
    assert card is not None
    return card.counter


def test_device_is_read_in_a_thread_and_its_end_is_told() -> None:
    async def scenario() -> None:
        film = Film(2)
        source = await open_device("film", lambda: film)
        for number in range(2):
            reading = asyncio.ensure_future(source.read())
            film.go.release()
            assert counter(await reading) == number
        film.go.release()
        with pytest.raises(SourceError, match="the device broke: unplugged"):
            await source.read()
        await source.close()
        assert film.closed.is_set()

    asyncio.run(scenario())


def test_device_that_is_not_read_keeps_its_newest_frame_only() -> None:
    async def scenario() -> None:
        film = Film(5)
        source = await open_device("film", lambda: film)
        film.go.release(6)
        await asyncio.to_thread(film.closed.wait)
        assert counter(await source.read()) == 4
        with pytest.raises(SourceError):
            await source.read()
        await source.close()

    asyncio.run(scenario())


def test_device_is_let_go_when_its_source_is_closed() -> None:
    async def scenario() -> None:
        film = Film(1000)
        source = await open_device("film", lambda: film)
        film.go.release(1000)
        await source.read()
        await source.close()
        assert film.closed.is_set()

    asyncio.run(scenario())


def test_device_that_cannot_be_opened_is_named() -> None:
    def missing() -> Film:
        raise OSError("no film")

    with pytest.raises(SourceError, match="film:3: no film"):
        asyncio.run(open_device("film:3", missing))


def test_sound_of_all_users_is_mixed_and_clipped() -> None:
    loud = np.full((960, 2), 30_000, np.int16)
    assert (mix([loud, None, loud]) == 32_767).all()
    assert (mix([-loud, loud, None]) == 0).all()
    assert mix([]).shape == (960, 2)


def test_blocks_join_and_cut_sound_of_any_length() -> None:
    blocks = Blocks()
    for frame in islice(sound(440, 44_100, "mono", "fltp"), 10):
        blocks.push(frame)
    count = len(blocks)
    assert count in (8, 9, 10)
    pieces = [blocks.pull() for _ in range(count)]
    assert all(piece is not None and piece.shape == (960, 2) for piece in pieces)
    assert blocks.pull() is None
