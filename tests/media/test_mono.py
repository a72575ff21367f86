"""Mono sound of any rate."""

from __future__ import annotations

import numpy as np
import pytest

from qbcall.errors import InvalidArgument
from qbcall.media.mono import HIGHEST_RATE, LOWEST_RATE, Mono, Resampler, Samples, check_rate
from qbcall.media.tone import pitch

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def wave(rate: int, seconds: float, hertz: float = 440.0) -> Mono:
    made: Mono = (8000 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)
    return made


@pytest.mark.parametrize("after", RATES)
@pytest.mark.parametrize("before", RATES)
def test_a_block_comes_out_for_each_that_goes_in_and_the_pitch_stays(before: int, after: int) -> None:
    resampler, given = Resampler(before, after), wave(before, 2.0)
    made: list[Mono] = []
    for start in range(0, len(given), before // 50):
        made.append(resampler.push(given[start : start + before // 50]))
        lag = min(start + before // 50, len(given)) / before - sum(map(len, made)) / after
        assert lag < 1 / after  # never a whole sample too few, and no drift
        assert lag > -0.001
    assert pitch(np.concatenate(made)[after // 10 :, None], after) == pytest.approx(440, abs=1)


@pytest.mark.parametrize(("before", "after"), [(48_000, 16_000), (16_000, 48_000), (48_000, 8_000), (8_000, 48_000)])
def test_resampling_delays_by_no_more_than_four_milliseconds(before: int, after: int) -> None:
    given = np.zeros(before // 10, np.int16)
    given[before // 20] = 20_000
    made = Resampler(before, after).push(given)
    delay = int(np.argmax(np.abs(made))) / after - 0.05
    assert 0 <= delay <= 0.0041


def test_rates_outside_of_telephone_and_studio_are_refused() -> None:
    assert [check_rate(rate) for rate in (LOWEST_RATE, HIGHEST_RATE)] == [8_000, 48_000]
    for wrong in (7_999, 48_001, 0, -1, 16_000.0, True, "16000"):
        with pytest.raises(InvalidArgument, match="rate must be a whole number from 8000 to 48000 Hz"):
            check_rate(wrong)  # type: ignore[arg-type]  # what people write


def test_samples_come_out_as_they_went_in_in_any_pieces() -> None:
    queue, given = Samples(), np.arange(1000, dtype=np.int16)
    for start in range(0, 1000, 70):
        queue.add(given[start : start + 70])
    assert len(queue) == 1000
    taken = [queue.take(count) for count in (1, 69, 0, 333, 500)]
    assert [len(piece) for piece in taken] == [1, 69, 0, 333, 500]
    rest = queue.take(200)
    assert np.array_equal(np.concatenate([*taken, rest]), given)
    assert (len(rest), len(queue), len(queue.take(5))) == (97, 0, 0)
    queue.add(given)
    queue.clear()
    assert len(queue) == 0
