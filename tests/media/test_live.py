"""Devices that block, and the event loop that they must not hold up."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import ModuleType

import av
import numpy as np
import pytest

from qbcall.core.model import MediaKind
from qbcall.errors import SourceError
from qbcall.media.frames import Frame, VideoFormat
from qbcall.media.live import LiveSource, open_device
from qbcall.media.planes import plain
from qbcall.media.sources import open_source

PATIENCE = 20.0
FORMAT = VideoFormat(160, 120, 15)


class Slow:
    """A device that gives a picture each time it is let."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.asked = self.grabbed = 0
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self.broken = False

    def grab(self) -> Frame:
        self.threads.add(threading.get_ident())
        self.asked += 1
        self.let.acquire()
        if self.broken:
            raise OSError("unplugged")
        self.grabbed += 1
        return plain(16 * self.grabbed, 16)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()


async def turns(count: int) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_event_loop_goes_on_while_a_device_blocks() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE):
            device = Slow()
            source = LiveSource(device)
            reading = asyncio.ensure_future(source.read())
            await turns(100)
            assert not reading.done()
            device.let.release()
            frame = await reading
            assert isinstance(frame, av.VideoFrame)
            assert frame.width == 16
            device.let.release()  # lets its thread see that it is to stop
            await source.close()
            assert device.closed.is_set()
            assert threading.get_ident() not in device.threads
            assert len(device.threads) == 1

    asyncio.run(scenario())


def test_reader_that_was_away_gets_the_newest_picture() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE):
            device = Slow()
            source = LiveSource(device)
            device.let.release(5)
            while device.asked <= 5:  # it asks for another when it has told of the fifth
                await asyncio.to_thread(turn_of_others)
            await turns(10)
            frame = await source.read()
            assert isinstance(frame, av.VideoFrame)
            assert frame.width == 16 * 5
            device.broken = True
            device.let.release()
            with pytest.raises(SourceError, match="the device broke: unplugged"):
                await source.read()
            await source.close()

    asyncio.run(scenario())


def turn_of_others() -> None:
    """Waits a moment for no one."""


def test_device_is_opened_beside_the_event_loop() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE):
            gate, seen = threading.Event(), threading.Event()

            def make() -> Slow:
                seen.set()
                assert gate.wait(PATIENCE)
                return Slow()

            opening = asyncio.ensure_future(open_device("camera", make))
            while not seen.is_set():
                await asyncio.to_thread(turn_of_others)
            await turns(100)
            assert not opening.done()
            gate.set()
            source = await opening
            device = source._device
            assert isinstance(device, Slow)
            device.let.release()
            await source.close()

    asyncio.run(scenario())


def test_camera_is_read_and_its_pictures_are_made_sendable_in_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[int] = set()

    class Capture:
        def __init__(self, number: int) -> None:
            used.add(threading.get_ident())

        def isOpened(self) -> bool:
            return True

        def set(self, key: int, value: float) -> None: ...

        def read(self) -> tuple[bool, np.typing.NDArray[np.uint8]]:
            used.add(threading.get_ident())
            return True, np.full((120, 160, 3), (0, 0, 255), np.uint8)

        def release(self) -> None:
            used.add(threading.get_ident())

    library = ModuleType("cv2")
    vars(library).update(VideoCapture=Capture, CAP_PROP_FRAME_WIDTH=3, CAP_PROP_FRAME_HEIGHT=4, CAP_PROP_FPS=5)
    monkeypatch.setitem(sys.modules, "cv2", library)

    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE):
            source = (await open_source("camera", FORMAT, "ann", ())).video
            assert source is None  # nobody wants a picture
            opened = await open_source("camera", FORMAT, "ann", tuple(MediaKind))
            assert opened.video is not None
            frame = await opened.video.read()
            assert isinstance(frame, av.VideoFrame)
            assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 160, 120)
            assert frame.to_ndarray(format="rgb24")[60, 80] == pytest.approx((255, 0, 0), abs=6)
            await opened.close()
        assert used
        assert threading.get_ident() not in used

    asyncio.run(scenario())
