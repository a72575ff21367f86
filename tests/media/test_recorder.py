"""The sink `record:DIR`: files for each user, whatever disks and machines do."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from qbcall.core.model import MediaKind, User
from qbcall.errors import SinkError
from qbcall.media import recorder
from qbcall.media.copy_recording import CopyRecording
from qbcall.media.encoded import EncodedFrame
from qbcall.media.mixed_recording import MixedRecording
from qbcall.media.recorder import Recorder
from qbcall.media.sinks import open_sink
from qbcall.media.tone import pitch
from tests.media.encoded_pieces import Played, audio, in_order, video
from tests.media.pieces import cards, sound

ANN, BOB = User("ann@example.org"), User("bob@example.org")


async def opened(spec: str) -> Recorder:
    sink = await open_sink(spec)
    assert isinstance(sink, Recorder)
    return sink


def test_sink_records_each_user_into_a_file_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await opened(f"record:{tmp_path / 'calls'}")
        assert sink.kinds == ()
        assert set(sink.encoded_kinds) == set(MediaKind)
        for frame in in_order(video(seconds=1), audio(seconds=1)):
            for user in (ANN, BOB):
                assert not sink.write_encoded(user, frame)
        await sink.close()
        assert sink.dropped == 0

    asyncio.run(scenario())
    for user in (ANN, BOB):
        file = Played(tmp_path / "calls" / f"{user}.mkv")
        assert file.counters == list(range(15))
        assert pitch(file.samples, file.rate) == pytest.approx(440, abs=2)


def test_recording_of_another_call_overwrites_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        for seconds in (1, 2):
            sink = await opened(f"record:{tmp_path}")
            for frame in video(seconds=seconds):
                sink.write_encoded(ANN, frame)
            await sink.close()

    asyncio.run(scenario())
    assert [len(Played(tmp_path / f"{ANN}{number}.mkv").cards) for number in ("", ".2")] == [15, 30]


@contextmanager
def small_disk() -> Iterator[None]:
    """A limit on the size of files breaks writing as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_is_told_once_and_does_not_stop_the_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await opened(f"record:{tmp_path}")

        async def fill() -> None:
            for number in range(10_000):
                for frame in in_order(video(start=2.0 * number, stream=number), audio(start=2.0 * number)):
                    sink.write_encoded(ANN, frame)
                    await asyncio.sleep(0)

        with pytest.raises(SinkError, match="the recording broke"):
            await fill()
        assert isinstance(sink.error, OSError)
        await sink.close()

    with small_disk():
        asyncio.run(scenario())


def test_failure_at_the_very_end_is_told_by_closing(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await opened(f"record:{tmp_path / 'gone'}")
        (tmp_path / "gone").rmdir()
        sink.write_encoded(ANN, next(video()))
        with pytest.raises(SinkError, match="the recording broke"):
            await sink.close()

    asyncio.run(scenario())


def test_user_with_a_strange_name_is_recorded_within_the_directory(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await opened(f"record:{tmp_path}")
        for frame in audio(seconds=0.5):
            for user in (User("a" * 140 + "/../" * 40), ANN):
                sink.write_encoded(user, frame)
        await sink.close()

    asyncio.run(scenario())
    assert len(list(tmp_path.iterdir())) == 2


def test_slow_disk_costs_frames_and_what_follows_begins_with_a_complete_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk does nothing until the tenth picture came; three pictures may wait."""
    go_on = threading.Event()
    write = CopyRecording.write

    def slow(self: CopyRecording, frame: EncodedFrame) -> None:
        go_on.wait()
        write(self, frame)

    monkeypatch.setattr(CopyRecording, "write", slow)

    async def scenario() -> None:
        frames = list(video(keyframes=12))
        monkeypatch.setattr(recorder, "MOST_BYTES", sum(len(frame.data) + recorder.OVERHEAD for frame in frames[:3]))
        sink = await opened(f"record:{tmp_path}")
        asked = [sink.write_encoded(ANN, frame) for frame in frames[:10]]
        assert asked == [False] * 3 + [True] * 7
        assert sink.dropped == 1, "the others are left out because they build on it"
        go_on.set()
        monkeypatch.undo()
        sink._copies._most = 10**9
        assert [sink.write_encoded(ANN, frame) for frame in frames[10:]] == [True, True] + [False] * 18
        await sink.close()

    asyncio.run(scenario())
    assert Played(tmp_path / f"{ANN}.mkv").counters == [0, 1, 2, *range(12, 30)]


def test_rubbish_of_one_user_does_not_harm_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await opened(f"record:{tmp_path}")
        for number, frame in enumerate(in_order(video("H264"), audio())):
            sink.write_encoded(ANN, frame)
            bad = EncodedFrame(MediaKind.VIDEO, "H264", b"\0\0\0\1\x67" + bytes([number]) * 30, 1, 0, 90_000, 0.0)
            sink.write_encoded(BOB, bad)
        await sink.close()

    asyncio.run(scenario())
    assert [path.name for path in tmp_path.iterdir()] == [f"{ANN}.mkv"]
    assert Played(tmp_path / f"{ANN}.mkv").counters == list(range(30))


def test_decoded_frames_are_not_wanted_without_mix(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await opened(f"record:{tmp_path}")
        for frame in islice(cards(), 3):
            sink.write(ANN, frame)
        await sink.close()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_unexpected_mistake_becomes_the_error_of_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the silent end of its thread."""

    def mistaken(self: CopyRecording, frame: EncodedFrame) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(CopyRecording, "write", mistaken)

    async def scenario() -> None:
        sink = await opened(f"record:{tmp_path}")
        sink.write_encoded(ANN, next(video()))
        with pytest.raises(SinkError, match="a mistake"):
            await sink.close()
        assert isinstance(sink.error, KeyError)

    asyncio.run(scenario())


def test_decoded_frames_that_wait_are_limited_by_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder does nothing: large pictures fill the room, small sound still fits."""
    go_on = threading.Event()
    monkeypatch.setattr(MixedRecording, "write", lambda *_: go_on.wait())
    picture = next(cards(width=640, height=480))
    monkeypatch.setattr(recorder, "MOST_DECODED", 3 * (640 * 480 * 3 // 2) + 10_000)

    async def scenario() -> None:
        sink = await opened(f"record:{tmp_path},mix=yes")
        for _ in range(5):
            sink.write(ANN, picture)
        assert sink.dropped == 2
        sink.write(ANN, next(sound(440)))
        assert sink.dropped == 2
        go_on.set()
        await sink.close()

    asyncio.run(scenario())
