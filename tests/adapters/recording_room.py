"""A participant who records, and one who sends test cards; on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qbcall.core.model import MediaKind, User
from qbcall.media.encoded import EncodedFrame
from qbcall.media.frames import VideoFormat
from qbcall.media.outgoing import Local
from qbcall.media.recorder import Recorder
from qbcall.media.sinks import open_sink
from qbcall.media.sources import open_source
from tests.adapters.rtc_room import BOTH, CALL, Endpoint

AUDIO, VIDEO = BOTH
TONE = 600
PACE = 25
"""Cards per second."""


@dataclass
class Recording:
    """What one participant records."""

    endpoint: Endpoint
    sink: Recorder
    frames: list[EncodedFrame] = field(default_factory=list)
    """All that were recorded."""
    wishes: int = 0
    """How often a complete picture was needed."""

    def take(self, user: User, frame: EncodedFrame) -> bool:
        """See `EncodedSink.write_encoded`."""
        self.frames.append(frame)
        needed = self.sink.write_encoded(user, frame)
        self.wishes += needed
        self.endpoint._news.set()
        return needed

    def of(self, kind: MediaKind) -> Sequence[EncodedFrame]:
        return [frame for frame in self.frames if frame.kind is kind]

    async def more(self, kind: MediaKind, count: int) -> None:
        """Wait for so many more."""
        wanted = len(self.of(kind)) + count
        await self.until(lambda: len(self.of(kind)) >= wanted)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds, which may change with each frame."""
        await self.endpoint.condition(holds)


@asynccontextmanager
async def recording(endpoint: Endpoint, directory: Path, *, decodes: bool = False) -> AsyncIterator[Recording]:
    """Record all that this participant receives; the files are complete afterwards."""
    sink = await open_sink(f"record:{directory}")
    assert isinstance(sink, Recorder)
    some = Recording(endpoint, sink)
    endpoint.wants = set(BOTH) if decodes else set()
    endpoint.media.provide(
        CALL,
        None,
        endpoint._deliver,
        wants=lambda _, kind: kind in endpoint.wants,
        passed=endpoint._pass_by,
        records=lambda _, kind: kind in sink.encoded_kinds,
        record=some.take,
    )
    try:
        yield some
    finally:
        await endpoint.media.close()
        await sink.close()


@asynccontextmanager
async def showing_cards(endpoint: Endpoint) -> AsyncIterator[None]:
    """Send test cards and a tone."""
    form = VideoFormat(160, 120, PACE)
    source = await open_source(f"test:tone={TONE}", form, endpoint.user, BOTH)
    local = Local.of(source, form)
    endpoint.media.provide(CALL, local, lambda *_: None)
    try:
        yield
    finally:
        await endpoint.media.close()
        await local.close()
        await asyncio.sleep(0)
