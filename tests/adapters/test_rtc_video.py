"""A peer that can take far less than the others gets a smaller picture, and takes nothing from them."""

from __future__ import annotations

import asyncio
import fractions
import itertools
import re

import av
import numpy as np
import pytest
from aiortc import RTCRtpReceiver
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor
from aiortc.rtp import RtpPacket

from qbcall.adapters import rtc_sender
from qbcall.adapters.rtc_bitrate import PICTURE_IDS
from qbcall.adapters.rtc_demand import START
from qbcall.adapters.rtc_share import Feed
from qbcall.adapters.rtc_tracks import OutgoingTrack
from qbcall.core.model import Description, MediaKind
from qbcall.media.frames import Frame
from qbcall.media.outgoing import Listener
from tests.adapters.rtc_mesh import Work, play
from tests.adapters.rtc_room import CALL, Endpoint, colour, is_near, join, subscribed
from tests.adapters.rtc_wire import Wire, remb, say
from tests.adapters.test_rtc_sources import RED

VIDEO = MediaKind.VIDEO
LARGE, SMALL = (160, 120), (80, 60)
FPS = 30
SLOW = 100_000


class NoisyFeed:
    """Red pictures that no codec finds easy. A busy machine gets fewer, and never many at once."""

    def __init__(self) -> None:
        dice = np.random.default_rng(1)
        noise = (dice.integers(-30, 30, (LARGE[1], LARGE[0], 1)) for _ in range(FPS))
        self._pixels = [(np.full((LARGE[1], LARGE[0], 3), RED) + one).astype(np.uint8) for one in noise]
        self._count = itertools.count()

    async def recv(self) -> Frame:
        due = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(1 / FPS, due.set)
        try:
            await due.wait()
        finally:
            timer.cancel()
        number = next(self._count)
        picture = av.VideoFrame.from_ndarray(self._pixels[number % FPS], format="rgb24")
        picture.pts, picture.time_base = number * 90_000 // FPS, fractions.Fraction(1, 90_000)
        return picture

    def close(self) -> None:
        """Nothing to give back."""


class NoisyLocal:
    """Sends pictures only."""

    audio = None

    @property
    def video(self) -> NoisyLocal:
        return self

    def subscribe(self, listener: Listener | None = None) -> Feed:
        return subscribed(NoisyFeed(), listener)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


def size(frame: Frame) -> tuple[int, int]:
    assert isinstance(frame, av.VideoFrame)
    return frame.width, frame.height


def sizes(peer: Endpoint, sender: Endpoint) -> list[tuple[int, int]]:
    """Of all pictures that it saw, in order, without repetitions."""
    return [one for one, _ in itertools.groupby(size(frame) for frame in peer.frames[sender.user, VIDEO])]


async def until_size(peer: Endpoint, sender: Endpoint, wanted: tuple[int, int]) -> None:
    """Wait until its pictures have this size."""
    while size(await peer.frame(sender, VIDEO)) != wanted:
        pass


async def join_with_limit(a: Endpoint, b: Endpoint, line: str) -> None:
    """As if the answer had this line."""
    answer = await b.answer(a, await a.offer(b))
    a.apply(b, Description(re.sub(r"(m=video.*\r\n(?:c=.*\r\n)?)", rf"\1{line}\r\n", answer.sdp)))


def sent(wire: Wire) -> list[int]:
    """Bits that were sent to each peer."""
    return [sum(8 * len(packet.payload) for packet in packets) for packets in wire.streams(VIDEO).values()]


def in_order(peer: Endpoint, sender: Endpoint) -> bool:
    stamps = [frame.pts or 0 for frame in peer.frames[sender.user, VIDEO]]
    return all(earlier < later for earlier, later in itertools.pairwise(stamps))


