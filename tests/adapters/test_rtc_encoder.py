"""What is sent is encoded once, however many peers there are, and each of them is served on its own."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re

import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from av.frame import Frame as AnyFrame

from qbcall.adapters import rtc_sender
from qbcall.adapters.rtc_demand import SPACING
from qbcall.core.inputs import IceConnected
from qbcall.core.model import Description, MediaKind
from qbcall.media.frames import Source, VideoFormat
from qbcall.media.outgoing import Local
from tests.adapters.rtc_mesh import Work, play, sees
from tests.adapters.rtc_room import BOTH, CALL, Colour, Endpoint, colour, is_near, join, pitch
from tests.adapters.test_rtc_sources import GREEN, RED, SolidSource

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO
BLACK = (0, 0, 0)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


def test_three_peers_cost_one_encoder_of_each_kind(work: Work) -> None:
    """Each frame of the source is encoded once; all peers see and hear it."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        assert a.local.video is not None
        assert a.local.audio is not None
        for peer in peers:
            await sees(peer, a, RED)
        before = dict(work.calls)
        counts = {(peer, kind): len(peer.frames[a.user, kind]) for peer in peers for kind in BOTH}
        for kind in BOTH:
            await asyncio.gather(*(peer.frame(a, kind, more=40) for peer in peers))
        for encoder, kind in ((Vp8Encoder, VIDEO), (OpusEncoder, AUDIO)):
            got = [len(peer.frames[a.user, kind]) - counts[peer, kind] for peer in peers]
            encoded = work.calls[encoder] - before[encoder]
            assert min(got) >= 40
            assert max(got) - 10 <= encoded <= max(got) + 10  # some were under way before and after
        assert len(a.local.video.feeds) == len(a.local.audio.feeds) == 1
        for peer in peers:
            assert is_near(colour(peer.frames[a.user, VIDEO][-1]), RED)
            assert abs(pitch(peer.frames[a.user, AUDIO][-1]) - 500) <= 50

    play(scene)


