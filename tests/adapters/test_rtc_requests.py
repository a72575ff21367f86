"""Complete pictures when peers ask for them, with real encoders on a virtual clock: work takes no time on it."""

from __future__ import annotations

import asyncio
import itertools

import av
import pytest
from aiortc import RTCRtpCodecParameters

from qbcall.adapters import rtc_layer
from qbcall.adapters.rtc_demand import START
from qbcall.adapters.rtc_encoder import SharedMedia
from qbcall.adapters.rtc_share import Encoded, Share, Terms
from qbcall.core.model import MediaKind
from tests.adapters.rtc_room import BOTH, AtOnce, SolidLocal
from tests.adapters.test_rtc_sources import RED
from tests.media.virtual_clock import VirtualClockLoop, run

VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=97)
H264 = RTCRtpCodecParameters(
    mimeType="video/H264", clockRate=90_000, payloadType=99, parameters={"packetization-mode": "1"}
)
CODECS = [pytest.param(codec, id=codec.name) for codec in (VP8, H264)]
FIRST, SPACING, JOINED = 0.05, 0.3, 0.1
"""Seconds until the first answer, between answers, and until a peer that joins sees a picture."""
EXACT = 0.002
"""Seconds by which timers may be off."""
STORM, LASTS = 600, 2.0
SLOW = 100_000


class Stage:
    """One who sends pictures, 50 a second, and what the peers get of them."""

    def __init__(self, loop: VirtualClockLoop, codec: RTCRtpCodecParameters) -> None:
        self.local = SolidLocal(BOTH, RED, 500)
        self.complete: dict[Share, list[float]] = {}
        """When each peer was given complete pictures."""
        self.pictures: dict[Share, list[int]] = {}
        """Widths of what each peer was given."""
        self._loop = loop
        self._codec = codec
        stream = SharedMedia(self.local, AtOnce()).stream(MediaKind.VIDEO)
        assert stream is not None
        self._stream = stream

    def join(self, terms: Terms | None = None) -> Share:
        complete: list[float] = []
        widths: list[int] = []

        def take(encoded: Encoded) -> None:
            assert isinstance(encoded.frame, av.VideoFrame)
            widths.append(encoded.frame.width)
            if encoded.complete:
                complete.append(self._loop.time())

        share = self._stream.share(self._codec, terms or Terms(), take)
        self.complete[share], self.pictures[share] = complete, widths
        return share

    async def end(self) -> None:
        for share in self.complete:
            share.close()
        await asyncio.sleep(1)


