"""Recordings without decoding play: what went in comes out, together, whatever happened on the way."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import av
import pytest

from qbcall.core.model import MediaKind
from qbcall.media import copy_recording
from qbcall.media.copy_recording import SPACING, CopyRecording
from qbcall.media.encoded import EncodedFrame
from qbcall.media.tone import pitch
from tests.media.encoded_pieces import BLOCKS, FPS, Played, audio, in_order, video


def recorded(tmp_path: Path, frames: Iterable[EncodedFrame]) -> list[Played]:
    """The files that come of it."""
    paths: list[Path] = []

    def next_path() -> Path:
        paths.append(tmp_path / f"{len(paths)}.mkv")
        return paths[-1]

    some = CopyRecording(next_path)
    for frame in frames:
        some.write(frame)
    some.close()
    return [Played(path) for path in paths]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_recording_holds_every_picture_at_its_time_and_all_sound(tmp_path: Path, codec: str) -> None:
    frames = in_order(video(codec, start=100.0), audio(start=100.03))
    [file] = recorded(tmp_path, frames)
    assert file.codecs == {"video": {"VP8": "vp8", "H264": "h264"}[codec], "audio": "opus"}
    assert file.counters == list(range(30))
    assert [time for time, _ in file.cards] == pytest.approx([number / FPS for number in range(30)], abs=0.002)
    assert file.keyframes[0]
    assert sum(file.keyframes) == 2
    assert file.blocks[0][0] == pytest.approx(0.03, abs=0.01)
    assert len(file.samples) / file.rate == pytest.approx(2.0, abs=0.05)
    assert pitch(file.samples, file.rate) == pytest.approx(440, abs=1)


def test_nothing_is_decoded_the_packets_are_those_that_came(tmp_path: Path) -> None:
    frames = list(video())
    recorded(tmp_path, frames)
    with av.open(tmp_path / "0.mkv") as container:
        assert [bytes(packet) for packet in container.demux() if packet.size] == [frame.data for frame in frames]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_recording_begins_with_a_complete_picture(tmp_path: Path, codec: str) -> None:
    [file] = recorded(tmp_path, in_order(list(video(codec))[5:], audio()))
    assert file.counters == list(range(15, 30))
    assert file.cards[0][0] == pytest.approx(1.0, abs=0.002), "the sound before it is there"


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_picture_that_changes_its_size_goes_on_in_the_same_file(tmp_path: Path, codec: str) -> None:
    small = video(codec, seconds=1)
    large = video(codec, seconds=1, start=1.0, first=15, size=(320, 240), stamp=2**32 - 9000 + 90_000)
    [file] = recorded(tmp_path, in_order(small, large, audio()))
    assert file.counters == list(range(30))
    assert set(file.sizes[:15]) == {(160, 120)}
    assert set(file.sizes[15:]) == {(320, 240)}


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_connection_that_is_made_again_goes_on_in_the_same_file(tmp_path: Path, codec: str) -> None:
    """Other time stamps, and a pause of three seconds; the old connection's last frames come late."""
    before = in_order(video(codec, start=10.0), audio(start=10.0))
    after = in_order(
        video(codec, start=15.0, first=30, stream=2, stamp=5), audio(start=15.0, stream=2, stamp=77, hertz=880)
    )
    late = [replace(frame, arrival=15.5) for frame in before[-3:]]
    [file] = recorded(tmp_path, in_order(before, after, late))
    assert file.counters == list(range(60))
    times = [time for time, _ in file.cards]
    assert times == sorted(times)
    assert times[30] == pytest.approx(5.0, abs=0.01)
    assert next(time for time, _ in file.blocks if time > 3) == pytest.approx(5.0, abs=0.05)
    assert pitch(file.samples[-40_000:], file.rate) == pytest.approx(880, abs=2)


def test_recording_of_one_kind_alone_has_no_other(tmp_path: Path) -> None:
    [sound] = recorded(tmp_path, audio(seconds=3))
    assert sound.codecs == {"audio": "opus"}
    assert len(sound.samples) == pytest.approx(3 * 48_000, abs=2000)
    [picture] = recorded(tmp_path, video(seconds=3))
    assert picture.codecs == {"video": "vp8"}
    assert picture.counters == list(range(45))


def test_picture_that_comes_late_begins_another_file_with_both(tmp_path: Path) -> None:
    first, second = recorded(tmp_path, in_order(audio(seconds=6), video(start=4.0)))
    assert (first.counters, second.counters) == ([], list(range(30)))
    assert (len(first.samples) + len(second.samples)) / 48_000 == pytest.approx(6, abs=0.1)


def test_sound_that_comes_late_begins_another_file_at_a_complete_picture(tmp_path: Path) -> None:
    """Which is asked for."""
    some = CopyRecording(lambda: tmp_path / f"{len(list(tmp_path.iterdir()))}.mkv")
    wishes = []
    for frame in in_order(video(seconds=4, keyframes=40), audio(start=2.0)):
        some.write(frame)
        wishes.append((frame.arrival, some.needs_picture))
    some.close()
    assert next(at for at, wish in wishes if wish) == 2.0
    assert not wishes[-1][1]
    first, second = Played(tmp_path / "0.mkv"), Played(tmp_path / "1.mkv")
    assert first.counters == list(range(40))
    assert second.counters == list(range(40, 60))
    assert second.keyframes[0]
    assert len(second.samples) / 48_000 == pytest.approx(4 - 40 / FPS, abs=0.1)


