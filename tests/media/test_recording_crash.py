"""A recording whose program is killed plays up to the end, but for the last moment."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.media.encoded_pieces import FPS, Played

STEADILY = """
import asyncio, sys
from qbcall.core.model import User
from qbcall.media.sinks import open_sink
from tests.media.encoded_pieces import audio, in_order, video

async def main(directory, codec):
    sink = await open_sink(f"record:{directory}")
    frames = in_order(video(codec, seconds=60, keyframes=100), audio(seconds=60))
    print("ready", flush=True)
    for frame in frames:
        sink.write_encoded(User("ann@example.org"), frame)
        await asyncio.sleep(0.0005)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


AT_ONCE = """
import sys
from pathlib import Path
from qbcall.media.copy_recording import CopyRecording
from tests.media.encoded_pieces import audio, in_order, video

some = CopyRecording(lambda: Path(sys.argv[1]))
for frame in in_order(video(seconds=20, keyframes=1000), audio(seconds=20)):
    some.write(frame)
print("written", flush=True)
sys.stdin.read()
"""


@contextmanager
def program(text: str, *words: str) -> Iterator[IO[bytes]]:
    """Run it, and kill it in the end; what it prints."""
    command = [sys.executable, "-c", text, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            yield running.stdout
        finally:
            running.kill()


def until(holds: Callable[[], bool]) -> None:
    """Wait; the global timeout of pytest ends it."""
    while not holds():
        time.sleep(0)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_what_was_written_before_the_program_was_killed_plays(tmp_path: Path, codec: str) -> None:
    """Killed at no particular moment, while it writes."""
    path = tmp_path / "ann@example.org.mkv"
    with program(STEADILY, str(tmp_path), codec) as running:
        assert running.readline() == b"ready\n"
        until(lambda: path.exists() and path.stat().st_size > 150_000)
    played = Played(path)
    assert played.codecs == {"video": codec.lower(), "audio": "opus"}
    assert played.broken <= 1, "the packet that was being written"
    assert len(played.cards) > FPS
    assert played.counters == list(range(len(played.cards)))
    assert [at for at, _ in played.cards] == pytest.approx([n / FPS for n in range(len(played.cards))], abs=0.002)
    assert played.blocks[-1][0] == pytest.approx(played.cards[-1][0], abs=0.7)


def test_no_more_than_a_second_is_lost(tmp_path: Path) -> None:
    """Killed when 20 s were written, and the file was not finished."""
    path = tmp_path / "ann.mkv"
    with program(AT_ONCE, str(path)) as running:
        assert running.readline() == b"written\n"
    assert Played(path).counters[-1] >= 19 * FPS