def test_peer_that_joins_late_sees_a_picture_at_once(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within five pictures (100 ms) of being connected, the best of three; `test_rtc_requests.py` has the times."""
    # aiortc would estimate what is left of a busy machine, and be given a small picture
    monkeypatch.setattr(rtc_sender, "hear_estimate", lambda *_: None)

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        b, c, d = peers
        await b.frame(a, VIDEO, more=30)
        waited: list[list[int]] = []
        for epoch in range(1, 4):
            # d comes within 300 ms of the complete picture that c was sent
            waited.append([await until_seen(work, a, late, epoch) for late in (c, d)])
            await b.frame(a, VIDEO, more=20)
        for some in zip(*waited, strict=True):
            assert min(some) <= 5, waited
        assert all(later - earlier >= SPACING - 0.01 for earlier, later in itertools.pairwise(work.complete))

    play(scene, joined=1)


async def until_seen(work: Work, sender: Endpoint, late: Endpoint, epoch: int) -> int:
    """Pictures that were encoded from being connected to the first picture, in a new connection."""
    pictures = late.frames[sender.user, VIDEO]
    pictures.clear()
    joining = asyncio.create_task(join(sender, late, epoch=epoch))
    await late.until(IceConnected, sender, count=epoch)
    connected = work.calls[Vp8Encoder]
    await late.condition(lambda: bool(pictures))
    assert is_near(colour(pictures[0]), RED)
    seen = work.calls[Vp8Encoder]
    await joining
    sender.leave(late, epoch)
    late.leave(sender, epoch)
    return seen - connected


def test_peers_with_different_codecs_have_an_encoder_for_each_codec(work: Work) -> None:
    """VP8 for two, H264 for a third that has nothing else; the same frames go to both encoders."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        assert a.local.video is not None
        b, c, d = peers
        offer = await a.offer(d)
        a.apply(d, await d.answer(a, Description(without_vp8(offer.sdp))))
        await asyncio.gather(*(sees(peer, a, RED) for peer in peers))
        before = dict(work.calls)
        count = {peer: len(peer.frames[a.user, VIDEO]) for peer in peers}
        await asyncio.gather(*(peer.frame(a, VIDEO, more=40) for peer in peers))
        for encoder, peer in ((Vp8Encoder, b), (Vp8Encoder, c), (H264Encoder, d)):
            got = len(peer.frames[a.user, VIDEO]) - count[peer]
            assert abs(work.calls[encoder] - before[encoder] - got) <= 10
        assert len(a.local.video.feeds) == 2
        for peer in peers:
            stamps = [frame.pts or 0 for frame in peer.frames[a.user, VIDEO]]
            assert all(earlier < later for earlier, later in itertools.pairwise(stamps))
            assert all(is_near(colour(frame), RED) for frame in peer.frames[a.user, VIDEO])

    play(scene, joined=2)


def without_vp8(sdp: str) -> str:
    """As if the peer had no VP8."""
    (vp8,) = re.findall(r"a=rtpmap:(\d+) VP8/", sdp)
    repeats = re.findall(rf"a=fmtp:(\d+) apt={vp8}\r", sdp)
    for number in (vp8, *repeats):
        sdp = re.sub(rf"(m=video .*?) {number}(?= |\r)", r"\1", sdp)
        sdp = re.sub(rf"a=(rtpmap|fmtp|rtcp-fb):{number} .*\r\n", "", sdp)
    return sdp


def test_peer_that_leaves_takes_nothing_from_the_others(work: Work) -> None:
    """QB: each connection ends on its own; aiortc would stop the track of all."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        assert a.local.video is not None
        b, c, d = peers
        await asyncio.gather(*(peer.frame(a, VIDEO, more=5) for peer in peers))
        a.leave(b)
        await b.media.close()
        await asyncio.gather(*(peer.frame(a, kind, more=20) for peer in (c, d) for kind in BOTH))
        assert [feed.closed for feed in a.local.feeds] == [False, False]
        a.leave(c)
        a.leave(d)
        await a.media.close()
        assert [feed.closed for feed in a.local.feeds] == [True, True]

    play(scene)


def test_muted_and_replaced_source_goes_on_for_all() -> None:
    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        local = Local.of(Source(video=SolidSource(RED)), VideoFormat(width=128, height=96, fps=20))
        a.media.provide(CALL, local, lambda *_: None)
        for peer in peers:
            await join(a, peer)

        async def all_see(wanted: Colour) -> None:
            await asyncio.gather(*(sees(peer, a, wanted) for peer in peers))

        await all_see(RED)
        local.mute(VIDEO, True)
        await all_see(BLACK)
        local.mute(VIDEO, False)
        await all_see(RED)
        local.replace(Source(video=SolidSource(GREEN)))
        await all_see(GREEN)
        for peer in peers:
            stamps = [frame.pts or 0 for frame in peer.frames[a.user, VIDEO]]
            assert all(earlier < later for earlier, later in itertools.pairwise(stamps))
        await local.close()

    play(scene, joined=0)


def test_source_that_breaks_ends_for_all_and_a_new_peer_tries_again() -> None:
    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        assert a.local.video is not None
        b, c, d = peers
        await asyncio.gather(*(peer.frame(a, VIDEO, more=5) for peer in (b, c)))
        a.local.video.broken = True
        await asyncio.gather(*(peer.frame(a, AUDIO, more=20) for peer in (b, c)))  # the sound goes on
        assert a.local.video.feeds[0].closed
        a.local.video.broken = False
        await join(a, d)
        await sees(d, a, RED)

    play(scene, joined=2)


def test_frame_that_cannot_be_encoded_is_told_once_and_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    encode, count = Vp8Encoder.encode, itertools.count()

    def break_sometimes(this: Vp8Encoder, frame: AnyFrame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        if next(count) in (10, 20):
            raise ValueError("a bad frame")
        return encode(this, frame, force_keyframe)

    monkeypatch.setattr(Vp8Encoder, "encode", break_sometimes)

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        await asyncio.gather(*(peer.frame(a, VIDEO, more=40) for peer in peers))

    with caplog.at_level(logging.ERROR):
        play(scene)
    assert [record.message for record in caplog.records] == ["a frame could not be encoded (told once)"]
