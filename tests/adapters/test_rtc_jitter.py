"""Pictures leave the buffer when their last packet is there: whole, in order, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from qbcall.adapters.rtc_codecs import CODECS
from qbcall.adapters.rtc_jitter import CAPACITY, MOST_MISSING, SILENCE, Picture, PictureBuffer
from qbcall.adapters.rtc_missing import PATIENCE
from qbcall.adapters.rtc_reception import Reception
from qbcall.adapters.rtc_share import Feed
from qbcall.core.inputs import StatsRead
from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame
from qbcall.media.outgoing import Listener
from tests.adapters.rtc_room import Endpoint, SolidFeed, SolidOutlet, join, run, subscribed

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
    """A buffer, and what came out; time stands still unless it is moved."""

    def __init__(self, *, complete: Collection[int] | None = None) -> None:
        """`complete`: the pictures with which a decoder can begin, by number; None: all."""
        self.frames: list[tuple[int, bytes]] = []
        self.now = 0.0
        self._complete = complete
        self.buffer = PictureBuffer(self._begins, self._begins)

    def _begins(self, payload_type: int, data: bytes) -> bool:
        number, _, part = data.partition(b" ")[0].partition(b".")
        return part == b"0" and (self._complete is None or int(number) in self._complete)

    def add(self, packet: RtpPacket) -> None:
        """One arrives."""
        self._take(self.buffer.add(packet, self.now))

    def add_all(self, packets: Iterable[RtpPacket]) -> None:
        """Some arrive."""
        for packet in packets:
            self.add(packet)

    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self._take(self.buffer.tend(self.now))

    def _take(self, pictures: Iterable[Picture]) -> None:
        for one in pictures:
            assert one.payload_type == VP8
            self.frames.append((one.timestamp, one.data))


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
    receiver = Receiver(complete={0})
    packets = data.draw(arrivals(stream))
    for count, packet in enumerate(packets, 1):
        receiver.add_all([packet])
        assert receiver.frames == complete(stream, packets[:count])
    there = {packet.sequence_number for packet in packets}
    assert set(receiver.buffer.missing.numbers).isdisjoint(there)


@settings(max_examples=200, deadline=None)
@given(streams(st.booleans()), st.sets(st.integers(1, 100), min_size=1), st.sets(st.integers(1, 25)), st.booleans())
def test_nothing_comes_out_that_builds_on_what_is_lost(
    shown: Stream, lost: set[int], again: set[int], hurried: bool
) -> None:
    """After a loss the next picture out is complete in itself; all that come out are whole, in order, each once."""
    stream = Stream([*shown.shape, (2, 0), (1, 0)], shown.start, shown.clock, shown.marked)
    last = len(stream.pictures) - 2
    receiver = Receiver(complete={0, last, *again})
    for place, packet in enumerate(stream.packets):
        if place not in lost or packet in stream.pictures[last] or packet in stream.pictures[last + 1]:
            receiver.add(packet)
            receiver.wait(0.01 if hurried else PATIENCE)
    receiver.wait(PATIENCE)
    whole = [stream.frame(number) for number in range(len(stream.pictures))]
    places = [whole.index(frame) for frame in receiver.frames]
    assert places == sorted(set(places))
    for before, after in pairwise(places):
        assert after == before + 1 or after in {last, *again}
    assert last in places or not shown.marked
    assert not receiver.buffer.missing


def test_complete_picture_is_not_kept_by_what_is_missing_before_it() -> None:
    stream, receiver = Stream([(2, 0), (3, 0), (1, 0), (4, 0), (1, 0)]), Receiver(complete={0, 3})
    receiver.add_all(packet for packet in stream.packets if packet is not stream.pictures[1][1])
    assert receiver.frames == [stream.frame(number) for number in (0, 3, 4)]
    assert not receiver.buffer.missing


def test_whole_pictures_that_build_on_what_is_missing_are_dropped() -> None:
    stream, receiver = Stream([(2, 1), (3, 1), (1, 0), (4, 0), (1, 0)]), Receiver(complete={3})
    receiver.add_all(stream.packets)
    assert receiver.frames == [stream.frame(number) for number in (3, 4)]
    assert receiver.buffer.dropped == 3


def test_missing_packet_is_waited_for_and_given_up_in_time() -> None:
    stream, receiver = Stream([(2, 0), (2, 0), (2, 0), (2, 0)]), Receiver(complete={0})
    receiver.add_all(packet for packet in stream.packets if packet is not stream.pictures[1][1])
    receiver.wait(PATIENCE * 0.9)
    assert receiver.buffer.missing.numbers == [stream.pictures[1][1].sequence_number]
    receiver.wait(PATIENCE * 0.2)
    assert not receiver.buffer.missing
    receiver.add(stream.pictures[1][1])
    assert receiver.frames == [stream.frame(0)]


@pytest.mark.parametrize(("pictures", "pause"), [(MOST_MISSING + 1, 0.0), (2, 2 * SILENCE)])
def test_what_was_lost_while_the_path_was_down_is_not_asked_for(pictures: int, pause: float) -> None:
    """It is old: a complete picture is what is needed."""
    stream, receiver = Stream([(1, 0)] * (pictures + 4)), Receiver(complete={0, pictures + 3})
    receiver.add(stream.packets[0])
    receiver.wait(pause)
    receiver.add(stream.packets[pictures + 1])
    assert receiver.buffer.incomplete
    assert not receiver.buffer.missing
    receiver.add_all(stream.packets[pictures + 2 :])
    assert receiver.frames == [stream.frame(0), stream.frame(pictures + 3)]


def test_late_packet_releases_all_pictures_that_waited_for_it() -> None:
    stream, receiver = Stream([(2, 0)] * 5), Receiver(complete={0})
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


def test_picture_without_an_end_is_given_up() -> None:
    """Nobody sends so much for one; memory has an end."""
    stream, receiver = Stream([(3 * CAPACITY, 0), (1, 0), (1, 0)]), Receiver(complete={2})
    receiver.add_all(stream.packets[: 3 * CAPACITY - 1])
    assert len(receiver.buffer._held) <= CAPACITY
    receiver.add_all(stream.packets[3 * CAPACITY - 1 :])
    assert receiver.frames == [stream.frame(2)]


def test_stream_that_began_again_goes_on_with_a_complete_picture() -> None:
    """A single old packet is no new beginning; a restarted sender is (RFC 3550, appendix A.1)."""
    before, after = Stream([(1, 0)] * 3, start=20_000), Stream([(1, 0)] * 5, start=9)
    receiver = Receiver(complete={0, 3})
    receiver.add_all([*before.packets[:2], after.packets[0], before.packets[2]])
    assert receiver.frames == [before.frame(number) for number in range(3)]
    receiver.add_all(after.packets)
    assert receiver.frames[3:] == [after.frame(number) for number in (3, 4)]


# -- a real connection -----------------------------------------------------------------------------------------------


class Shutter(SolidOutlet):
    """A camera that gives one picture for each release."""

    def __init__(self) -> None:
        super().__init__(VIDEO, (200, 40, 40), 0)
        self.releases: asyncio.Queue[None] = asyncio.Queue()

    def subscribe(self, listener: Listener | None = None) -> Feed:
        self.feeds.append(feed := ShutterFeed(self))
        return subscribed(feed, listener)


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
    take = Reception.take
    kept: asyncio.Queue[tuple[Reception, RtpPacket, int]] = asyncio.Queue()
    keeping = asyncio.Event()

    def keep(reception: Reception, packet: RtpPacket, arrived: int) -> None:
        if keeping.is_set() and packet.extensions.audio_level is None:
            kept.put_nowait((reception, packet, arrived))
        else:
            take(reception, packet, arrived)

    monkeypatch.setattr(Reception, "take", keep)

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
                take(*one)
            await seen

    run(play)
