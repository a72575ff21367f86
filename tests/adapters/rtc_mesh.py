"""A call of four of whom one sends, in one process, and what its encoders and senders do."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from av import VideoFrame
from av.frame import Frame as AnyFrame

from qbcall.core.model import MediaKind
from tests.adapters.rtc_room import Colour, Endpoint, colour, is_near, join, run
from tests.adapters.test_rtc_sources import RED

NAMES = ("b", "c", "d")


class Work:
    """Counts what real encoders do."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: dict[type[Encoder], int] = {Vp8Encoder: 0, H264Encoder: 0, OpusEncoder: 0}
        """Frames that each kind of encoder was given."""
        self.at_work: dict[object, int] = {}
        """Encoders of pictures that were given any, and how wide the latest was."""
        self.complete: list[float] = []
        """When pictures had to be complete, by the clock of the event loop."""
        for encoder in self.calls:
            patch.setattr(encoder, "encode", self._counted(encoder, encoder.encode))

    def _counted(
        self, encoder: type[Encoder], encode: Callable[..., tuple[list[bytes], int]]
    ) -> Callable[..., object]:
        def count(this: object, frame: AnyFrame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
            self.calls[encoder] += 1
            if isinstance(frame, VideoFrame):
                self.at_work[this] = frame.width
            if force_keyframe:
                self.complete.append(time.monotonic())
            return encode(this, frame, force_keyframe)

        return count


def play(scene: Callable[[Endpoint, list[Endpoint]], Awaitable[None]], *, joined: int = 3) -> None:
    """Play it with one who sends and three who only receive, of whom so many are connected."""

    async def mesh() -> None:
        async with AsyncExitStack() as stack:
            a = await stack.enter_async_context(Endpoint("a", colour=RED, pitch=500))
            peers = [await stack.enter_async_context(Endpoint(name, sends=())) for name in NAMES]
            for peer in peers[:joined]:
                await join(a, peer)
            await scene(a, peers)

    run(mesh)


async def sees(peer: Endpoint, sender: Endpoint, wanted: Colour) -> None:
    """Wait until its pictures have this colour."""
    while not is_near(colour(await peer.frame(sender, MediaKind.VIDEO)), wanted):
        pass
