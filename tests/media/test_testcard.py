"""Test cards survive what happens to pictures on their way."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from time import perf_counter

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbcall.media.cardcode import COLUMNS, ROWS, Card, decode, encode, short_name
from qbcall.media.frames import VideoFormat
from qbcall.media.testcard import colour_of, draw, read
from tests.media.pieces import EPOCH

SIZES = [(96, 64), (160, 120), (176, 144), (320, 240), (640, 480), (854, 480), (1280, 720)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(("to_width", "to_height"), SIZES[1:5])
def test_card_of_any_size_is_read_after_any_rescaling(width: int, height: int, to_width: int, to_height: int) -> None:
    frame = draw(VideoFormat(width, height), "zoë", 4_000_000_000, EPOCH)
    card = Card("zoë", 4_000_000_000, EPOCH)
    assert read(frame) == card
    assert read(frame.reformat(width=to_width, height=to_height)) == card


@pytest.mark.parametrize("format", ["rgb24", "bgr24", "rgba", "yuv444p", "yuvj420p", "gray", "nv12", "yuv420p10le"])
def test_card_is_read_in_any_pixel_format(format: str) -> None:
    frame = draw(VideoFormat(320, 240), "ann", 7, EPOCH).reformat(format=format)
    assert read(frame) == Card("ann", 7, EPOCH)


def through_vp8(frames: Iterator[av.VideoFrame], fps: int, bit_rate: int) -> Iterator[av.VideoFrame]:
    """What a decoder gets, with libvpx set as for calls: constant bit rate, real time."""
    decoder = av.CodecContext.create("libvpx", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    encoder: av.VideoCodecContext | None = None
    for number, frame in enumerate(frames):
        if encoder is None:
            made = av.CodecContext.create("libvpx", "w")
            assert isinstance(made, av.VideoCodecContext)
            encoder = made
            encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuv420p"
            encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, fps)
            encoder.options = {
                "deadline": "realtime",
                "cpu-used": "-6",
                "lag-in-frames": "0",
                "minrate": str(bit_rate),
                "maxrate": str(bit_rate),
                "bufsize": str(bit_rate),
            }
        frame.pts, frame.time_base = number, Fraction(1, fps)
        for packet in encoder.encode(frame):
            yield from decoder.decode(packet)


def test_cards_survive_vp8_at_100_kbit_per_second() -> None:
    format, count = VideoFormat(320, 240, 15), 90
    sent = (draw(format, "alice", number, EPOCH + number * 67) for number in range(count))
    got = [read(frame) for frame in through_vp8(sent, 15, 100_000)]
    good = sum(card == Card("alice", number, EPOCH + number * 67) for number, card in enumerate(got))
    assert good >= 0.95 * count


def test_card_with_one_flipped_cell_is_not_read() -> None:
    cells = encode(Card("ann", 1, EPOCH))
    assert decode(cells) == Card("ann", 1, EPOCH)
    for row in range(ROWS):
        for column in range(COLUMNS):
            damaged = cells.copy()
            damaged[row, column] ^= True
            assert decode(damaged) is None


@given(st.integers(1, 130), st.integers(1, 100), st.sampled_from(["gray", "rgb24", "yuv420p"]), st.integers(0, 2**32))
def test_any_picture_without_a_card_reads_as_none(width: int, height: int, format: str, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    assert read(av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=format)) is None


def test_name_is_cut_between_characters_and_not_within() -> None:
    assert short_name("a" * 20) == "a" * 12
    assert short_name("ééééééé") == "éééééé"
    assert short_name("a" + "é" * 6) == "a" + "é" * 5
    assert read(draw(VideoFormat(320, 240), "participant-number-1", 0, 0)) == Card("participant-", 0, 0)


@pytest.mark.parametrize("name", ["", "日本語", "a\0b", "\ud800", "x" * 500])
def test_any_name_can_be_drawn_and_read(name: str) -> None:
    card = read(draw(VideoFormat(320, 240), name, 1, 2))
    assert card is not None
    assert (card.name, card.counter, card.timestamp) == (short_name(name), 1, 2)


def test_picture_moves_and_its_colour_tells_names_apart() -> None:
    format = VideoFormat(320, 240)
    one, two = (draw(format, "ann", number, 0).to_ndarray()[:160] for number in (1, 2))
    assert (one != two).any()
    assert len({colour_of(name) for name in ("alice", "bob", "carol", "dave")}) == 4


def test_drawing_and_reading_are_cheap() -> None:
    def best(work: object, times: int = 30) -> float:
        assert callable(work)
        took = []
        for number in range(times):
            start = perf_counter()
            work(number)
            took.append(perf_counter() - start)
        return min(took)

    for format, limit in ((VideoFormat(320, 240), 1.5e-3), (VideoFormat(640, 480), 4e-3)):
        frame = draw(format, "ann", 0, 0)
        assert best(lambda number, format=format: draw(format, "ann", number, EPOCH + number)) < limit
        assert best(lambda number, frame=frame: read(frame)) < 1e-3
