"""After a gap pictures begin with one that needs none before it."""

from __future__ import annotations

import asyncio
import fractions
import queue
import threading
from types import SimpleNamespace
from typing import cast

import av
import numpy as np
import pytest
from aiortc import RTCRtpReceiver
from aiortc.codecs import CODECS, depayload, get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import NackGenerator, TimestampMapper
from aiortc.rtp import RtpPacket

from qbcall.adapters import rtc_jitter
from qbcall.adapters.rtc_jitter import Pictures
from qbcall.adapters.rtc_keyframes import is_keyframe, send_keyframe
from tests.adapters.rtc_room import Endpoint, join, run

TYPES = {"VP8": 97, "H264": 99}
VIDEO = [codec for codec in CODECS["video"] if codec.name in TYPES]
EACH_CODEC = pytest.mark.parametrize("codec", VIDEO, ids=str)


def encoded(codec: RTCRtpCodecParameters, keyframes: list[bool]) -> list[list[bytes]]:
    """The payloads of pictures, of which some have to be keyframes; what moves makes each of some packets."""
    encoder, noise = get_encoder(codec), np.random.default_rng(1)
    pictures = []
    for number, wanted in enumerate(keyframes):
        picture = av.VideoFrame.from_ndarray(noise.integers(0, 255, (120, 160, 3), np.uint8), format="rgb24")
        picture.pts, picture.time_base = number * 3000, fractions.Fraction(1, 90_000)
        payloads, _ = encoder.encode(picture, wanted)
        pictures.append(payloads)
    return pictures


@EACH_CODEC
def test_keyframes_of_real_encoders_are_recognised(codec: RTCRtpCodecParameters) -> None:
    wanted = [True, False, False, True, False]
    found = [b"".join(depayload(codec, one) for one in picture) for picture in encoded(codec, wanted)]
    assert [is_keyframe(codec.name, data) for data in found] == wanted


@EACH_CODEC
def test_picture_whose_beginning_is_missing_is_no_keyframe(codec: RTCRtpCodecParameters) -> None:
    (first,) = encoded(codec, [True])
    assert len(first) > 2
    assert not is_keyframe("VP8", b"".join(depayload(codec, one) for one in first[1:])) or codec.name != "VP8"
    assert not is_keyframe(codec.name, b"")


def test_any_picture_of_an_unknown_codec_may_be_one() -> None:
    assert is_keyframe("VP9", b"anything")


class Stream:
    """A receiver of VP8 as far as the buffer is concerned, and what it decodes."""

    def __init__(self) -> None:
        names = (rtc_jitter._CODECS, rtc_jitter._CLOCK, rtc_jitter._QUEUE, rtc_jitter._ERROR)
        self.queue: queue.Queue[object] = queue.Queue()
        self.error = threading.Event()
        parts = ({97: VIDEO[0]}, TimestampMapper(), self.queue, self.error)
        self.receiver = SimpleNamespace(**dict(zip(names, parts, strict=True)))
        setattr(self.receiver, rtc_jitter._LOST_PACKETS, NackGenerator())
        self.pictures = Pictures(cast(RTCRtpReceiver, self.receiver))
        self.sent = encoded(VIDEO[0], [True, False, False, False, True, False])
        self.number = 0

    def arrive(self, picture: int, *, without: int = -1) -> None:
        """One picture, without one of its packets."""
        for place, payload in enumerate(self.sent[picture]):
            packet = RtpPacket(97, 0, self.number, picture * 3000, payload=payload)
            packet.marker = int(place == len(self.sent[picture]) - 1)
            vars(packet)["_data"] = depayload(VIDEO[0], payload)
            self.number += 1
            if place != without:
                vars(self.receiver)[rtc_jitter._BUFFER].add(packet)


def test_after_a_gap_the_first_picture_is_a_keyframe_and_it_is_asked_for() -> None:
    async def play() -> None:
        stream = Stream()
        stream.arrive(0)
        stream.arrive(1, without=0)
        stream.arrive(2)
        assert stream.queue.qsize() == 1
        stream.pictures.start_anew()
        assert not stream.error.is_set()
        stream.arrive(3)
        assert stream.queue.qsize() == 1
        assert stream.error.is_set()
        stream.arrive(4)
        stream.arrive(5)
        assert stream.queue.qsize() == 3

    asyncio.run(play())


def test_keyframe_that_comes_by_itself_is_not_asked_for() -> None:
    async def play() -> None:
        stream = Stream()
        stream.arrive(0)
        stream.pictures.start_anew()
        stream.arrive(4)
        assert stream.queue.qsize() == 2
        assert not stream.error.is_set()

    asyncio.run(play())


def test_pictures_without_a_keyframe_are_shown_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc_jitter, "MOST_WITHOUT_KEYFRAME", 0.0)

    async def play() -> None:
        stream = Stream()
        stream.pictures.start_anew()
        stream.arrive(1)
        assert stream.queue.qsize() == 1

    asyncio.run(play())


def test_picture_that_is_sent_next_can_be_made_a_keyframe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a release of aiortc asks its encoder otherwise."""
    seen: list[bool] = []
    encode = type(get_encoder(VIDEO[0])).encode

    def noted(self: object, frame: object, force_keyframe: bool = False) -> object:
        seen.append(force_keyframe)
        return encode(self, frame, force_keyframe)  # type: ignore[arg-type]  # as aiortc calls it

    monkeypatch.setattr(type(get_encoder(VIDEO[0])), "encode", noted)

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            await b.condition(lambda: len(seen) > 3)
            before = len(seen)
            (lane,) = a.media._lanes.values()
            assert lane._connection is not None
            for sender in lane._connection._pc.getSenders():
                if sender.kind == "video":
                    send_keyframe(sender)
            await b.condition(lambda: True in seen[before:])

    run(play)
