"""Pictures leave the buffer when their last packet is there: whole, in order, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from qbcall.adapters.rtc_codecs import CODECS
from qbcall.adapters.rtc_jitter import CAPACITY, PromptBuffer
from qbcall.core.inputs import StatsRead
from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame
from tests.adapters.rtc_room import Endpoint, SolidFeed, SolidOutlet, join, run

VIDEO = MediaKind.VIDEO
VP8 = 97
WINDOW = 40
"""Packets by which one is late or repeated, at most; aiortc's buffer starts again at 100."""


@dataclass
class Stream:
    """What a peer sends: pictures of so many packets, each with so much padding behind it."""

    shape: Sequence[tuple[int, int]]
    start: int = 0
    """First sequence number."""
    clock: int = 0
    """First time stamp."""
    marked: bool = True
    pictures: list[list[RtpPacket]] = field(init=False)
    packets: list[RtpPacket] = field(init=False)

    def __post_init__(self) -> None:
        self.pictures, self.packets = [], []
        for number, (size, padding) in enumerate(self.shape):
            picture = [self._packet(number, f"{number}.{part} ".encode()) for part in range(size)]
            picture[-1].marker = int(self.marked)
            self.pictures.append(picture)
            for _ in range(padding):
                self._packet(number, b"")

    def _packet(self, number: int, data: bytes) -> RtpPacket:
        sequence = (self.start + len(self.packets)) % 2**16
        packet = RtpPacket(VP8, 0, sequence, (self.clock + number * 6000) % 2**32, payload=data)
        vars(packet)["_data"] = data
        self.packets.append(packet)
        return packet

    def frame(self, number: int) -> tuple[int, bytes]:
        """What should come out of one picture."""
        picture = self.pictures[number]
        return picture[0].timestamp, b"".join(packet.payload for packet in picture)

    def needs(self) -> list[set[int]]:
        """Of each picture, the places of the packets that tell that it is complete; the last may never be."""
        places = {id(packet): place for place, packet in enumerate(self.packets)}
        spans = [(places[id(picture[0])], places[id(picture[-1])]) for picture in self.pictures]
        if not self.marked:
            spans = [(one[0], other[0]) for one, other in pairwise(spans)]
        return [set(range(first, last + 1)) for first, last in spans]


