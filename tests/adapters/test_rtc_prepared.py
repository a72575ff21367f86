"""What is encoded while a path is looked for goes at once when it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiortc import RTCRtpCodecParameters
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpsender import RTCEncodedFrame

from qbcall.adapters.rtc_encoder import SharedStream
from qbcall.adapters.rtc_share import Encoded, Share, Take, Terms
from qbcall.adapters.rtc_stock import StockTrack
from qbcall.adapters.rtc_tracks import MOST_KEPT, OutgoingTrack
from qbcall.core.model import MediaKind
from qbcall.media.planes import plain
from tests.adapters.rtc_room import AtOnce, SolidLocal

CODEC = RTCRtpCodecParameters("video/VP8", 90_000, None, 97)


class Stream:
    """Counts what its only share asks for."""

    kind = MediaKind.VIDEO

    def __init__(self) -> None:
        self.asked = 0
        self.left = 0
        self.made: Share | None = None

    def share(self, codec: RTCRtpCodecParameters, terms: Terms, take: Take) -> Share:
        assert self.made is None
        self.made = Share(self, terms, take)
        return self.made

    def rate_of(self, share: Share) -> int:
        return 0

    def ask(self, share: Share) -> None:
        self.asked += 1

    def leave(self, share: Share) -> None:
        self.left += 1

    def put(self, number: int, *, complete: bool = False) -> None:
        assert self.made is not None
        self.made.put(Encoded(plain(16, 16), RTCEncodedFrame([], number, 0), complete))


def sent(fill: Callable[[Stream], None]) -> tuple[list[int], Stream]:
    """What goes at once when the path is there, and what then comes."""
    stream = Stream()
    numbers: list[int] = []

    async def play() -> None:
        track = OutgoingTrack(stream)
        track.departs = lambda codec: lambda frame: numbers.append(frame.timestamp)
        track.prepare(CODEC)
        track.prepare(CODEC)
        fill(stream)
        assert numbers == []
        assert track.count.frames == 0
        sending = asyncio.ensure_future(track.encoded(CODEC))
        await asyncio.sleep(0)
        assert track.count.frames == len(numbers)
        track.stop()
        with pytest.raises(MediaStreamError):
            await sending

    asyncio.run(play())
    assert stream.left, "again is no error"
    return numbers, stream


def test_last_complete_picture_and_what_followed_it_goes_at_once() -> None:
    def fill(stream: Stream) -> None:
        for number in range(6):
            stream.put(number, complete=number in (0, 3))

    numbers, stream = sent(fill)
    assert numbers == [3, 4, 5]
    assert stream.asked == 0


def test_path_that_comes_late_begins_with_another_complete_picture() -> None:
    """It is asked for once, when there is a path: others are not to get one after the other."""

    def fill(stream: Stream) -> None:
        stream.put(0, complete=True)
        for number in range(1, 2 * MOST_KEPT):
            stream.put(number)

    numbers, stream = sent(fill)
    assert numbers == []
    assert stream.asked == 1
    assert stream.made is not None
    assert stream.made.incomplete


def test_nothing_is_encoded_for_a_path_that_is_not_wanted_any_more() -> None:
    async def play() -> None:
        stream = Stream()
        track = OutgoingTrack(stream)
        track.stop()
        track.prepare(CODEC)
        assert stream.made is None

    asyncio.run(play())


def test_senders_of_aiortc_prepare_nothing() -> None:
    """Each has an encoder of its own."""

    async def play() -> None:
        local = SolidLocal((MediaKind.VIDEO,), (200, 40, 40), 440)
        assert local.video is not None
        track = StockTrack(SharedStream(MediaKind.VIDEO, local.video, AtOnce()))
        track.prepare(CODEC)
        assert local.feeds == []
        track.stop()

    asyncio.run(play())
