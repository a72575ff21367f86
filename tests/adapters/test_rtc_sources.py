"""What is sent can change in a running call, and the peer is told nothing."""

from __future__ import annotations

import asyncio
import itertools

import av
import numpy as np

from qbcall.core.inputs import MediaCounted, MediaFact, MediaFlowing
from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame, Source, VideoFormat
from qbcall.media.outgoing import Local
from tests.adapters.rtc_room import CALL, Colour, Endpoint, colour, is_near, join, run

VIDEO = MediaKind.VIDEO
FORM = VideoFormat(width=128, height=96, fps=20)
RED, GREEN, BLACK = (200, 40, 40), (40, 200, 40), (0, 0, 0)


class SolidSource:
    """Pictures of one colour, as fast as they are sent."""

    def __init__(self, colour: Colour) -> None:
        self.closed = False
        self._colour = colour
        self._next = asyncio.get_running_loop().time()

    async def read(self) -> Frame:
        self._next += 0.05
        due = asyncio.Event()
        timer = asyncio.get_running_loop().call_at(self._next, due.set)
        try:
            await due.wait()
        finally:
            timer.cancel()
        return av.VideoFrame.from_ndarray(np.full((96, 128, 3), self._colour, np.uint8), format="rgb24")

    async def close(self) -> None:
        self.closed = True


def test_muted_and_replaced_picture_reaches_the_peer_without_negotiation() -> None:
    """QB-142, QB-144: the same track goes on; frames have continuous time stamps; no fact but that media flows."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            red, green = SolidSource(RED), SolidSource(GREEN)
            local = Local.of(Source(video=red), FORM)
            a.media.provide(CALL, local, lambda *_: None)
            await join(a, b)
            before = len([fact for fact in b.told(MediaFact) if not isinstance(fact, (MediaFlowing, MediaCounted))])

            async def until_seen(wanted: Colour) -> None:
                while not is_near(colour(await b.frame(a, VIDEO)), wanted):
                    pass

            await until_seen(RED)
            local.mute(VIDEO, True)
            await until_seen(BLACK)
            local.mute(VIDEO, False)
            await until_seen(RED)
            local.replace(Source(video=green))
            await until_seen(GREEN)
            after = len([fact for fact in b.told(MediaFact) if not isinstance(fact, (MediaFlowing, MediaCounted))])
            assert after == before
            stamps = [frame.pts or 0 for frame in b.frames[a.user, VIDEO]]
            assert all(0 < later - earlier < 90_000 for earlier, later in itertools.pairwise(stamps))
            await local.close()
            assert (red.closed, green.closed) == (True, True)

    run(play)


def test_picture_muted_before_the_call_starts_black() -> None:
    """QB-143."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            local = Local.of(Source(video=SolidSource(RED)), FORM)
            local.mute(VIDEO, True)
            a.media.provide(CALL, local, lambda *_: None)
            await join(a, b)
            assert is_near(colour(await b.frame(a, VIDEO)), BLACK)
            await local.close()

    run(play)
