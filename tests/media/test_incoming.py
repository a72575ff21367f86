"""What the application sees of received media."""

from __future__ import annotations

import asyncio
from itertools import islice

import av
import numpy as np
import pytest

from qbcall.core.model import MediaKind
from qbcall.media import incoming
from qbcall.media.incoming import LOOK, WAITING, Incoming, to_array
from tests.media.pieces import cards, sound


def test_newest_frame_size_and_count_are_known_without_listeners() -> None:
    video = Incoming(MediaKind.VIDEO)
    assert (video.frames, video.latest, video.size, video.fps, video.level) == (0, None, None, 0.0, None)
    frames = list(islice(cards(), 3))
    for frame in frames:
        video.push(frame)
    assert (video.frames, video.latest, video.size, video.level) == (3, frames[-1], (160, 120), None)
    assert video.fps > 0


def test_level_is_the_root_mean_square_of_the_newest_sound() -> None:
    audio = Incoming(MediaKind.AUDIO)
    audio.push(next(sound(440)))
    assert audio.level == pytest.approx(0.251 / np.sqrt(2), abs=0.005)
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
    audio.push(silence)
    assert audio.level == 0.0
    assert audio.size is None


def test_iterations_get_what_comes_and_end_with_the_call() -> None:
    async def scenario() -> None:
        video = Incoming(MediaKind.VIDEO)
        frames = list(islice(cards(), 4))
        video.push(frames[0])

        async def collect() -> list[object]:
            return [frame async for frame in video]

        one, two = asyncio.create_task(collect()), asyncio.create_task(collect())
        await asyncio.sleep(0)
        for frame in frames[1:]:
            video.push(frame)
        video.close()
        assert await one == await two == frames[1:]
        assert await collect() == []

    asyncio.run(scenario())


def test_slow_iteration_loses_the_oldest_and_one_that_is_left_is_forgotten() -> None:
    async def scenario() -> None:
        audio = Incoming(MediaKind.AUDIO)
        iteration = aiter(audio)
        limit = WAITING[MediaKind.AUDIO]
        frames = list(islice(sound(440), limit + 10))
        for frame in frames:
            audio.push(frame)
        assert await anext(iteration) is frames[10]
        del iteration
        assert not audio._listeners

    asyncio.run(scenario())


def test_arrays_have_the_shapes_of_opencv_and_of_sound_cards() -> None:
    red = av.VideoFrame.from_ndarray(np.full((48, 64, 3), (200, 0, 0), np.uint8), format="rgb24")
    picture = to_array(red.reformat(format="yuv420p"))
    assert picture.shape == (48, 64, 3)
    assert picture.dtype == np.uint8
    assert picture[20, 30, 2] > 150
    assert picture[20, 30, 0] < 60
    for layout, channels in (("mono", 1), ("stereo", 2)):
        for format in ("s16", "s16p", "fltp", "s32"):
            samples = to_array(next(sound(440, layout=layout, format=format)))
            assert samples.shape[1] == channels
            assert samples.dtype == np.int16
            loudest = 8200 if channels == 1 else 5800  # made stereo, sound is 3 dB softer on each side
            assert np.abs(samples.astype(int)).max() == pytest.approx(loudest, rel=0.03)


def wanted(incoming: Incoming) -> bool:
    return incoming.wanted


def test_frames_are_wanted_while_somebody_iterates_and_whoever_begins_wakes_the_receiver() -> None:
    async def scenario() -> None:
        woken: list[bool] = []
        video = Incoming(MediaKind.VIDEO, lambda: woken.append(video.wanted))
        assert not wanted(video)
        one = aiter(video)
        two = aiter(video)
        assert wanted(video)
        assert woken == [True]
        del one
        assert wanted(video)
        del two
        assert not wanted(video)
        video.close()
        aiter(video)
        assert not wanted(video)
        assert woken == [True]

    asyncio.run(scenario())


def test_look_at_the_newest_frame_wants_frames_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that shows the newest picture over and over iterates over nothing."""
    now = 100.0
    monkeypatch.setattr(incoming, "monotonic", lambda: now)
    woken: list[bool] = []
    video = Incoming(MediaKind.VIDEO, lambda: woken.append(video.wanted))
    for _ in range(3):
        assert video.latest is None
        now += LOOK * 0.9
    assert wanted(video)
    assert woken == [True]
    now += LOOK
    assert not wanted(video)
    video.push(next(cards()))
    assert video.size == (160, 120)
    assert woken == [True, True]
    video.pass_by()
    assert (video.latest, video.frames) == (None, 2)
