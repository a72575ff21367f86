"""Sinks: what becomes of received frames."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbcall.core.model import User
from qbcall.errors import InvalidArgument, SinkError
from qbcall.media.frames import Frame
from qbcall.media.peer_files import LONGEST, free_path, safe_name
from qbcall.media.planes import plain
from qbcall.media.sinks import Null, open_sink
from qbcall.media.testcard import read
from qbcall.media.tone import pitch_of
from qbcall.media.verify import Verifier
from qbcall.media.window import TILE, tiles
from tests.media.pieces import cards, sound

ANN, BOB = User("ann@example.org"), User("bob@example.org")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("nul", "did you mean null"),
        ("record", "the DIR is missing"),
        ("snapshot:x,evry=2", "did you mean every"),
        ("snapshot:x,every=0", "every must be a whole number from 1 to 3600"),
        ("verify:tones=ann", "tones must be NAME=HZ"),
        ("verify:tones=ann=high", "tones must be NAME=HZ"),
        (3, "sink must be text or a function"),
    ],
)
def test_wrong_sink_is_refused(spec: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        asyncio.run(open_sink(spec))


@pytest.mark.parametrize("name", ["record", "snapshot"])
def test_directory_that_cannot_be_written_is_refused_before_anything_is_sent(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SinkError, match=f"{name}:.*cannot be written"):
        asyncio.run(open_sink(f"{name}:{tmp_path / 'file' / 'below'}"))


def test_window_and_speaker_without_their_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SinkError, match=r"speaker: sounddevice cannot be imported .*qbcall\[sound\]"):
        asyncio.run(open_sink("speaker"))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SinkError, match="window: there is no display"):
        asyncio.run(open_sink("window"))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SinkError, match=r"window: OpenCV cannot be imported .*qbcall\[camera\]"):
        asyncio.run(open_sink("window"))


def test_null_takes_everything() -> None:
    sink = asyncio.run(open_sink("null"))
    assert isinstance(sink, Null)
    sink.write(ANN, next(cards()))


def test_tiles_show_everybody_side_by_side() -> None:
    for count, (columns, rows) in {1: (1, 1), 2: (2, 1), 3: (2, 2)}.items():
        whole = tiles(tuple(islice(cards(width=320, height=180), count)))
        assert whole.shape == (rows * TILE[1], columns * TILE[0], 3)
        assert whole[: TILE[1], -TILE[0] :].any()


# -- functions -------------------------------------------------------------------------------------------------------


def test_function_gets_every_frame() -> None:
    async def scenario() -> None:
        seen: list[tuple[User, Frame]] = []
        sink = await open_sink(lambda peer, frame: seen.append((peer, frame)))
        frames = list(islice(cards(), 3))
        for frame in frames:
            sink.write(ANN, frame)
        assert seen == [(ANN, frame) for frame in frames]
        await sink.close()

    asyncio.run(scenario())


def test_coroutines_of_a_function_run_one_after_the_other_and_the_oldest_are_left_out() -> None:
    async def scenario() -> None:
        go, seen, full = asyncio.Event(), list[int](), asyncio.Event()

        async def slow(peer: User, frame: Frame) -> None:
            await go.wait()
            card = read(frame)  # type: ignore[arg-type]  # pictures only
            assert card is not None
            seen.append(card.counter)
            if card.counter == 79:
                full.set()

        sink = await open_sink(slow)
        for frame in islice(cards(), 80):
            sink.write(ANN, frame)
        go.set()
        await full.wait()
        assert seen == list(range(30, 80))
        await sink.close()

    asyncio.run(scenario())


def test_error_of_a_function_is_raised_where_frames_are_written() -> None:
    async def scenario() -> None:
        async def later(peer: User, frame: Frame) -> None:
            raise OSError("late")

        def now(peer: User, frame: Frame) -> None:
            raise OSError("at once")

        sink = await open_sink(now)
        with pytest.raises(OSError, match="at once"):
            sink.write(ANN, next(cards()))
        sink = await open_sink(later)
        sink.write(ANN, next(cards()))
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="late"):
            sink.write(ANN, next(cards()))
        await sink.close()

    asyncio.run(scenario())


def test_closing_cancels_what_a_function_still_does() -> None:
    async def scenario() -> None:
        async def forever(peer: User, frame: Frame) -> None:
            await asyncio.Event().wait()

        sink = await open_sink(forever)
        for frame in islice(cards(), 3):
            sink.write(ANN, frame)
        await asyncio.sleep(0)
        await sink.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


# -- verify ----------------------------------------------------------------------------------------------------------


async def verifier(spec: str = "verify") -> Verifier:
    sink = await open_sink(spec)
    assert isinstance(sink, Verifier)
    return sink


def test_verify_reports_what_came_from_each_user() -> None:
    async def scenario() -> None:
        sink = await verifier()
        for frame in islice(cards("ann"), 10):
            sink.write(ANN, frame)
        for block in islice(sound(pitch_of("ann")), 30):
            sink.write(ANN, block)
        found = sink.report(ANN)
        assert found is not None
        assert found.pop("delay") > 0  # type: ignore[operator]  # a number
        assert found == {
            "video_frames": 10,
            "cards": 10,
            "out_of_order": 0,
            "name": "ann",
            "name_expected": "ann",
            "name_ok": True,
            "audio_frames": 30,
            "tone": pytest.approx(pitch_of("ann"), abs=1),
            "tone_expected": pitch_of("ann"),
            "tone_ok": True,
        }
        assert sink.report(BOB) is None

    asyncio.run(scenario())


def test_verify_finds_wrong_names_tones_pictures_and_orders() -> None:
    async def scenario() -> None:
        sink = await verifier("verify:tones=bob=500")
        one, two, three = islice(cards("mallory"), 3)
        for frame in (one, three, two, three, plain(160, 120)):
            sink.write(BOB, frame)
        for block in islice(sound(600), 30):
            sink.write(BOB, block)
        found = sink.report(BOB)
        assert found is not None
        assert (found["video_frames"], found["cards"], found["out_of_order"]) == (5, 4, 1)
        assert (found["name"], found["name_expected"], found["name_ok"]) == ("mallory", "bob", False)
        assert (found["tone_expected"], found["tone_ok"]) == (500, False)

    asyncio.run(scenario())


def test_verify_hears_no_tone_in_silence() -> None:
    async def scenario() -> None:
        sink = await verifier()
        for _ in range(30):
            sink.write(ANN, av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono"))
        found = sink.report(ANN)
        assert found is not None
        assert (found["tone"], found["tone_ok"], found["name"]) == (None, False, None)

    asyncio.run(scenario())


# -- snapshots -------------------------------------------------------------------------------------------------------


def counter_in(path: Path) -> int:
    with av.open(path) as picture:
        card = read(next(picture.decode(video=0)))
    assert card is not None
    return card.counter


def test_newest_picture_of_everybody_is_written_at_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"snapshot:{tmp_path / 'new' / 'place'}")
        for frame in islice(cards(), 5):
            sink.write(ANN, frame)
        sink.write(BOB, next(cards(first=70)))
        sink.write(BOB, next(sound(440)))
        await sink.close()

    asyncio.run(scenario())
    place = tmp_path / "new" / "place"
    assert sorted(path.name for path in place.iterdir()) == ["ann@example.org.png", "bob@example.org.png"]
    assert counter_in(place / "ann@example.org.png") == 4
    assert counter_in(place / "bob@example.org.png") == 70


def test_pictures_are_written_now_and_then_on_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"snapshot:{tmp_path},every=2")
        sink.write(ANN, next(cards()))
        while not (tmp_path / "ann@example.org.png").exists():  # noqa: ASYNC110 - a file is no event
            await asyncio.sleep(0)
        sink.write(ANN, next(cards(first=1)))
        await asyncio.sleep(0)
        assert counter_in(tmp_path / "ann@example.org.png") == 0
        await sink.close()
        assert counter_in(tmp_path / "ann@example.org.png") == 1

    asyncio.run(scenario())


# -- file names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("1001-77@localhost", "1001-77@localhost"),
        ("../../etc/passwd@x", "%2E.%2F..%2Fetc%2Fpasswd@x"),
        (".hidden@x", "%2Ehidden@x"),
        ("zoë@x", "zo%C3%AB@x"),
        ("a\0b\n@x", "a%00b%0A@x"),
    ],
)
def test_user_is_a_safe_file_name(user: str, name: str) -> None:
    assert safe_name(User(user)) == name


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3000))
def test_any_user_is_one_short_file_name(user: str) -> None:
    name = safe_name(User(user))
    assert os.path.basename(name) == name
    assert not name.startswith((".", "-", "~"))
    assert len(name) <= LONGEST + 9


def test_files_are_not_overwritten(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        path = free_path(tmp_path, ANN, ".mkv")
        path.touch()
        names.append(path.name)
    assert names == ["ann@example.org.mkv", "ann@example.org.2.mkv", "ann@example.org.3.mkv"]
