"""A path that loses packets: pictures and sound go on, whole, in order, and without delay that stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import av
import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import is_rtcp

from qbcall.adapters.rtc_arrival import is_media
from qbcall.adapters.rtc_codecs import CODECS
from qbcall.adapters.rtc_lasting import LastingPath
from qbcall.media.frames import AUDIO_BLOCK
from tests.adapters.rtc_room import BOTH, CALL, Endpoint, colour, is_near, join, pitch, run

AUDIO, VIDEO = BOTH
RED = (200, 40, 40)


class Path:
    """Loses what `loses` says, in both directions: told the number of the datagram, and whether it is RTCP."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.loses: Callable[[int, bool], bool] = lambda number, control: False
        self.lost = 0
        self._sent = 0
        self._news = asyncio.Event()
        send = LastingPath.send_now

        def lossy(path: LastingPath, data: bytes) -> None:
            media = is_media(data)
            self._sent += media
            if media and self.loses(self._sent, is_rtcp(data)):
                self.lost += 1
                self._news.set()
            else:
                send(path, data)

        patch.setattr(LastingPath, "send_now", lossy)

    async def until_lost(self, count: int) -> None:
        """Wait until so many are."""
        while self.lost < count:
            self._news.clear()
            await self._news.wait()


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> Path:
    return Path(monkeypatch)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_lost_packets_are_sent_again_or_made_up(codec: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of seven, requests for them too: every picture comes, and every block of sound."""
    chosen = sorted(CODECS[VIDEO], key=lambda one: one.mimeType != f"video/{codec}")
    monkeypatch.setitem(CODECS, VIDEO, chosen)

    async def play() -> None:
        async with Endpoint("a", colour=RED, pitch=500) as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            for kind in BOTH:
                await b.frame(a, kind)
            start = {kind: len(b.frames[a.user, kind]) for kind in BOTH}
            path.loses = lambda number, control: number % 7 == 0
            for kind in BOTH:
                await b.frame(a, kind, more=100)
            path.loses = lambda number, control: False
            assert path.lost > 20
            pictures, blocks = (b.frames[a.user, kind][start[kind] :] for kind in (VIDEO, AUDIO))
            assert all(is_near(colour(one), RED) for one in pictures)
            assert all((other.pts or 0) > (one.pts or 0) for one, other in pairwise(pictures))
            gaps = [(other.pts or 0) - (one.pts or 0) for one, other in pairwise(blocks)]
            assert set(gaps) == {AUDIO_BLOCK}
            assert abs(pitch(blocks[-1]) - 500) <= 50

    run(play)


def test_picture_comes_back_with_the_path(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer is asked for a complete picture at once, and again if that is lost, but not for old packets."""
    requests: list[str] = []
    for name in ("_send_rtcp_pli", "_send_rtcp_nack"):
        monkeypatch.setattr(RTCRtpReceiver, name, noted(requests, name, getattr(RTCRtpReceiver, name)))

    async def play() -> None:
        async with Endpoint("a", colour=RED) as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            await b.frame(a, VIDEO, more=5)
            assert a.local.video is not None
            path.loses = lambda number, control: True
            await path.until_lost(150)
            path.loses = lambda number, control: control and not requests.count("_send_rtcp_pli") > 1
            requests.clear()
            seen = len(b.frames[a.user, VIDEO])
            await b.frame(a, VIDEO)
            assert is_near(colour(b.frames[a.user, VIDEO][seen]), RED)
            assert requests == ["_send_rtcp_pli"] * 2

    run(play)


def noted(requests: list[str], name: str, send: Callable[..., object]) -> Callable[..., object]:
    def note(*arguments: object) -> object:
        requests.append(name)
        return send(*arguments)

    return note


def test_no_delay_stays_after_a_loss(path: Path) -> None:
    """Of blocks that are lost in a row: what comes afterwards comes as soon as before."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        late: list[float] = []

        def take(_: object, frame: av.AudioFrame | av.VideoFrame) -> None:
            if isinstance(frame, av.AudioFrame):
                late.append(loop.time() - (frame.pts or 0) / 48_000)
                b._news.set()

        async with Endpoint("a", sends=(AUDIO,)) as a, Endpoint("b", sends=()) as b:
            b.media.provide(CALL, None, take)
            await join(a, b)
            await b.condition(lambda: len(late) >= 50)
            before = min(late)
            path.loses = lambda number, control: path.lost < 3
            await path.until_lost(3)
            late.clear()
            await b.condition(lambda: len(late) >= 100)
            assert min(late[50:]) < before + 0.03

    run(play)
