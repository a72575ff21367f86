"""Sinks: what is received ends in files, findings, or the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from qbcall.core.model import User
from qbcall.errors import InvalidArgument, SinkError
from qbcall.media.frames import Frame, Sink
from qbcall.media.sinks import open_sink
from qbcall.media.testcard import read
from qbcall.media.tone import pitch, pitch_of
from qbcall.media.verify import Verifier
from tests.media.pieces import cards, heard, sound

ANN, BOB = User("ann@example.org"), User("bob@example.org")


async def feed(sink: Sink, peer: User, seconds: float, *, width: int = 160, height: int = 120) -> None:
    """Write pictures and sound in real order, 15 and 50 in a second, as fast as it goes."""
    pictures, blocks = cards(peer.partition("@")[0], width, height), sound(pitch_of(peer.partition("@")[0]))
    for number in range(round(seconds * 50)):
        if number * 15 % 50 < 15:
            sink.write(peer, next(pictures))
        sink.write(peer, next(blocks))
        await asyncio.sleep(0)


def decoded(path: Path) -> tuple[list[av.VideoFrame], list[Frame]]:
    seen: list[av.VideoFrame] = []
    blocks: list[Frame] = []
    with av.open(path) as container:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                seen.append(frame)
            elif isinstance(frame, av.AudioFrame):
                blocks.append(frame)
    return seen, blocks


def test_recording_has_one_playable_file_for_each_user(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"record:{tmp_path / 'new' / 'place'}")
        await asyncio.gather(feed(sink, ANN, 1.0), feed(sink, BOB, 1.0))
        await sink.close()

    asyncio.run(scenario())
    files = sorted((tmp_path / "new" / "place").iterdir())
    assert [path.name for path in files] == ["ann@example.org.mkv", "bob@example.org.mkv"]
    for path, name in zip(files, ("ann", "bob"), strict=True):
        seen, blocks = decoded(path)
        found = [card for frame in seen if (card := read(frame)) is not None]
        assert len(found) == 15
        assert {card.name for card in found} == {name}
        assert [card.counter for card in found] == sorted(card.counter for card in found)
        assert pitch(heard(blocks), 48_000) == pytest.approx(pitch_of(name), abs=5)


def test_recording_goes_on_when_the_picture_changes_its_size(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"record:{tmp_path}")
        await feed(sink, ANN, 0.5)
        await feed(sink, ANN, 0.5, width=320, height=240)
        await sink.close()

    asyncio.run(scenario())
    (path,) = tmp_path.iterdir()
    seen, _ = decoded(path)
    assert {(frame.width, frame.height) for frame in seen} == {(160, 120)}
    assert sum(read(frame) is not None for frame in seen) >= 14


def test_sound_alone_is_recorded(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"record:{tmp_path}")
        for block, _ in zip(sound(440), range(25), strict=False):
            sink.write(ANN, block)
        await sink.close()

    asyncio.run(scenario())
    (path,) = tmp_path.iterdir()
    seen, blocks = decoded(path)
    assert not seen
    assert pitch(heard(blocks), 48_000) == pytest.approx(440, abs=5)


def test_a_second_recording_does_not_overwrite_the_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        for _ in range(2):
            sink = await open_sink(f"record:{tmp_path}")
            await feed(sink, ANN, 0.2)
            await sink.close()

    asyncio.run(scenario())
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kind", ["record", "snapshot"])
def test_directory_that_cannot_be_made_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SinkError, match=rf"{kind}:.*file"):
        asyncio.run(open_sink(f"{kind}:{tmp_path / 'file' / 'below'}"))


def test_a_full_disk_is_told_once_and_stops_the_recording() -> None:
    async def scenario() -> None:
        sink = await open_sink("record:/dev/shm/qbcall-test-full")
        sink._directory = Path("/dev/full")  # type: ignore[attr-defined]  # every write below it fails
        await feed(sink, ANN, 0.5)
        with pytest.raises(SinkError, match="the recording broke"):
            await sink.close()

    try:
        asyncio.run(scenario())
    finally:
        Path("/dev/shm/qbcall-test-full").rmdir()


def test_snapshot_keeps_the_newest_picture_of_each_user(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"snapshot:{tmp_path}")
        await asyncio.gather(feed(sink, ANN, 0.4), feed(sink, BOB, 0.2))
        await sink.close()

    asyncio.run(scenario())
    for name, counter in (("ann", 5), ("bob", 2)):
        with Image.open(tmp_path / f"{name}@example.org.png") as image:
            card = read(av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")), format="rgb24"))
        assert card is not None
        assert (card.name, card.counter) == (name, counter)


def test_verify_finds_what_the_test_source_sends() -> None:
    async def scenario() -> None:
        sink = await open_sink("verify:tones=bob=550")
        assert isinstance(sink, Verifier)
        await feed(sink, ANN, 1.0)
        found = sink.report(ANN)
        assert found is not None
        assert (found["video_frames"], found["cards"], found["out_of_order"]) == (15, 15, 0)
        assert (found["name_ok"], found["tone_ok"]) == (True, True)
        assert sink.report(BOB) is None

    asyncio.run(scenario())


def test_verify_tells_a_wrong_name_a_wrong_tone_and_disorder() -> None:
    async def scenario() -> None:
        sink = await open_sink("verify:tones=bob=700")
        assert isinstance(sink, Verifier)
        pictures = [next(frames) for frames in [cards("eve")] for _ in range(5)]
        for picture in (*pictures, pictures[0]):
            sink.write(BOB, picture)
        for block, _ in zip(sound(440), range(20), strict=False):
            sink.write(BOB, block)
        found = sink.report(BOB)
        assert found is not None
        assert (found["name"], found["name_ok"], found["out_of_order"]) == ("eve", False, 1)
        assert (found["tone"], found["tone_ok"]) == (pytest.approx(440, abs=5), False)

    asyncio.run(scenario())


def test_a_function_gets_each_frame_and_is_awaited() -> None:
    async def scenario() -> None:
        seen: list[User] = []
        done = asyncio.Event()

        async def later(user: User, frame: Frame) -> None:
            await asyncio.sleep(0)
            seen.append(user)
            if len(seen) == 3:
                done.set()

        sink = await open_sink(later)
        for picture, _ in zip(cards(), range(3), strict=False):
            sink.write(ANN, picture)
        await done.wait()
        await sink.close()
        assert seen == [ANN] * 3

    asyncio.run(scenario())


def test_a_function_that_raises_later_is_told_with_the_next_frame() -> None:
    async def scenario() -> None:
        async def broken(user: User, frame: Frame) -> None:
            raise RuntimeError("mistake")

        sink = await open_sink(broken)
        picture = next(cards())
        sink.write(ANN, picture)
        await until(sink._task.done)  # type: ignore[attr-defined]  # its task
        with pytest.raises(RuntimeError, match="mistake"):
            sink.write(ANN, picture)
        await sink.close()

    asyncio.run(scenario())


async def until(holds: Callable[[], bool], tries: int = 1000) -> None:
    for _ in range(tries):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("nul", "did you mean null"),
        ("record", "DIR"),
        ("snapshot:/tmp,evry=1", "every"),
        ("snapshot:/tmp,every=0", "every"),
        ("verify:tones=ann", "tones"),
        (3, "text or a function"),
    ],
)
def test_wrong_sinks_are_refused(spec: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        asyncio.run(open_sink(spec))


def test_window_without_a_display_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SinkError, match="no display"):
        asyncio.run(open_sink("window"))
