"""The screen as a source, on a display of the test's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator

import av
import pytest

from qbcall.core.model import MediaKind
from qbcall.media.frames import VideoFormat
from qbcall.media.sources import open_source


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An X server without a screen of glass; its number comes through a pipe once it listens."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed: apt-get install xvfb")
    ours, theirs = os.pipe()
    command = ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "640x400x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[theirs], stderr=subprocess.DEVNULL) as server:
        os.close(theirs)
        with os.fdopen(ours) as pipe:
            number = pipe.readline().strip()
        try:
            monkeypatch.setenv("DISPLAY", f":{number}")
            yield number
        finally:
            server.terminate()


def test_screen_is_shown_no_larger_than_asked_for(display: str) -> None:
    async def scenario() -> None:
        source = await open_source("screen", VideoFormat(320, 240, 15), "ann", tuple(MediaKind))
        assert source.audio is None
        assert source.video is not None
        for _ in range(3):
            frame = await source.video.read()
            assert isinstance(frame, av.VideoFrame)
            assert (frame.width, frame.height, frame.format.name) == (320, 200, "yuv420p")
        await source.close()

    asyncio.run(scenario())
