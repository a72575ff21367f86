"""What is heard as plain samples."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest

from qbcall.core.model import MediaKind
from qbcall.errors import InvalidArgument, InvalidState
from qbcall.media.incoming import Incoming
from qbcall.media.listening import PcmStream
from qbcall.media.mono import Mono
from qbcall.media.tone import pitch
from tests.media.pieces import sound


def tones(count: int, first: int = 0, hertz: int = 440) -> list[av.AudioFrame]:
    """20 ms each, stereo as they come out of a decoder."""
    frames = list(islice(sound(hertz, layout="stereo"), count))
    for number, frame in enumerate(frames, first):
        frame.pts, frame.time_base = number * 960, Fraction(1, 48_000)
    return frames


async def rest(stream: PcmStream) -> list[Mono]:
    return [block async for block in stream]


@pytest.mark.parametrize(
    ("rate", "block", "samples"), [(16_000, 20, 320), (8_000, 10, 80), (48_000, 30, 1440), (11_025, 20, 220)]
)
def test_sound_comes_in_blocks_of_the_wanted_rate_and_length(rate: int, block: int, samples: int) -> None:
    async def scenario() -> None:
        audio = Incoming(MediaKind.AUDIO)
        stream = audio.pcm(rate, block=block)
        for frame in tones(45):
            audio.push(frame)
        audio.close()
        blocks = await rest(stream)
        assert {(each.shape, each.dtype) for each in blocks} == {((samples,), np.dtype(np.int16))}
        assert all(each.flags.writeable and each.flags.c_contiguous for each in blocks)
        assert sum(map(len, blocks)) / rate == pytest.approx(0.9, abs=block / 1000)
        assert pitch(np.concatenate(blocks)[rate // 10 :, None], rate) == pytest.approx(440, abs=2)
        assert (stream.dropped, stream.filled, stream.rate, stream.samples) == (0, 0.0, rate, samples)

    asyncio.run(scenario())


def test_each_frame_gives_its_block_at_once() -> None:
    """No block waits for the frame after it, in spite of the filter's delay."""
    for rate in (8_000, 16_000, 24_000, 48_000):
        audio = Incoming(MediaKind.AUDIO)
        stream = audio.pcm(rate)
        for number, frame in enumerate(tones(20), 1):
            audio.push(frame)
            assert len(stream._waiting._things) == number


def test_slow_reader_loses_the_oldest_and_is_told() -> None:
    async def scenario() -> None:
        audio = Incoming(MediaKind.AUDIO)
        slow, quick = audio.pcm(16_000, buffer=100), audio.pcm(16_000)
        for frame in tones(20):
            audio.push(frame)
        audio.close()
        late, all_of_it = await rest(slow), await rest(quick)
        assert (len(late), slow.dropped, len(all_of_it), quick.dropped) == (5, 15, 20, 0)
        assert np.array_equal(np.concatenate(late), np.concatenate(all_of_it[-5:]))

    asyncio.run(scenario())


def test_short_gap_becomes_silence_so_that_time_goes_on() -> None:
    async def scenario() -> None:
        audio = Incoming(MediaKind.AUDIO)
        stream = audio.pcm(16_000)
        for frame in (*tones(10), *tones(10, first=20), *tones(10, first=200), *tones(10, first=5)):
            audio.push(frame)
        audio.close()
        blocks = await rest(stream)
        assert len(blocks) == 50  # 40 that came, and 10 of the gap; a long one, and another time line, have none
        assert stream.filled == pytest.approx(0.2)
        loud = [bool(np.abs(block).mean() > 2000) for block in blocks]
        assert loud == [True] * 10 + [False] * 10 + [True] * 30

    asyncio.run(scenario())


def test_sound_is_wanted_from_the_call_on_until_closed_or_let_go() -> None:
    told: list[bool] = []
    audio = Incoming(MediaKind.AUDIO, lambda: told.append(True))
    wanted = [audio.wanted]
    stream = audio.pcm()
    wanted.append(audio.wanted)
    stream.close()
    wanted.append(audio.wanted)
    audio.push(tones(1)[0])
    assert asyncio.run(rest(stream)) == []
    again = audio.pcm()
    wanted.append(audio.wanted)
    del again
    assert [*wanted, audio.wanted] == [False, True, False, True, False]
    assert told == [True, True]


def test_after_the_call_it_ends_at_once() -> None:
    audio = Incoming(MediaKind.AUDIO)
    audio.close()
    assert asyncio.run(rest(audio.pcm())) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rate": 4_000}, "rate must be a whole number from 8000 to 48000 Hz, not 4000"),
        ({"block": 1}, "block must be a whole number from 5 to 1000 ms, not 1"),
        ({"buffer": 10}, "buffer must be a whole number from 20 to 60000 ms, not 10"),
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        Incoming(MediaKind.AUDIO).pcm(**wrong)


def test_pictures_have_no_samples() -> None:
    with pytest.raises(InvalidState, match=r"use peer\.audio"):
        Incoming(MediaKind.VIDEO).pcm()