def test_another_codec_begins_another_file_with_both(tmp_path: Path) -> None:
    first, second = recorded(
        tmp_path, in_order(video("VP8"), video("H264", start=2.0, stream=2, first=30), audio(seconds=4))
    )
    assert first.codecs["video"] == "vp8"
    assert second.codecs["video"] == "h264"
    assert first.counters + second.counters == list(range(60))
    assert len(second.samples) / 48_000 == pytest.approx(2, abs=0.1)


def changing(seconds: float) -> list[EncodedFrame]:
    """Complete pictures, of VP8 and H.264 by turns."""
    both = zip(*(video(codec, seconds=seconds, keyframes=1) for codec in ("VP8", "H264")), strict=True)
    return [pair[number % 2] for number, pair in enumerate(both)]


def test_codec_that_changes_with_each_picture_makes_few_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first change begins a file at once."""
    files = recorded(tmp_path, changing(12))
    assert [file.codecs["video"] for file in files] == ["h264", "vp8", "h264", "vp8"]
    assert [len(file.cards) for file in files[1:3]] == pytest.approx([SPACING * FPS / 2] * 2, abs=2)
    assert all(file.counters == sorted(file.counters) and -1 not in file.counters for file in files)
    assert len(caplog.records) == 1


def test_files_of_a_user_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest one goes on."""
    monkeypatch.setattr(copy_recording, "SPACING", 0.0)
    monkeypatch.setattr(copy_recording, "MOST_FILES", 3)
    some = CopyRecording(lambda: tmp_path / f"{len(list(tmp_path.iterdir()))}.mkv")
    for frame in changing(4):
        some.write(frame)
    some.close()
    files = [Played(path) for path in sorted(tmp_path.iterdir())]
    assert len(files) == 3
    assert files[2].counters[-1] >= 4 * FPS - 2
    assert some.left_out == pytest.approx(len(files[2].cards), abs=1)


def test_what_waits_for_the_first_file_and_is_of_another_codec_is_left_out(tmp_path: Path) -> None:
    frames = [*video("VP8", seconds=0.6), *video("H264", start=0.6, seconds=1, first=9, stream=2)]
    [file] = recorded(tmp_path, frames)
    assert file.codecs == {"video": "h264"}
    assert file.counters == list(range(9, 24))
    assert file.cards[0][0] == 0


def test_sound_that_the_file_may_not_be_able_to_hold_does_not_harm_the_picture(tmp_path: Path) -> None:
    sound = [replace(frame, codec="PCMU") for frame in audio()]
    files = recorded(tmp_path, in_order(video(), sound))
    assert [counter for file in files for counter in file.counters] == list(range(30))


def test_lost_sound_is_a_gap_and_what_follows_is_at_its_time(tmp_path: Path) -> None:
    frames = [frame for frame in audio(seconds=4) if not 1.0 <= frame.arrival < 3.0]
    [file] = recorded(tmp_path, in_order(video(seconds=4), frames))
    assert [time for time, _ in file.blocks if 1.1 < time < 2.9] == []
    assert len([time for time, _ in file.blocks if time > 2.9]) == pytest.approx(BLOCKS, abs=2)


def test_short_recording_is_complete_and_empty_one_is_no_file(tmp_path: Path) -> None:
    assert recorded(tmp_path, []) == []
    [file] = recorded(tmp_path, audio(seconds=0.2))
    assert len(file.samples) == pytest.approx(9600, abs=1500)


@pytest.mark.parametrize("rubbish", [b"", b"\0\0\0\1", b"\0\0\0\1\x67\1\2\3\0\0\0\1\x65\4", b"nonsense" * 20])
@pytest.mark.parametrize("codec", ["VP8", "H264", "AV1"])
def test_rubbish_is_left_out_and_told_once(
    tmp_path: Path, codec: str, rubbish: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    bad = EncodedFrame(MediaKind.VIDEO, codec, rubbish, 1, 0, 90_000, 0.0)
    files = recorded(tmp_path, [*[bad] * 3, *audio(), *([bad] * 3 if codec != "VP8" else [])])
    assert [file.codecs for file in files] == [{"audio": "opus"}]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_rubbish_in_the_middle_breaks_nothing(tmp_path: Path, codec: str) -> None:
    pictures = list(video(codec))
    for number, rubbish in enumerate((b"\0", b"\0\0\0\1", b"\0\0\0\1\0\0\0\1", b"nonsense")):
        pictures.insert(12, replace(pictures[12], data=rubbish, keyframe=number == 3))
    [file] = recorded(tmp_path, in_order(pictures, audio()))
    assert file.broken <= 4
    assert file.counters[-15:] == list(range(15, 30))


def spoilt(frame: EncodedFrame, chance: random.Random) -> EncodedFrame:
    """As a hostile or broken peer may send it."""
    data = bytearray(frame.data)
    for _ in range(chance.randint(1, 20)):
        match chance.randrange(3):
            case 0 if data:
                data[chance.randrange(len(data))] = chance.choice((0, 1, 0x65, 0x67, chance.randrange(256)))
            case 1:
                del data[chance.randrange(len(data) + 1) :]
            case _:
                data += chance.randbytes(chance.randint(0, 40))
    stamp = chance.choice((frame.timestamp, chance.getrandbits(32)))
    size = frame.size and (chance.getrandbits(14), chance.getrandbits(14))
    captured = chance.choice((None, chance.random() * 1e10))
    return replace(frame, data=bytes(data), timestamp=stamp, size=size, captured=captured)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_whatever_comes_the_files_can_be_read(tmp_path: Path, codec: str, seed: int) -> None:
    chance = random.Random(seed)
    frames = in_order(video(codec, seconds=1), audio(seconds=1))
    for file in recorded(tmp_path, [spoilt(one, chance) if chance.random() < 0.5 else one for one in frames]):
        times = [time for time, _ in file.blocks]
        assert times == sorted(times)
