"""Frames of one user on one time line, against clocks of all kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qbcall.core.model import MediaKind
from qbcall.media.encoded import EncodedFrame
from qbcall.media.timeline import Timeline

A, V = MediaKind.AUDIO, MediaKind.VIDEO
RATE = {A: 48_000, V: 90_000}
STAMP = {A: 2**32 - 480_000, V: 17}


def frame(kind: MediaKind, made: float, delay: float = 0.05, stream: int = 1, *, drift: float = 1.0) -> EncodedFrame:
    stamp = (STAMP[kind] * stream + round(made * drift * RATE[kind])) % 2**32
    return EncodedFrame(kind, "", b"", stream, stamp, RATE[kind], 1000 + made + delay)


def placed(frames: list[EncodedFrame]) -> list[float]:
    line = Timeline()
    return [time - 1000.05 for one in frames if (time := line.place(one)) is not None]


def test_time_is_when_it_was_made_and_not_when_it_came() -> None:
    """Time stamps wrap after 10 s."""
    frames = [frame(A, number / 50, 0.05 + number % 7 / 50) for number in range(1000)]
    assert placed(frames) == pytest.approx([number / 50 for number in range(1000)], abs=0.001)


def test_first_frame_that_was_late_is_set_right_little_by_little() -> None:
    frames = [frame(V, 0.0, 0.25), *(frame(V, number / 30) for number in range(1, 90))]
    times = placed(frames)
    assert times[0] == pytest.approx(0.2, abs=0.01)
    assert times == sorted(times)
    assert times[-1] == pytest.approx(89 / 30, abs=0.01)


def test_clock_that_is_wrong_is_followed() -> None:
    """200 parts per million make 0.12 s in ten minutes."""
    frames = [frame(V, number / 10, drift=1.0002) for number in range(6000)]
    assert placed(frames)[-1] == pytest.approx(599.9, abs=0.02)


def test_sound_and_picture_stay_together_while_their_clocks_drift_apart() -> None:
    line = Timeline()
    apart = []
    for number in range(3000):
        sound = line.place(frame(A, number / 10, 0.05 + number % 3 / 100, drift=1.0003))
        picture = line.place(frame(V, number / 10, 0.08 + number % 5 / 50, drift=0.9998))
        assert sound is not None
        assert picture is not None
        apart.append(abs(sound - picture))
    assert max(apart[50:]) < 0.08


def test_reports_say_how_streams_belong_together() -> None:
    """Pictures take 200 ms longer: their sender is slow, or has a filter."""
    frames = [
        replace(frame(kind, number / 25, 0.05 if kind is A else 0.25), captured=5_000 + number / 25)
        for number in range(100)
        for kind in (A, V)
    ]
    times = placed(frames)
    assert times[-1] == pytest.approx(times[-2], abs=0.005)
    assert times[-1] == pytest.approx(99 / 25, abs=0.01)


def test_report_of_nonsense_is_not_believed() -> None:
    frames = [
        replace(frame(kind, number / 25), captured=5_000 + number / 25 + (3600 if kind is A else 0))
        for number in range(100)
        for kind in (A, V)
    ]
    times = placed(frames)
    assert times[-1] == pytest.approx(times[-2], abs=0.005)


def test_time_stamps_that_leap_count_anew() -> None:
    frames = [frame(V, number / 10) for number in range(20)]
    frames += [replace(frame(V, number / 10), timestamp=number * 9000 + 2**31) for number in range(20, 40)]
    frames += [replace(frame(V, number / 10), timestamp=number * 9000) for number in range(40, 60)]
    times = placed(frames)
    assert times[25] == pytest.approx(2.5, abs=0.01)
    assert times[-1] == pytest.approx(5.9, abs=0.01)


def test_blackout_is_a_pause() -> None:
    frames = [frame(V, number / 10) for number in range(100) if not 20 < number < 70]
    assert placed(frames)[-1] == pytest.approx(9.9, abs=0.01)


def test_frames_of_a_connection_that_was_replaced_are_left_out() -> None:
    line = Timeline()
    assert line.place(frame(V, 0.0)) is not None
    assert line.place(frame(V, 5.0, stream=2)) == pytest.approx(1005.05)
    assert line.place(frame(V, 0.1, delay=5.0)) is None
    assert line.place(frame(A, 0.1)) is not None, "sound may have gone on elsewhere"