def numbers_only_grow(packets: list[RtpPacket]) -> bool:
    """Of VP8's pictures (RFC 7741, section 4.2): Chromium takes one with a lower number for an old one."""
    numbers = [VpxPayloadDescriptor.parse(packet.payload)[0].picture_id or 0 for packet in packets]
    return all((later - earlier) % PICTURE_IDS < PICTURE_IDS // 2 for earlier, later in itertools.pairwise(numbers))


def test_peer_with_a_low_limit_gets_a_small_picture_and_takes_nothing_from_the_others(
    work: Work, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`b=AS` of 100 kbit/s: the others keep their rate and size. It costs one more encoder, not two."""
    # aiortc would estimate what is left of a busy machine
    monkeypatch.setattr(rtc_sender, "hear_estimate", lambda *_: None)

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        b, c, d = peers
        a.media.provide(CALL, NoisyLocal(), lambda *_: None)
        for peer in (b, c):
            await join(a, peer)
        await join_with_limit(a, d, "b=AS:100")
        await until_size(d, a, SMALL)
        await d.frame(a, VIDEO, more=10)
        calls, before, counts = (
            work.calls[Vp8Encoder],
            sent(wire),
            [len(peer.frames[a.user, VIDEO]) for peer in peers],
        )
        await asyncio.gather(*(peer.frame(a, VIDEO, more=2 * FPS) for peer in peers))
        encoded = work.calls[Vp8Encoder] - calls
        got = [peer.frames[a.user, VIDEO][count:] for peer, count in zip(peers, counts, strict=True)]
        seconds = encoded / 2 / FPS
        rates = [(after - earlier) / seconds for earlier, after in zip(before, sent(wire), strict=True)]
        for pictures, wanted in zip(got, (LARGE, LARGE, SMALL), strict=True):
            assert {size(picture) for picture in pictures} == {wanted}
            assert all(is_near(colour(picture), RED) for picture in pictures[::10])
        assert all(START * 0.8 < rate < START * 1.3 for rate in rates[:2]), rates
        assert rates[2] < SLOW * 1.1, rates
        assert abs(encoded - 2 * len(got[0])) <= 20

    play(scene, joined=0)


def test_peer_that_recovers_gets_the_large_picture_again(
    work: Work, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its estimate (REMB). The second encoder is given up then."""

    async def nothing(*arguments: object) -> None:
        """Real peers would say something else."""

    monkeypatch.setattr(RTCRtpReceiver, "_send_rtcp", nothing)

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        a.media.provide(CALL, NoisyLocal(), lambda *_: None)
        for peer in peers:
            await join(a, peer)
        await asyncio.gather(*(peer.frame(a, VIDEO, more=3) for peer in peers))
        b, _, d = peers
        senders = wire.senders["video"]
        for sender, bits in zip(senders, (START, START, SLOW), strict=True):
            await say(sender, remb(sender, bits))
        await until_size(d, a, SMALL)
        assert rates(wire) == [START, START, SLOW]
        await d.frame(a, VIDEO, more=10)
        await say(senders[2], remb(senders[2], START))
        await until_size(d, a, LARGE)
        assert rates(wire) == [START, START, START]
        calls, count = work.calls[Vp8Encoder], len(b.frames[a.user, VIDEO])
        await b.frame(a, VIDEO, more=FPS)
        assert abs(work.calls[Vp8Encoder] - calls - (len(b.frames[a.user, VIDEO]) - count)) <= 10
        assert [sizes(peer, a) for peer in peers] == [[LARGE], [LARGE], [LARGE, SMALL, LARGE]]
        assert all(in_order(peer, a) for peer in peers)
        assert all(numbers_only_grow(packets) for packets in wire.streams(VIDEO).values())
        assert all(is_near(colour(frame), RED) for peer in peers for frame in peer.frames[a.user, VIDEO][::10])

    play(scene, joined=0)


def rates(wire: Wire) -> list[int]:
    """Bits per second that are aimed at, for each peer."""
    tracks = [sender.track for sender in wire.senders["video"]]
    return [track.rate for track in tracks if isinstance(track, OutgoingTrack)]
