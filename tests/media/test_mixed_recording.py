"""The recording of all users: everybody is seen in it and heard, at the right time."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from qbcall.core.model import MediaKind, User
from qbcall.media import mixed_recording
from qbcall.media.frames import Frame
from qbcall.media.mixed_recording import SIZE, MixedRecording
from qbcall.media.recorder import Recorder
from qbcall.media.sinks import open_sink
from qbcall.media.testcard import read
from tests.media.encoded_pieces import Played
from tests.media.pieces import cards, sound

ANN, BOB, CEM = (User(f"{name}@example.org") for name in ("ann", "bob", "cem"))
Item = tuple[float, User, Frame]


def pictures(user: User, start: float, seconds: float, size: tuple[int, int] = (320, 180)) -> list[Item]:
    some = islice(cards(user.partition("@")[0], *size), round(seconds * 15))
    return [(start + number / 15, user, frame) for number, frame in enumerate(some)]


def tone(user: User, start: float, seconds: float, hertz: int) -> list[Item]:
    return [
        (start + number / 50, user, frame) for number, frame in enumerate(islice(sound(hertz), round(seconds * 50)))
    ]


def recorded(tmp_path: Path, *items: list[Item]) -> Path:
    path = tmp_path / "mixed.mkv"
    some = MixedRecording(lambda: path)
    for time, user, frame in sorted((item for some in items for item in some), key=lambda item: item[0]):
        some.write(user, time, frame)
    some.close()
    return path


def part(frame: av.VideoFrame, column: int, row: int, columns: int, rows: int) -> av.VideoFrame:
    whole = frame.to_ndarray(format="rgb24").astype(np.uint8)
    width, height = SIZE[0] // columns, SIZE[1] // rows
    cut = whole[row * height : (row + 1) * height, column * width : (column + 1) * width]
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(cut), format="rgb24")


def name(frame: av.VideoFrame) -> str | None:
    """The name on a card of 16:9, within the bars."""
    whole = frame.to_ndarray(format="rgb24").astype(np.uint8)
    lit = np.argwhere(whole.max(2) > 40)
    (top, left), (bottom, right) = lit.min(0), lit.max(0) + 1
    cut = np.ascontiguousarray(whole[top : bottom & ~1, left : right & ~1])
    card = read(av.VideoFrame.from_ndarray(cut, format="rgb24"))
    return None if card is None else card.name


def strengths(samples: np.typing.NDArray[np.int16]) -> set[int]:
    """The tones that are heard, in steps of 10 Hz."""
    spectrum = np.abs(np.fft.rfft(samples[:4800] * np.hanning(4800)))
    return {int(index) * 10 for index in np.argwhere(spectrum > spectrum.max() / 4)[:, 0]}


def test_pictures_are_side_by_side_and_sound_is_added_up(tmp_path: Path) -> None:
    path = recorded(
        tmp_path,
        pictures(ANN, 100.0, 3),
        tone(ANN, 100.0, 3, 440),
        pictures(BOB, 101.0, 2),
        tone(BOB, 101.0, 2, 1000),
    )
    with av.open(path) as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {SIZE}
    assert name(frames[8]) == "ann"
    assert [name(part(frames[-4], column, 0, 2, 1)) for column in (0, 1)] == ["ann", "bob"]
    file = Played(path)
    assert len(file.samples) / 48_000 == pytest.approx(3, abs=0.35)
    assert 440 in strengths(file.samples[24_000:])
    assert 1000 not in strengths(file.samples[24_000:])
    assert {440, 1000} <= strengths(file.samples[96_000:])


def test_three_are_in_four_places(tmp_path: Path) -> None:
    path = recorded(tmp_path, *(pictures(user, 0.0, 1) for user in (ANN, BOB, CEM)))
    with av.open(path) as container:
        frame = list(container.decode(video=0))[-4]
    assert [name(part(frame, place % 2, place // 2, 2, 2)) for place in range(3)] == ["ann", "bob", "cem"]


def test_who_sends_no_picture_any_more_gives_the_place_back(tmp_path: Path) -> None:
    path = recorded(tmp_path, pictures(ANN, 0.0, mixed_recording.GONE + 2), pictures(BOB, 0.0, 1))
    with av.open(path) as container:
        frames = list(container.decode(video=0))
    assert name(part(frames[10], 1, 0, 2, 1)) == "bob"
    assert name(frames[-4]) == "ann"


def test_pause_in_the_sound_is_silence_so_that_what_follows_is_at_its_time(tmp_path: Path) -> None:
    file = Played(recorded(tmp_path, pictures(ANN, 0.0, 4), tone(ANN, 0.0, 1, 440), tone(ANN, 3.0, 1, 880)))
    assert not np.abs(file.samples[60_000:130_000].astype(int)).max() > 100
    assert 880 in strengths(file.samples[155_000:])
    assert [time for time, _ in file.cards] == sorted(time for time, _ in file.cards)


def test_long_pause_of_all_is_not_encoded_and_what_follows_is_at_its_time(tmp_path: Path) -> None:
    """An hour: one picture stands for it, and no sound."""
    path = recorded(
        tmp_path,
        pictures(ANN, 0.0, 1),
        tone(ANN, 0.0, 1, 440),
        pictures(BOB, 3600.0, 1),
        tone(BOB, 3600.0, 1, 880),
    )
    file = Played(path)
    times = [time for time, _ in file.cards]
    assert times == sorted(set(times))
    assert len(times) == pytest.approx(2 * 15 + 14, abs=3)
    assert [time for time in times if 1.5 < time < 3599.5] == []
    before, after = ([block for block in file.blocks if (block[0] > 1800) is late] for late in (False, True))
    assert len(before) == pytest.approx(60, abs=10)
    assert 440 in strengths(np.concatenate([samples for _, samples in before])[:, 0])
    heard = [time for time, samples in after if np.abs(samples.astype(int)).max() > 1000]
    assert heard[0] == pytest.approx(3600.0, abs=0.03)
    assert heard[-1] == pytest.approx(3601.0, abs=0.05)
    with av.open(path) as container:
        container.seek(3600 * 1_000_000)
        assert "bob" in {name(frame) for frame in container.decode(video=0) if (frame.time or 0) > 3600.1}


def test_sound_that_comes_faster_than_time_does_not_pile_up(tmp_path: Path) -> None:
    late = [(time / 2, user, frame) for time, user, frame in tone(ANN, 0.0, 8, 440)]
    assert len(Played(recorded(tmp_path, late)).samples) / 48_000 == pytest.approx(4, abs=0.5)


def test_loud_sound_is_cut_off_and_does_not_wrap(tmp_path: Path) -> None:
    loud = av.AudioFrame.from_ndarray(np.full((1, 960), 30_000, np.int16), format="s16", layout="mono")
    loud.sample_rate = 48_000
    mix = mixed_recording.Mix()
    for user in (ANN, BOB):
        mix.add(user, loud, 0.0)
    block = mix.pull(1.0)
    assert block is not None
    assert block.min() == 32767


def test_sink_with_mix_writes_it_beside_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = await open_sink(f"record:{tmp_path},mix=yes")
        assert isinstance(sink, Recorder)
        assert set(sink.kinds) == set(sink.encoded_kinds) == set(MediaKind)
        for _, user, frame in pictures(ANN, 0.0, 1):
            sink.write(user, frame)
        await sink.close()

    asyncio.run(scenario())
    assert [path.name for path in tmp_path.iterdir()] == ["mixed.mkv"]
    assert Played(tmp_path / "mixed.mkv").codecs == {"video": "h264", "audio": "opus"}
