"""Plain samples from and to files and pipes."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qbcall.core.model import MediaKind, User
from qbcall.errors import InvalidArgument, SinkError, SourceError
from qbcall.media.frames import Sink, Source, SourceEnded, VideoFormat
from qbcall.media.mono import Mono
from qbcall.media.outgoing import Outgoing
from qbcall.media.pcm_pipes import MOST_WAITING, Mixer, PipedSink, PipedSource
from qbcall.media.pipes import Reader, Writer
from qbcall.media.sinks import open_sink, takes_standard_output
from qbcall.media.sources import open_source
from qbcall.media.tone import pitch
from tests.media.pieces import heard, take
from tests.media.test_listening import tones
from tests.media.test_mono import wave
from tests.media.test_speaking import loud
from tests.media.virtual_clock import VirtualClockLoop, run

ANN, BOB = User("ann@example.org"), User("bob@example.org")
PATIENCE = 20.0


async def opened(spec: str) -> Source:
    return await open_source(spec, VideoFormat(160, 120, 15), "ann", tuple(MediaKind))


async def piped(source: Source) -> PipedSource:
    assert isinstance(source.audio, PipedSource)
    assert source.video is None
    return source.audio


def fifo(place: Path) -> Path:
    path = place / "fifo"
    os.mkfifo(path)
    return path


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.to_thread(os.sched_yield)


def test_file_is_said_once_and_then_there_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "speech,1.raw"
    path.write_bytes(wave(8_000, 0.5).tobytes() + b"x")  # a last half of a sample is no sound

    async def scenario(loop: VirtualClockLoop) -> None:
        out = Outgoing(MediaKind.AUDIO, (await opened(f"pcm:{path},rate=8000")).audio)
        frames = await take(out.subscribe(), 60)
        spoken = loud(frames)
        assert spoken.count(True) in (25, 26)
        first = spoken.index(True)
        sound = heard(frames[first : first + 25])
        assert pitch(sound[1000:], 48_000) == pytest.approx(440, abs=2)
        assert (out.ended, out.error) == (True, None)
        await out.close()

    run(scenario)


def test_pipe_without_a_writer_is_silent_and_holds_nobody_up(tmp_path: Path) -> None:
    path = fifo(tmp_path)

    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE):
            source = await piped(await opened(f"pcm:{path}"))
            assert source.pull() is None
            with path.open("wb", buffering=0) as writer:
                writer.write(wave(16_000, 0.1).tobytes()[:1001])
                await until(lambda: source.buffered > 0.03)
                writer.write(wave(16_000, 0.1).tobytes()[1001:])
                await until(lambda: source.buffered >= 0.1)
            await until(lambda: source._ended)
            blocks = [source.pull() for _ in range(6)]  # the last one is what the filter held back
            assert all(block is not None for block in blocks)
            with pytest.raises(SourceEnded):
                source.pull()
            await source.close()

    asyncio.run(scenario())


def test_writer_of_a_pipe_waits_unless_it_is_live(tmp_path: Path) -> None:
    path = fifo(tmp_path)
    sound = np.concatenate([wave(48_000, 2.0), wave(48_000, 1.0, hertz=880)]).tobytes()  # more than a pipe holds

    async def scenario(live: str) -> tuple[bool, float | None]:
        async with asyncio.timeout(PATIENCE):
            source = await piped(await opened(f"pcm:{path},rate=48000,live={live}"))
            writing = asyncio.create_task(asyncio.to_thread(path.write_bytes, sound))
            if live == "yes":
                await writing
                await until(lambda: source._ended)
            else:
                await until(lambda: source.buffered > 0.15)
            finished = writing.done()
            blocks = [block for _ in range(8) if (block := source.pull()) is not None]
            assert len(blocks) == 8
            await source.close()
            await asyncio.wait([writing])
            assert isinstance(writing.exception(), (BrokenPipeError, type(None)))
            return finished, pitch(np.concatenate(blocks)[:, :1], 48_000)

    finished, hertz = asyncio.run(scenario("no"))
    assert (finished, hertz) == (False, pytest.approx(440, abs=10))  # type: ignore[comparison-overlap]  # pytest's way
    finished, hertz = asyncio.run(scenario("yes"))
    assert (finished, hertz) == (True, pytest.approx(880, abs=10))  # type: ignore[comparison-overlap]  # as above


def test_closing_ends_the_wait_for_a_silent_pipe(tmp_path: Path) -> None:
    path = fifo(tmp_path)

    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE):
            source = await opened(f"pcm:{path}")
            with path.open("wb", buffering=0):
                await source.close()

    before = threading.active_count()
    asyncio.run(scenario())
    assert threading.active_count() == before


def test_reading_that_fails_is_told_as_the_fault_of_the_source() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE):
            number = os.open("/", os.O_RDONLY)
            source = PipedSource(Reader(number), 16_000, live=False)
            await until(lambda: source._ended)
            with pytest.raises(SourceError, match="Is a directory"):
                source.pull()
            await source.close()

    asyncio.run(scenario())


async def listen(sink: Sink, *users: User, count: int = 10) -> None:
    for frame in tones(count):
        for user in users:
            sink.write(user, frame)


def test_what_is_heard_is_written_at_the_wanted_rate(tmp_path: Path) -> None:
    path = tmp_path / "heard.raw"
    path.write_bytes(b"old" * 1000)

    async def scenario() -> None:
        sink = await open_sink(f"pcm:{path},rate=8000")
        assert sink.kinds == (MediaKind.AUDIO,)
        await listen(sink, ANN)
        await sink.close()

    asyncio.run(scenario())
    sound: Mono = np.frombuffer(path.read_bytes(), "<i2").astype(np.int16)
    assert len(sound) == 1600
    assert pitch(sound[200:, None], 8_000) == pytest.approx(440, abs=5)


def test_pipe_needs_a_reader_and_says_so(tmp_path: Path) -> None:
    path = fifo(tmp_path)
    with pytest.raises(SinkError, match=r"pcm:.*fifo: cannot be written: nobody reads this pipe; start its reader"):
        asyncio.run(open_sink(f"pcm:{path}"))


def test_reader_that_leaves_breaks_the_sink(tmp_path: Path) -> None:
    path = fifo(tmp_path)

    async def scenario() -> None:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        sink = await open_sink(f"pcm:{path}")
        os.close(reader)
        await listen(sink, ANN, count=1)
        assert isinstance(sink, PipedSink)
        await until(lambda: sink._writer.error is not None)
        with pytest.raises(SinkError, match="Broken pipe"):
            await listen(sink, ANN)
        await sink.close()

    asyncio.run(scenario())


def test_slow_reader_loses_the_oldest_holds_nobody_up_and_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = fifo(tmp_path)

    async def scenario() -> None:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        sink = await open_sink(f"pcm:{path},rate=48000")
        await listen(sink, ANN, count=40 + 2 * MOST_WAITING)  # more than the pipe and the queue hold
        await sink.close()  # which does not wait for ever either
        os.close(reader)

    with caplog.at_level(logging.WARNING, "qbcall.media.pcm"):
        asyncio.run(scenario())
    assert caplog.messages == [f"pcm:{path},rate=48000: its reader is too slow: sound is left out (told once)"]


def test_bytes_are_written_whole_and_in_order_to_a_slow_reader() -> None:
    reading, writing = os.pipe()
    writer = Writer(writing, 1000)
    blocks = [bytes([number % 251]) * 1920 for number in range(200)]
    for block in blocks:
        writer.put(block)
    got = b""
    while len(got) < 200 * 1920:
        got += os.read(reading, 777)
    writer.close()
    assert (got, os.read(reading, 1)) == (b"".join(blocks), b"")
    os.close(reading)


def block(value: int) -> Mono:
    return np.full(4, value, np.int16)


def told(done: list[Mono]) -> list[int]:
    return [int(one[0]) for one in done]


def test_one_who_is_alone_waits_for_nobody_and_two_are_heard_together() -> None:
    mixer = Mixer()
    assert [told(mixer.add(ANN, block(value))) for value in (1, 2)] == [[1], [2]]
    assert told(mixer.add(BOB, block(10))) == []
    assert told(mixer.add(ANN, block(3))) == [13]
    assert told(mixer.add(ANN, block(30_000))) == []
    assert told(mixer.add(BOB, block(30_000))) == [32_767]


def test_one_who_falls_silent_holds_others_up_for_a_moment_only() -> None:
    mixer = Mixer()
    mixer.add(ANN, block(1))
    mixer.add(BOB, block(10))
    assert told(mixer.add(ANN, block(2))) == [12]
    assert [told(mixer.add(ANN, block(value))) for value in (3, 4, 5)] == [[], [], []]
    assert told(mixer.add(ANN, block(6))) == [3, 4, 5, 6]
    assert told(mixer.add(ANN, block(7))) == [7]
    assert told(mixer.add(BOB, block(10))) == []
    assert told(mixer.add(ANN, block(8))) == [18]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("pcm", "the PATH is missing"),
        ("pcm:-,rate=7999", "rate must be a whole number from 8000 to 48000"),
        ("pcm:-,rat=8000", "did you mean rate"),
    ],
)
def test_wrong_words_are_refused(spec: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        asyncio.run(open_sink(spec))
    with pytest.raises(InvalidArgument, match=complaint):
        asyncio.run(opened(spec))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"pcm:.*none: cannot be read: No such file"):
        asyncio.run(opened(f"pcm:{tmp_path / 'none'}"))
    with pytest.raises(SinkError, match=r"pcm:.*: cannot be written: Is a directory"):
        asyncio.run(open_sink(f"pcm:{tmp_path}"))


def test_terminal_is_no_pipe() -> None:
    leader, terminal = os.openpty()
    name = os.ttyname(terminal)
    with pytest.raises(SourceError, match="it is a terminal"):
        asyncio.run(opened(f"pcm:{name}"))
    with pytest.raises(SinkError, match="it is a terminal"):
        asyncio.run(open_sink(f"pcm:{name}"))
    os.close(leader)
    os.close(terminal)


def test_sink_of_standard_output_is_known() -> None:
    assert [takes_standard_output(spec) for spec in ("pcm:-", "pcm:-,rate=8000", "pcm:./-", "null", print)] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_descriptor_of_the_shell_is_a_path(tmp_path: Path) -> None:
    """Sound beside JSON lines: `--json --sink pcm:/dev/fd/3 3>FILE`, or a pipe of `bash`."""

    async def scenario() -> None:
        reading, writing = os.pipe()
        file = os.open(tmp_path / "sound.raw", os.O_WRONLY | os.O_CREAT)
        for number in (writing, file):
            sink = await open_sink(f"pcm:/dev/fd/{number}")
            os.close(number)
            await listen(sink, ANN)
            await sink.close()
        assert len(os.read(reading, 1 << 16)) == (tmp_path / "sound.raw").stat().st_size == 6400
        os.close(reading)

    asyncio.run(scenario())
