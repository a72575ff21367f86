"""What encoded pictures tell, against pictures of real encoders."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs import depayload, get_encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from hypothesis import given
from hypothesis import strategies as st

from qbcall.adapters.rtc_decoding import LazyDecoder
from qbcall.adapters.rtc_keyframes import START_CODE, is_complete, is_too_large, size_of
from qbcall.media.planes import plane


def encoded(name: str, count: int) -> list[list[bytes]]:
    """The packets of pictures, of which the first and the fourth are complete."""
    codec = RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90_000, payloadType=97)
    encoder = get_encoder(codec)
    pictures = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 255, (120, 160, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number * 3000, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame, number == 3)
        pictures.append([depayload(codec, payload) for payload in payloads])
    return pictures


@pytest.mark.parametrize("name", ["VP8", "H264"])
def test_complete_pictures_are_known(name: str) -> None:
    pictures = [b"".join(parts) for parts in encoded(name, 6)]
    assert [is_complete(name, picture) for picture in pictures] == [True, False, False, True, False, False]


@pytest.mark.parametrize("name", ["VP8", "H264"])
def test_the_rest_of_a_complete_picture_is_not_one(name: str) -> None:
    """Its first packet is lost, or came before anybody looked."""
    first = encoded(name, 1)[0]
    assert len(first) > 1
    assert name == "H264" or not is_complete(name, b"".join(first[1:]))


def test_size_stands_in_the_first_packet_of_vp8() -> None:
    first, second = encoded("VP8", 2)
    assert size_of("VP8", first[0]) == (160, 120)
    assert size_of("VP8", second[0]) is None
    assert size_of("H264", encoded("H264", 1)[0][0]) is None


@given(st.sampled_from(["VP8", "H264", "vp8", "h264"]), st.binary() | st.binary().map(lambda rest: START_CODE + rest))
def test_rubbish_is_never_an_error(name: str, data: bytes) -> None:
    is_complete(name, data)
    size_of(name, data)


def test_picture_that_claims_to_be_huge_is_not_decoded() -> None:
    """Ten bytes would take 400 MB."""
    start = bytes(3) + b"\x9d\x01\x2a"
    huge, large = start + b"\xff\x3f\xff\x3f", start + b"\x00\x0f\x70\x08"
    assert size_of("VP8", large) == (3840, 2160)
    assert [is_too_large("VP8", data) for data in (huge, large)] == [True, False]
    vp8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=97)
    assert LazyDecoder().decode(vp8, JitterFrame(huge, 0)) is None


@pytest.mark.parametrize("name", ["VP8", "H264"])
def test_what_is_drawn_into_a_writable_picture_is_not_in_the_next_one(name: str) -> None:
    """The decoder builds on its pictures: whoever changes one has to make it writable."""

    def shown(*, draws: bool) -> list[bytes]:
        decoder, found = LazyDecoder(), []
        for number, picture in enumerate(pictures):
            (frame,) = decoder.decode(codec, JitterFrame(picture, number * 3000)) or []
            assert isinstance(frame, av.VideoFrame)
            found.append(plane(frame, 0).tobytes())
            if draws:
                frame.make_writable()
                plane(frame, 0)[:] = 0
        return found

    codec = RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90_000, payloadType=97)
    pictures = [b"".join(parts) for parts in encoded(name, 3)]
    assert shown(draws=True) == shown(draws=False)
