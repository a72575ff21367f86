"""What Chromium sends is recorded as it came, and plays."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from qbcall import CallMedia, User
from qbcall.adapters.rtc_codecs import CODECS
from qbcall.core.model import MediaKind
from qbcall.media.encoded import EncodedFrame
from qbcall.media.recorder import Recorder
from qbcall.media.tone import pitch
from tests.interop.conftest import Run
from tests.interop.js_user import PATIENCE
from tests.interop.room import Room
from tests.media.encoded_pieces import Played

pytestmark = pytest.mark.interop

ENOUGH = 45
"""Frames of each kind."""


class Watched:
    """Counts what is recorded."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.frames: list[EncodedFrame] = []
        self._news = asyncio.Event()
        write = Recorder.write_encoded

        def note(sink: Recorder, peer: User, frame: EncodedFrame) -> bool:
            self.frames.append(frame)
            self._news.set()
            return write(sink, peer, frame)

        patch.setattr(Recorder, "write_encoded", note)

    def of(self, kind: MediaKind) -> list[EncodedFrame]:
        return [frame for frame in self.frames if frame.kind is kind]

    async def enough(self) -> None:
        """Wait until enough of each kind was recorded."""
        async with asyncio.timeout(PATIENCE):
            while min(len(self.of(kind)) for kind in MediaKind) < ENOUGH:
                self._news.clear()
                await self._news.wait()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_picture_and_sound_of_chromium_are_recorded_without_being_decoded(
    run: Run, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [one for one in CODECS[MediaKind.VIDEO] if one.mimeType in (f"video/{codec}", "video/rtx")]
    monkeypatch.setitem(CODECS, MediaKind.VIDEO, chosen)

    async def scenario(room: Room) -> None:
        watched = Watched(monkeypatch)
        js, py = await room.js(1002), await room.py(1001)
        call = await py.client.call([py.jid(1002)], media=CallMedia.VIDEO, sinks=[f"record:{tmp_path}"])
        await js.expect("call", session=call.id)
        await js.accept()
        await call.connected(PATIENCE)
        await watched.enough()
        await call.hang_up()
        await call.ended()
        assert call.sink_errors == []
        pictures = watched.of(MediaKind.VIDEO)
        played = Played(tmp_path / f"{py.jid(1002)}.mkv")
        assert played.codecs == {"video": codec.lower(), "audio": "opus"}
        assert played.broken == 0
        assert len(played.cards) == len(pictures)
        cards = [counter for counter in played.counters if counter >= 0]
        assert len(cards) >= len(pictures) * 3 // 4, "a card in a poor picture cannot be read"
        assert all((other - one) % 30 < 20 for one, other in pairwise(cards)), (
            "the page counts to 30, again and again"
        )
        times = [time for time, _ in played.cards]
        assert times[-1] - times[0] == pytest.approx(pictures[-1].arrival - pictures[0].arrival, abs=2.0)
        assert pitch(played.samples[24_000:], played.rate) is not None

    run(scenario)