async def storm(stage: Stage, shares: list[Share]) -> None:
    """All ask, again and again."""
    for _ in range(STORM // len(shares)):
        for share in shares:
            share.ask()
        await asyncio.sleep(LASTS / STORM * len(shares))


def is_answered(made: list[float], asked: float) -> bool:
    """At once, and then once in 300 ms, to the end."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(made)]
    at_once = asked <= made[0] <= asked + FIRST
    return at_once and min(gaps) >= SPACING - EXACT and len(made) in (6, 7, 8)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("held", [False, True])
def test_six_hundred_requests_are_answered_at_once_and_then_each_300_ms(
    codec: RTCRtpCodecParameters, held: bool
) -> None:
    """Also where no new pictures come: the latest is encoded again."""

    async def scenario(loop: VirtualClockLoop) -> None:
        stage = Stage(loop, codec)
        shares = [stage.join() for _ in range(3)]
        await asyncio.sleep(0.995)
        assert stage.local.video is not None
        stage.local.video.held = held
        for made in stage.complete.values():
            made.clear()
        asked = loop.time()
        await storm(stage, shares)
        await asyncio.sleep(SPACING)
        assert all(is_answered(stage.complete[share], asked) for share in shares), stage.complete
        assert len({tuple(stage.complete[share]) for share in shares}) == 1  # the same for all
        await stage.end()

    run(scenario)


@pytest.mark.parametrize("codec", CODECS)
def test_peers_with_pictures_of_different_size_are_answered_in_the_same_way(codec: RTCRtpCodecParameters) -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        stage = Stage(loop, codec)
        slow, *others = shares = [stage.join(Terms(limit=SLOW)), stage.join(), stage.join()]
        await asyncio.sleep(0.995)
        assert {stage.pictures[share][-1] for share in others} == {128}
        assert stage.pictures[slow][-1] == 64
        assert (slow.rate, others[0].rate) == (START, START)  # a limit is none of the encoder's aims
        for made in stage.complete.values():
            made.clear()
        slow.ask()
        await asyncio.sleep(FIRST)
        assert [len(stage.complete[share]) for share in shares] == [1, 0, 0]
        await asyncio.sleep(1)
        stage.complete[slow].clear()
        asked = loop.time()
        await storm(stage, shares)
        await asyncio.sleep(SPACING)
        assert all(is_answered(stage.complete[share], asked) for share in shares), stage.complete
        await stage.end()

    run(scenario)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("held", [False, True])
def test_peer_that_joins_at_any_time_sees_a_picture_at_once(codec: RTCRtpCodecParameters, held: bool) -> None:
    """Each comes another while after a complete picture; all together they cost few of these."""

    async def scenario(loop: VirtualClockLoop) -> None:
        stage = Stage(loop, codec)
        first = stage.join()
        await asyncio.sleep(0.995)
        assert stage.local.video is not None
        stage.local.video.held = held
        started = loop.time()
        for number in range(40):
            joined, share = loop.time(), stage.join()
            await asyncio.sleep(JOINED)
            assert stage.complete[share], number
            assert stage.complete[share][0] <= joined + JOINED
            share.close()
            await asyncio.sleep(0.007 * number % 0.4)
        made = [at for at in stage.complete[first] if at >= started]
        assert len(made) <= (loop.time() - started) / SPACING + 1
        await stage.end()

    run(scenario)


def test_small_picture_that_cannot_be_made_takes_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("no")

    async def scenario(loop: VirtualClockLoop) -> None:
        stage = Stage(loop, VP8)
        slow, other = stage.join(Terms(limit=SLOW)), stage.join()
        await asyncio.sleep(1)
        assert stage.pictures[slow] == []
        assert len(stage.pictures[other]) >= 40
        await stage.end()

    monkeypatch.setattr(rtc_layer, "shrunk", fail)
    run(scenario)
    assert [record.message for record in caplog.records] == ["a frame could not be encoded (told once)"]


def test_peer_that_is_sent_nothing_for_now_costs_no_small_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets a complete picture of its size when it is sent something again."""
    made: list[int] = []
    shrunk = rtc_layer.shrunk

    def count(frame: av.VideoFrame, divisor: int) -> av.VideoFrame:
        made.append(divisor)
        return shrunk(frame, divisor)

    monkeypatch.setattr(rtc_layer, "shrunk", count)

    async def scenario(loop: VirtualClockLoop) -> None:
        stage = Stage(loop, VP8)
        terms = Terms(limit=SLOW)
        slow, _ = stage.join(terms), stage.join()
        await asyncio.sleep(1)
        assert set(stage.pictures[slow]) == {64}
        terms.enabled = lambda: False
        await asyncio.sleep(0.1)
        before, seen = len(made), len(stage.pictures[slow])
        await asyncio.sleep(1)
        assert (len(made), len(stage.pictures[slow])) == (before, seen)
        terms.enabled = lambda: True
        await asyncio.sleep(0.5)
        assert set(stage.pictures[slow][seen:]) == {64}
        await stage.end()

    run(scenario)


def test_estimate_that_goes_up_and_down_moves_a_peer_seldom() -> None:
    """It comes back after 2 s, and then not so soon: each change costs all a complete picture."""

    async def scenario(loop: VirtualClockLoop) -> None:
        stage = Stage(loop, VP8)
        shares = [stage.join() for _ in range(3)]
        for share in shares:
            share.terms.demand.estimate(START)
        for _ in range(4):
            shares[0].terms.demand.estimate(SLOW)
            await asyncio.sleep(1)
            assert shares[0].rate == SLOW
            assert shares[1].rate == START
            shares[0].terms.demand.estimate(START)
            await asyncio.sleep(3)
        widths = [width for width, _ in itertools.groupby(stage.pictures[shares[0]])]
        assert widths == [64, 128, 64], widths
        assert set(stage.pictures[shares[1]]) == {128}
        await stage.end()

    run(scenario)
