"""What is encoded once goes to each peer as a stream of its own, and their requests come back to the one encoder."""

from __future__ import annotations

import asyncio
import itertools
import time
from types import SimpleNamespace

import pytest
from aiortc import RTCRtpCodecParameters, RTCRtpReceiver
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpRtpfbPacket,
)

from qbcall.adapters import rtc_departure
from qbcall.adapters.rtc_demand import REPORT_INTERVAL, RUNGS, SPACING, START
from qbcall.adapters.rtc_departure import Departure
from qbcall.adapters.rtc_tracks import OutgoingTrack
from qbcall.core.model import MediaKind
from tests.adapters.rtc_mesh import Work, play, sees
from tests.adapters.rtc_room import Endpoint, join
from tests.adapters.rtc_wire import Wire, feedback, lost, remb, say
from tests.adapters.test_rtc_sources import RED

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO
STORM = 600


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


def test_each_peer_has_a_stream_of_its_own(wire: Wire) -> None:
    """RFC 3550, section 5.1: the payload is the same; SSRC, sequence and origin of the time stamps are not."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        for kind in (AUDIO, VIDEO):
            await asyncio.gather(*(peer.frame(a, kind, more=30) for peer in peers))
            streams = wire.streams(kind)
            assert len(streams) == 3
            for packets in streams.values():
                numbers = [packet.sequence_number for packet in packets]
                assert all((later - earlier) % 65536 == 1 for earlier, later in itertools.pairwise(numbers))
                stamps = [packet.timestamp for packet in packets]
                assert all((later - earlier) % 2**32 < 2**31 for earlier, later in itertools.pairwise(stamps))
            first = [packets[0] for packets in streams.values()]
            assert len({packet.timestamp for packet in first}) == 3
            payloads = [{packet.payload for packet in packets} for packets in streams.values()]
            assert len(set.intersection(*payloads)) >= 25

    play(scene)


def test_lost_packet_is_repeated_to_the_peer_that_lost_it(wire: Wire) -> None:
    """RFC 4585, section 6.2.1; RFC 4588: the repetition has a stream of its own and tells the original number."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        await asyncio.gather(*(peer.frame(a, VIDEO, more=10) for peer in peers))
        for sender in wire.senders["video"]:
            lost = wire.packets[sender._ssrc][-3]
            assert wire.packets[sender._rtx_ssrc] == []
            nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=sender._ssrc, lost=[lost.sequence_number])
            await say(sender, nack)
            (repeated,) = wire.packets[sender._rtx_ssrc]
            assert repeated.payload == lost.sequence_number.to_bytes(2, "big") + lost.payload

    play(scene)


def test_audio_level_is_told_to_all(wire: Wire) -> None:
    """RFC 6464, section 3: a sine of half the range has about -9 dBov."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        await asyncio.gather(*(peer.frame(a, AUDIO, more=20) for peer in peers))
        for packets in wire.streams(AUDIO).values():
            assert {packet.extensions.audio_level for packet in packets} == {(False, 9)}
        for packets in wire.streams(VIDEO).values():
            assert {packet.extensions.audio_level for packet in packets} == {None}

    play(scene)


@pytest.mark.parametrize("fmt", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
def test_storm_of_requests_is_answered_once_each_300_ms(work: Work, wire: Wire, fmt: int) -> None:
    """From three peers, until it was answered some times. `test_rtc_requests.py` has the times."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        await asyncio.gather(*(peer.frame(a, VIDEO, more=30) for peer in peers))
        seen, asked = len(work.complete), 0
        while asked < STORM or len(work.complete) < seen + 4:
            for _ in range(10):
                for sender in wire.senders["video"]:
                    await say(sender, feedback(fmt, sender._ssrc))
                    asked += 1
            await peers[0].frame(a, VIDEO)
        made = work.complete[seen:]
        assert all(later - earlier >= SPACING - 0.01 for earlier, later in itertools.pairwise(made))
        await asyncio.gather(*(sees(peer, a, RED) for peer in peers))

    play(scene)


