"""What a recorded picture costs: written as it came, and decoded and encoded as aiortc's MediaRecorder does it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import depayload, get_encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from benchmarks.figures import Figure, middle, ratio
from qbcall.adapters.rtc_decoding import LazyDecoder
from qbcall.adapters.rtc_format import Format
from qbcall.adapters.rtc_pictures import Pictures
from qbcall.adapters.rtc_thread import MediaThread
from qbcall.adapters.rtc_viewer import Received, Viewer
from qbcall.core.model import MediaKind, User
from qbcall.media import testcard
from qbcall.media.frames import VideoFormat
from qbcall.media.recorder import Recorder

FORM = VideoFormat(640, 480, 30)
PEER = User("peer@example.org")
GOAL = 100.0
"""Microseconds."""


class Unasked:
    """Nothing is missing."""

    def need_picture(self, ssrc: int) -> None:
        """See `rtc_pictures.Feedback`."""

    def need_packets(self, ssrc: int, numbers: list[int]) -> None:
        """See `rtc_pictures.Feedback`."""


def packets(codec: RTCRtpCodecParameters, count: int) -> list[list[RtpPacket]]:
    """Those of test cards, for each picture."""
    encoder = get_encoder(codec)
    pictures: list[list[RtpPacket]] = []
    number = 0
    for place in range(count):
        card = testcard.draw(FORM, "peer", place, place)
        card.pts, card.time_base = place * 3000, Fraction(1, 90_000)
        payloads, _ = encoder.encode(card, place == 0)
        pictures.append([])
        for payload in payloads:
            packet = RtpPacket(codec.payloadType or 0, int(payload is payloads[-1]), number, place * 3000, 1, payload)
            vars(packet)["_data"] = depayload(codec, payload)
            pictures[-1].append(packet)
            number += 1
    return pictures


async def as_it_came(codec: RTCRtpCodecParameters, pictures: list[list[RtpPacket]], directory: Path) -> float:
    """Seconds of the processor for each picture, from the packets to the file."""
    sink = Recorder("record", directory)
    viewer = Viewer(
        lambda frame: None,
        wants=lambda kind: False,
        records=lambda kind: True,
        record=lambda frame: sink.write_encoded(PEER, frame),
    )
    received = Received(MediaKind.VIDEO, viewer)
    intake = Pictures(received, Format({codec.payloadType or 0: codec}, int), MediaThread("qbcall-decode"), Unasked())
    began = time.process_time()
    for picture in pictures:
        for packet in picture:
            intake.add(packet)
    await sink.close()
    taken = time.process_time() - began
    intake.close()
    return taken / len(pictures)


def again(codec: RTCRtpCodecParameters, pictures: list[list[RtpPacket]], path: Path) -> float:
    """Seconds of the processor for each picture: decoded, and encoded by libvpx as it is by default."""
    data = [JitterFrame(b"".join(vars(one)["_data"] for one in some), some[0].timestamp) for some in pictures]
    began = time.process_time()
    decoder = LazyDecoder()
    with av.open(path, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=FORM.fps)
        stream.width, stream.height, stream.pix_fmt = FORM.width, FORM.height, "yuv420p"
        stream.time_base = Fraction(1, 90_000)
        for place, frame in enumerate(data):
            for picture in decoder.decode(codec, frame) or []:
                assert isinstance(picture, av.VideoFrame)
                picture.pts, picture.time_base = place * 3000, Fraction(1, 90_000)
                container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return (time.process_time() - began) / len(pictures)


async def recording(turns: int, count: int) -> list[Figure]:
    """Both in turn."""
    codec = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=97)
    pictures = await asyncio.to_thread(packets, codec, count)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as place:
        for turn in range(turns):
            (directory := Path(place, str(turn))).mkdir()
            ours.append(await as_it_came(codec, pictures, directory) * 1e6)
            theirs.append(await asyncio.to_thread(again, codec, pictures, directory / "again.webm") * 1e6)
            with av.open(directory / f"{PEER}.mkv") as container:
                assert sum(bool(packet.size) for packet in container.demux()) == count
    title = "640x480@30, recording, per video frame"
    return [
        middle(f"{title}: as it came", ours, "us", f"at most {GOAL:g} us", 0),
        middle(f"{title}: decoded and encoded", theirs, "us", digits=0),
        ratio(f"{title}: decoded and encoded, ratio to as it came", theirs, ours),
    ]