class Receiver:
    """A buffer, and what came out."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.buffer = PromptBuffer(self._take)

    def _take(self, payload_type: int, frame: JitterFrame) -> None:
        assert payload_type == VP8
        self.frames.append((frame.timestamp, frame.data))

    def add(self, packet: RtpPacket) -> bool:
        """One arrives; whether the peer is to be asked for a whole picture."""
        wanted, frame = self.buffer.add(packet)
        assert frame is None, "all are handed over"
        return wanted

    def add_all(self, packets: Iterable[RtpPacket]) -> None:
        """Some arrive; nothing was lost."""
        for packet in packets:
            assert not self.add(packet)


def streams(marked: st.SearchStrategy[bool]) -> st.SearchStrategy[Stream]:
    """Some whose numbers begin again on the way."""
    picture = st.tuples(st.integers(1, 6), st.sampled_from([0, 0, 0, 1, 3]))
    shapes = st.lists(picture, min_size=1, max_size=25)
    starts = st.integers(0, 2**16 - 1) | st.integers(2**16 - 60, 2**16 - 1)
    clocks = st.integers(0, 2**32 - 1) | st.integers(2**32 - 60_000, 2**32 - 1)
    return st.builds(Stream, shapes, starts, clocks, marked)


@st.composite
def arrivals(draw: st.DrawFn, stream: Stream) -> list[RtpPacket]:
    """All packets, some late, some more than once; the first is the first."""
    delay = st.just(0) | st.integers(0, WINDOW)
    times = [
        (number + late, packet)
        for number, packet in enumerate(stream.packets)
        for late in draw(st.lists(delay if number else st.just(0), min_size=1, max_size=2))
    ]
    return [packet for _, packet in sorted(times, key=lambda one: one[0])]


def complete(stream: Stream, arrived: Sequence[RtpPacket]) -> list[tuple[int, bytes]]:
    """The model: the pictures of which all is there, and all of those before; without markers, the next has begun."""
    there = {packet.sequence_number for packet in arrived}
    missing = next(
        (n for n, one in enumerate(stream.packets) if one.sequence_number not in there), len(stream.packets)
    )
    return [stream.frame(number) for number, needed in enumerate(stream.needs()) if max(needed) < missing]


@settings(max_examples=300, deadline=None)
@given(st.data(), streams(st.booleans()))
def test_picture_leaves_with_the_packet_that_completes_it(data: st.DataObject, stream: Stream) -> None:
    """Whatever is late or repeated, and however the numbers wrap: not before, not after, each once, in order."""
    receiver = Receiver()
    packets = data.draw(arrivals(stream))
    for count, packet in enumerate(packets, 1):
        receiver.add_all([packet])
        assert receiver.frames == complete(stream, packets[:count])


@settings(max_examples=60, deadline=None)
@given(streams(st.booleans()), st.sets(st.integers(1, 100), min_size=1, max_size=20))
def test_loss_takes_only_the_pictures_it_hits(shown: Stream, lost: set[int]) -> None:
    """The others come out once the buffer is full, whole and in order; the peer is asked for a whole picture."""
    rest = [(3, 1)] * (CAPACITY // 2)
    stream = Stream([*shown.shape, *rest], shown.start, shown.clock, shown.marked)
    receiver = Receiver()
    asked = [receiver.add(packet) for number, packet in enumerate(stream.packets) if number not in lost]
    assert any(asked)
    whole = [stream.frame(number) for number, needed in enumerate(stream.needs()) if not needed & lost]
    assert [frame for frame in receiver.frames if frame in whole] == whole
    everything = dict(map(stream.frame, range(len(stream.pictures))))
    assert len({stamp for stamp, _ in receiver.frames}) == len(receiver.frames), "each once"
    assert all(data in everything[stamp] for stamp, data in receiver.frames), "no parts of two pictures"


def test_late_packet_releases_all_pictures_that_waited_for_it() -> None:
    stream, receiver = Stream([(2, 0)] * 5), Receiver()
    late = stream.packets[1]
    receiver.add_all(packet for packet in stream.packets if packet is not late)
    assert receiver.frames == []
    receiver.add_all([late])
    assert receiver.frames == [stream.frame(number) for number in range(5)]


def test_padding_alone_fills_no_buffer() -> None:
    """A peer that tries how much a path carries sends padding behind its last picture for as long as it likes."""
    stream, receiver = Stream([(2, 3 * CAPACITY), (1, 0)]), Receiver()
    receiver.add_all(stream.packets)
    assert receiver.frames == [stream.frame(0), stream.frame(1)]


# -- a real connection -----------------------------------------------------------------------------------------------


class Shutter(SolidOutlet):
    """A camera that gives one picture for each release."""

    def __init__(self) -> None:
        super().__init__(VIDEO, (200, 40, 40), 0)
        self.releases: asyncio.Queue[None] = asyncio.Queue()

    def subscribe(self) -> ShutterFeed:
        self.feeds.append(feed := ShutterFeed(self))
        return feed


class ShutterFeed(SolidFeed):
    """Its pictures."""

    def __init__(self, shutter: Shutter) -> None:
        super().__init__(shutter)
        self._shutter = shutter

    async def recv(self) -> Frame:
        await self._shutter.releases.get()
        return await super().recv()


@asynccontextmanager
async def filming() -> AsyncIterator[tuple[Shutter, Endpoint, Endpoint]]:
    """A camera, who has it, and who watches. Both receive already."""
    async with Endpoint("a") as a, Endpoint("b") as b:
        shutter = a.local.video = Shutter()
        await join(a, b)
        await b.frame(a, MediaKind.AUDIO)
        yield shutter, a, b


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_picture_is_seen_before_the_next_one_is_taken(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the camera is: with a buffer that waits for the next picture, not even the first would be seen."""
    chosen = sorted(CODECS[VIDEO], key=lambda one: one.mimeType != f"video/{codec}")
    monkeypatch.setitem(CODECS, VIDEO, chosen)

    async def play() -> None:
        async with filming() as (shutter, a, b):
            for _ in range(5):
                shutter.releases.put_nowait(None)
                await b.frame(a, VIDEO)
            b.read_stats(a)
            assert (await b.until(StatsRead)).report.received[VIDEO].codec == codec

    run(play)


def test_pictures_that_waited_for_a_late_packet_are_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not one by one, as packets of further pictures come."""
    take = RTCRtpReceiver._handle_rtp_packet
    kept: asyncio.Queue[tuple[RTCRtpReceiver, RtpPacket, int]] = asyncio.Queue()
    keeping = asyncio.Event()

    async def keep(receiver: RTCRtpReceiver, packet: RtpPacket, arrival_time_ms: int) -> None:
        if keeping.is_set() and receiver.track.kind == "video":
            kept.put_nowait((receiver, packet, arrival_time_ms))
        else:
            await take(receiver, packet, arrival_time_ms)

    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", keep)

    async def play() -> None:
        async with filming() as (shutter, a, b):
            shutter.releases.put_nowait(None)
            await b.frame(a, VIDEO)
            keeping.set()
            for _ in range(3):
                shutter.releases.put_nowait(None)
            first, *others = [await kept.get() for _ in range(3)]
            assert len({packet.timestamp for _, packet, _ in (first, *others)}) == 3
            keeping.clear()
            seen = asyncio.create_task(b.frame(a, VIDEO, more=3))
            for one in (*others, first):
                await take(*one)
            await seen

    run(play)
