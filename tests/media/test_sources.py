"""Opening sources by name, and objects of the application as sources."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from qbcall.core.model import MediaKind
from qbcall.errors import InvalidArgument, SourceError
from qbcall.media.frames import Source, SourceEnded, VideoFormat
from qbcall.media.planes import luma
from qbcall.media.sources import open_source
from qbcall.media.testcard import read
from qbcall.media.tone import pitch, pitch_of
from tests.media.pieces import Given, cards, heard, make_file, sound
from tests.media.virtual_clock import VirtualClockLoop, run

FORMAT = VideoFormat(160, 120, 15)
BOTH = tuple(MediaKind)
AUDIO, VIDEO = (MediaKind.AUDIO,), (MediaKind.VIDEO,)


def test_test_source_shows_and_sounds_like_its_participant() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = await open_source("test", FORMAT, "ann", BOTH)
        assert source.audio is not None
        assert source.video is not None
        card = read(await source.video.read())  # type: ignore[arg-type]  # a picture
        assert card is not None
        assert (card.name, card.counter) == ("ann", 0)
        blocks = [await source.audio.read() for _ in range(20)]
        assert pitch(heard(blocks), 48_000) == pytest.approx(pitch_of("ann"), abs=1)
        await source.close()

    run(scenario)


def test_options_of_the_test_source_override_the_format_of_the_call() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = await open_source("test:name=bob,tone=550,size=320x240,fps=10", FORMAT, "ann", BOTH)
        assert source.audio is not None
        assert source.video is not None
        start = loop.time()
        frames = [await source.video.read() for _ in range(11)]
        assert loop.time() - start == pytest.approx(1)
        last = frames[-1]
        assert isinstance(last, av.VideoFrame)
        card = read(last)
        assert card is not None
        assert (card.name, card.counter, last.width, last.height) == ("bob", 10, 320, 240)
        blocks = [await source.audio.read() for _ in range(20)]
        assert pitch(heard(blocks), 48_000) == pytest.approx(550, abs=1)

    run(scenario)


@pytest.mark.parametrize(
    ("spec", "kinds", "found"),
    [
        ("test", AUDIO, AUDIO),
        ("test", VIDEO, VIDEO),
        ("silence", BOTH, BOTH),
        ("none", BOTH, ()),
        ("camera", AUDIO, ()),
        ("none+test", BOTH, BOTH),
        ("test+camera:99+mic+screen", BOTH, BOTH),
    ],
)
def test_only_what_is_wanted_and_missing_is_opened(
    spec: str, kinds: tuple[MediaKind, ...], found: tuple[MediaKind, ...]
) -> None:
    source = asyncio.run(open_source(spec, FORMAT, "ann", kinds))
    assert tuple(kind for kind in MediaKind if source.of(kind) is not None) == found


def test_first_part_that_has_a_kind_gives_it(tmp_path: Path) -> None:
    path = tmp_path / "silent.mkv"
    with av.open(make_file(tmp_path / "full.mkv")) as full, av.open(path, "w") as silent:
        stream = silent.add_stream_from_template(full.streams.video[0])
        for packet in full.demux(full.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                silent.mux(packet)

    async def scenario() -> None:
        source = await open_source(f"file:{path}+test:tone=700", FORMAT, "bob", BOTH)
        assert source.audio is not None
        assert source.video is not None
        card = read(await source.video.read())  # type: ignore[arg-type]  # a picture
        assert card is not None
        assert card.name == "ann"
        assert pitch(heard([await source.audio.read() for _ in range(3)]), 48_000) == pytest.approx(700, abs=5)
        await source.close()
        with pytest.raises(SourceError, match="has no audio"):
            await open_source(f"file:{path}", FORMAT, "bob", AUDIO)

    asyncio.run(scenario())


def test_silence_is_black_and_quiet() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        source = await open_source("silence", FORMAT, "ann", BOTH)
        assert source.audio is not None
        assert source.video is not None
        start = loop.time()
        frames = [await source.video.read() for _ in range(6)]
        assert loop.time() - start == pytest.approx(1)
        assert luma(frames[0]).max() == 16  # type: ignore[arg-type]  # a picture
        assert not heard([await source.audio.read()]).any()

    run(scenario)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("camra", "did you mean camera"),
        ("camera:x", "value must be a whole number from 0 to 99, not 'x'"),
        ("test:tone=49", "tone must be a whole number from 50 to 8000, not '49'"),
        ("test:tone=high", "tone must be"),
        ("test:size=big", "size must be WIDTHxHEIGHT, not 'big'"),
        ("test:size=3x3", "width must be a whole number from 16 to 3840, not 3"),
        ("test:size=161x120", "width must be even"),
        ("test:size=9999999999x1", "size must be"),
        ("test:fps=0", "fps must be a whole number from 1 to 60"),
        ("file:x,loop=maybe", "loop must be yes or no, not 'maybe'"),
    ],
)
def test_wrong_option_is_refused_with_its_limit(spec: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        asyncio.run(open_source(spec, FORMAT, "ann", BOTH))


@pytest.mark.parametrize(
    ("spec", "module", "complaint"),
    [
        ("camera", "cv2", r"camera: OpenCV cannot be imported .*qbcall\[camera\]"),
        ("mic", "sounddevice", r"mic: sounddevice cannot be imported .*qbcall\[sound\]"),
    ],
)
def test_missing_library_is_named_with_its_remedy(
    spec: str, module: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SourceError, match=complaint):
        asyncio.run(open_source(spec, FORMAT, "ann", BOTH))


@pytest.mark.parametrize(("display", "complaint"), [("", "DISPLAY is not set"), (":nope", "cannot be read")])
def test_screen_without_display_is_refused(display: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(SourceError, match=f"screen: .*{complaint}"):
        asyncio.run(open_source("screen", FORMAT, "ann", BOTH))


def test_part_that_was_opened_is_closed_when_the_next_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISPLAY", "")
    path = make_file(tmp_path / "a.mkv", seconds=0.5)

    async def scenario() -> None:
        before = open_files()
        with pytest.raises(SourceError):
            await open_source(f"screen+file:{path}", FORMAT, "ann", BOTH)
        with pytest.raises(SourceError, match="no file"):
            await open_source(f"mic+file:{path}.not", FORMAT, "ann", VIDEO)
        assert open_files() == before

    asyncio.run(scenario())


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# -- objects of the application --------------------------------------------------------------------------------------


def test_object_with_audio_and_video_is_a_source_whose_arrays_become_frames() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        picture = np.full((48, 64, 3), (255, 0, 0), np.uint8)
        audio = Given([np.full((960, 2), 7, np.int16)])  # type: ignore[list-item]  # arrays are allowed here
        video = Given([picture])  # type: ignore[list-item]  # arrays are allowed here
        source = await open_source(SimpleNamespace(audio=audio, video=video), FORMAT, "ann", BOTH)
        assert source.audio is not None
        assert source.video is not None
        frame = await source.video.read()
        assert isinstance(frame, av.VideoFrame)
        assert (frame.to_ndarray(format="bgr24") == picture).all()
        assert (heard([await source.audio.read()]) == 7).all()
        with pytest.raises(SourceEnded):
            await source.video.read()
        await source.close()
        assert (audio.closed, video.closed) == (1, 1)

    run(scenario)


def test_source_object_is_taken_as_it_is_and_unwanted_parts_are_left_alone() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        given = Source(audio=Given(sound(440)), video=Given(cards()))
        source = await open_source(given, FORMAT, "ann", AUDIO)
        assert source.video is None
        assert source.audio is not None

    run(scenario)


def test_iterable_of_both_kinds_is_split_and_sent_in_real_time() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        closed = asyncio.Event()

        async def frames() -> AsyncIterator[object]:
            try:
                pictures, blocks = cards(), sound(440)
                for number in range(150):
                    yield next(blocks)
                    if number % 5 == 0:
                        yield next(pictures).to_ndarray(format="bgr24")
            finally:
                closed.set()

        source = await open_source(frames(), VideoFormat(160, 120, 10), "ann", BOTH)
        assert source.audio is not None
        assert source.video is not None
        audio, video = source.audio, source.video

        async def read_pictures() -> list[int]:
            found = []
            for _ in range(20):
                card = read(await video.read())  # type: ignore[arg-type]  # a picture
                assert card is not None
                found.append(card.counter)
            return found

        async def read_blocks() -> list[object]:
            return [await audio.read() for _ in range(100)]

        start = loop.time()
        numbers, blocks = await asyncio.gather(read_pictures(), read_blocks())
        assert loop.time() - start == pytest.approx(2, abs=0.15)
        assert numbers == list(range(20))
        assert pitch(heard(blocks), 48_000) == pytest.approx(440, abs=1)  # type: ignore[arg-type]  # blocks
        await source.close()
        await asyncio.wait_for(closed.wait(), 1)

    run(scenario)


def test_iterable_that_ends_or_breaks_tells_so() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        async def short() -> AsyncIterator[object]:
            yield next(cards())

        async def broken() -> AsyncIterator[object]:
            yield next(cards())
            raise OSError("out of film")

        async def wrong() -> AsyncIterator[object]:
            yield np.zeros((3, 3), np.float64)

        for iterable, error in ((short(), SourceEnded), (broken(), OSError), (wrong(), TypeError)):
            source = await open_source(iterable, FORMAT, "ann", VIDEO)
            assert source.video is not None
            if error is not TypeError:  # the first frame is a good one
                await source.video.read()
            with pytest.raises(error):
                await source.video.read()
            await source.close()

    run(scenario)


@pytest.mark.parametrize("thing", [3, None, object(), SimpleNamespace(audio=4), ["test"]])
def test_object_that_yields_no_frames_is_refused(thing: object) -> None:
    with pytest.raises(InvalidArgument, match="source"):
        asyncio.run(open_source(thing, FORMAT, "ann", BOTH))
