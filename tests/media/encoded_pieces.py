"""Test cards and tones as a peer sends them: encoded, with time stamps that begin anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from qbcall.core.model import MediaKind
from qbcall.media.blocks import samples_of
from qbcall.media.encoded import EncodedFrame
from qbcall.media.testcard import read
from tests.media.pieces import cards, sound

FPS, BLOCKS = 15, 50
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "repeat-headers=1"}),
}


def video(
    codec: str = "VP8",
    *,
    start: float = 0.0,
    seconds: float = 2.0,
    stream: int = 1,
    first: int = 0,
    size: tuple[int, int] = (160, 120),
    stamp: int = 2**32 - 9000,
    keyframes: int = 15,
) -> Iterator[EncodedFrame]:
    """Cards, counted from `first`; a complete picture every so many."""
    name, options = ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    (encoder.width, encoder.height), encoder.pix_fmt, encoder.options = size, "yuv420p", options
    encoder.time_base, encoder.gop_size, encoder.bit_rate = Fraction(1, FPS), keyframes, 1_000_000
    for number, card in enumerate(islice(cards(width=size[0], height=size[1], first=first), round(seconds * FPS))):
        card.pts, card.time_base = number, Fraction(1, FPS)
        [packet] = encoder.encode(card)
        yield EncodedFrame(
            kind=MediaKind.VIDEO,
            codec=codec,
            data=bytes(packet),
            stream=stream,
            timestamp=(stamp + number * 90_000 // FPS) % 2**32,
            clock_rate=90_000,
            arrival=start + number / FPS,
            keyframe=packet.is_keyframe,
            size=size if packet.is_keyframe and codec == "VP8" else None,
        )


def audio(
    *, start: float = 0.0, seconds: float = 2.0, stream: int = 1, hertz: int = 440, stamp: int = 2**32 - 4800
) -> Iterator[EncodedFrame]:
    """A tone in Opus."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.time_base = Fraction(1, 48_000)
    packets = (packet for block in sound(hertz) for packet in encoder.encode(block))
    for number, packet in enumerate(islice(packets, round(seconds * BLOCKS))):
        yield EncodedFrame(
            kind=MediaKind.AUDIO,
            codec="OPUS",
            data=bytes(packet),
            stream=stream,
            timestamp=(stamp + number * 960) % 2**32,
            clock_rate=48_000,
            arrival=start + number / BLOCKS,
        )


def in_order(*streams: Iterable[EncodedFrame]) -> list[EncodedFrame]:
    """As they arrive."""
    return sorted((frame for stream in streams for frame in stream), key=lambda frame: frame.arrival)


class Played:
    """All that is in a file."""

    def __init__(self, path: Path, *, look: Callable[[av.VideoFrame], object] = lambda _: None) -> None:
        self._look = look
        self.cards: list[tuple[float, int]] = []
        """When each card is shown, and its counter; -1: it cannot be read."""
        self.sizes: list[tuple[int, int]] = []
        self.keyframes: list[bool] = []
        """Of the packets of video."""
        self.codecs: dict[str, str] = {}
        """By kind, as FFmpeg calls them."""
        self.blocks: list[tuple[float, np.typing.NDArray[np.int16]]] = []
        """When each block of sound begins, and its samples."""
        self.rate = 0
        self.broken = 0
        """Packets that cannot be decoded."""
        with av.open(path) as container:
            for stream in (*container.streams.video, *container.streams.audio):
                self.codecs[stream.type] = stream.codec_context.name
            for packet in container.demux():
                if packet.stream.type == "video" and packet.size:
                    self.keyframes.append(packet.is_keyframe)
                try:
                    frames = packet.decode()
                except av.InvalidDataError:
                    self.broken += 1
                    continue
                for frame in frames:
                    self._note(frame)

    def _note(self, frame: object) -> None:
        if isinstance(frame, av.VideoFrame):
            self._look(frame)
            card = read(frame)
            self.cards.append((frame.time or 0.0, -1 if card is None else card.counter))
            self.sizes.append((frame.width, frame.height))
        elif isinstance(frame, av.AudioFrame):
            self.rate = frame.sample_rate
            self.blocks.append((frame.time or 0.0, samples_of(frame)))

    @property
    def counters(self) -> list[int]:
        return [counter for _, counter in self.cards]

    @property
    def samples(self) -> np.typing.NDArray[np.int16]:
        return np.concatenate([samples for _, samples in self.blocks])[:, 0]