def test_request_is_answered_though_no_new_picture_comes(work: Work, wire: Wire) -> None:
    """The latest one is encoded again: a page that is shown may not change for long."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        assert a.local.video is not None
        b, c, _ = peers
        await b.frame(a, VIDEO, more=30)
        a.local.video.held = True
        await b.frame(a, AUDIO, more=20)
        seen, pictures = len(work.complete), len(b.frames[a.user, VIDEO])
        (sender,) = wire.senders["video"]
        await say(sender, feedback(RTCP_PSFB_PLI, sender._ssrc))
        await b.condition(lambda: len(b.frames[a.user, VIDEO]) > pictures)
        assert len(work.complete) == seen + 1
        await join(a, c)
        await sees(c, a, RED)
        stamps = [frame.pts or 0 for frame in b.frames[a.user, VIDEO]]
        a.local.video.held = False
        await b.frame(a, VIDEO, more=10)
        assert all(earlier < later for earlier, later in itertools.pairwise(stamps))

    play(scene, joined=1)


def test_bit_rate_is_what_the_poorest_peer_takes(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down at once; by estimate (REMB) and by what is lost; and what is said of other streams does not count."""

    async def nothing(*arguments: object) -> None:
        """Real peers would say something else."""

    monkeypatch.setattr(RTCRtpReceiver, "_send_rtcp", nothing)

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(peer.frame(a, VIDEO, more=10) for peer in peers))
        first, second, third = wire.senders["video"]
        track = first.track
        assert isinstance(track, OutgoingTrack)

        async def becomes(wanted: int) -> None:
            await peers[0].condition(lambda: track.rate == wanted)

        assert track.rate == START
        await say(second, remb(second, 360_000))
        await becomes(350_000)
        await say(third, remb(first, 100_000))
        await peers[0].frame(a, VIDEO, more=5)
        assert track.rate == 350_000
        await say(third, lost(third, 0, of=0))
        later = loop.time() + REPORT_INTERVAL
        await peers[0].condition(lambda: loop.time() > later)
        await say(third, lost(third, 50, of=100))
        await becomes(max(rung for rung in RUNGS if rung <= 350_000 * 0.75))

    play(scene)


@pytest.mark.parametrize(
    "fci", [b"", b"REMB", b"REMB\xff\xff\xff\xff", b"REMB\x02\x00\x00\x01\x00", b"LTR " + bytes(40)]
)
def test_estimate_that_is_cut_off_does_no_harm(wire: Wire, fci: bytes) -> None:
    """Aiortc's own way to read it would end the connection."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        await peers[0].frame(a, VIDEO, more=3)
        (sender,) = wire.senders["video"]
        await say(sender, feedback(RTCP_PSFB_APP, 0, fci))
        await peers[0].frame(a, VIDEO, more=10)

    play(scene, joined=1)


def test_reports_tell_when_a_picture_was_made_and_not_when_it_was_encoded(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 3550, section 6.4.1: what is late by a busy machine would go with the sound of later."""

    async def scene(a: Endpoint, peers: list[Endpoint]) -> None:
        await asyncio.gather(*(peer.frame(a, VIDEO, more=10) for peer in peers))
        sender = wire.senders["video"][0]
        now = time.time()
        monkeypatch.setattr(rtc_departure, "time", SimpleNamespace(time=lambda: now, time_ns=time.time_ns))
        departure = Departure(sender, codec)
        monkeypatch.setattr(departure, "_send", lambda _: None)  # the present one goes on sending
        told = []
        for number, late in enumerate([0.01, 0.0, 0.13, 0.13]):
            now = 1e9 + number / 30 + late
            departure.send(RTCEncodedFrame([b"\x10\x00"], 500 + 3000 * number, None))  # type: ignore[arg-type]
            ntp = vars(sender)["_RTCRtpSender__ntp_timestamp"]
            told.append(ntp / 2**32 - rtc_departure.NTP_EPOCH - 1e9 - number / 30)
        assert told == pytest.approx([0.01, 0.0, 0.0, 0.0], abs=1e-4)

    codec = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=97)
    play(scene)
