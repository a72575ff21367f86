"""What nobody wants is counted and not decoded; what is wanted is decoded at once, with one thread for all peers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from aiortc import RTCRtpReceiver
from aiortc.codecs.h264 import H264Decoder
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame

from qbcall.adapters import rtc_receive
from qbcall.adapters.rtc_blocks import Blocks
from qbcall.adapters.rtc_codecs import CODECS
from qbcall.core.inputs import MediaFlowing, StatsRead
from qbcall.core.model import MediaKind, StatsReport
from tests.adapters.rtc_room import BOTH, CALL, Endpoint, colour, is_near, join, run

AUDIO, VIDEO = BOTH
RED = (200, 40, 40)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """How much each decoder was given, by thread."""
    calls: Counter[tuple[str, str]] = Counter()

    def counted(name: str, decode: Callable[..., object]) -> Callable[..., object]:
        def count(*arguments: object, **named: object) -> object:
            calls[name, threading.current_thread().name] += 1
            return decode(*arguments, **named)

        return count

    for decoder in (Vp8Decoder, H264Decoder):
        monkeypatch.setattr(decoder, "decode", counted(decoder.__name__, decoder.decode))
    monkeypatch.setattr(Blocks, "decode", counted("Blocks", Blocks.decode))
    return calls


async def passes(b: Endpoint, a: Endpoint, kind: MediaKind, more: int = 10) -> None:
    """Wait until so many more came that were not decoded."""
    goal = b.passed[a.user, kind] + more
    await b.condition(lambda: b.passed[a.user, kind] >= goal)


def latest(one: Endpoint, other: Endpoint) -> StatsReport:
    return one.media.latest(CALL, other.user) or StatsReport()


def test_what_nobody_wants_is_counted_and_never_decoded(decoded: Counter[tuple[str, str]]) -> None:
    """The core hears that media flows, and statistics are known, loudness and size too."""

    async def play() -> None:
        async with Endpoint("a", colour=RED) as a, Endpoint("b", sends=()) as b:
            b.wants.clear()
            await join(a, b)
            for kind in BOTH:
                await passes(b, a, kind, more=20)
            await b.until(MediaFlowing, count=2)
            streams = latest(b, a).received
            for kind in BOTH:
                assert streams[kind].frames == b.passed[a.user, kind]
                assert streams[kind].frames_decoded == 0
                assert streams[kind].packets_lost == 0
                assert (streams[kind].packets or 0) >= b.passed[a.user, kind]
            assert (streams[VIDEO].width, streams[VIDEO].height) == (128, 96)
            assert streams[AUDIO].audio_level == pytest.approx(16_000 / 32_768 / 2**0.5, rel=0.12)  # whole dB
            assert b.frames == {}

    run(play)
    assert not decoded


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_direction_that_is_switched_on_shows_a_complete_picture(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer is asked for one: it sends none by itself for a long time. Off and on again too."""
    chosen = sorted(CODECS[VIDEO], key=lambda one: one.mimeType != f"video/{codec}")
    monkeypatch.setitem(CODECS, VIDEO, chosen)

    async def play() -> None:
        async with Endpoint("a", colour=RED, pitch=500) as a, Endpoint("b", sends=()) as b:
            b.wants.clear()
            await join(a, b)
            for _ in range(3):
                await passes(b, a, VIDEO)
                b.wants |= set(BOTH)
                b.media.wake(CALL, a.user)
                assert is_near(colour(await b.frame(a, VIDEO, more=3)), RED)
                await b.hears(a, 500, more=5)
                b.wants.clear()
            report = latest(b, a).received[VIDEO]
            assert report.codec == codec
            assert 0 < (report.frames_decoded or 0) < (report.frames or 0)

    run(play)


def test_switching_on_asks_before_the_next_packet_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not change sends a picture a second, or none: whoever begins to look sees it at once."""
    asked: list[int] = []
    ask = RTCRtpReceiver._send_rtcp_pli

    async def note(this: RTCRtpReceiver, media_ssrc: int) -> None:
        asked.append(media_ssrc)
        await ask(this, media_ssrc)

    monkeypatch.setattr(RTCRtpReceiver, "_send_rtcp_pli", note)

    async def play() -> None:
        async with Endpoint("a", colour=RED) as a, Endpoint("b", sends=()) as b:
            b.wants.clear()
            await join(a, b)
            await passes(b, a, VIDEO)
            assert a.local.video is not None
            a.local.video.held = True  # the encoder repeats its last picture for whoever asks
            came = b.passed[a.user, AUDIO]
            await b.condition(lambda: b.passed[a.user, AUDIO] >= came + 5)
            assert asked == []
            b.wants.add(VIDEO)
            b.media.wake(CALL, a.user)
            assert is_near(colour(await b.frame(a, VIDEO)), RED)
            assert len(asked) == 1

    run(play)


def test_pictures_of_all_peers_are_decoded_in_one_thread_and_sound_in_the_loop(
    decoded: Counter[tuple[str, str]],
) -> None:
    """And aiortc's own threads are gone, of which there would be one for each track."""
    before = set(threading.enumerate())

    def started() -> Counter[str]:
        return Counter(thread.name for thread in threading.enumerate() if thread not in before)

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b, Endpoint("c") as c:
            await join(a, b)
            await join(a, c)
            for peer in (b, c):
                for kind in BOTH:
                    await a.frame(peer, kind, more=5)
            names = started()
            assert names["qbcall-decode"] == 3, "one for each endpoint"
            assert not any(name.endswith("-decoder") for name in names)
            await a.media.close()
            assert started()["qbcall-decode"] == 2

    run(play)
    assert {thread for name, thread in decoded if name == "Vp8Decoder"} == {"qbcall-decode"}
    assert {thread for name, thread in decoded if name == "Blocks"} == {threading.current_thread().name}


def test_picture_that_cannot_be_decoded_makes_the_peer_send_a_complete_one(monkeypatch: pytest.MonkeyPatch) -> None:
    decode, tries, complete = Vp8Decoder.decode, Counter[str](), []

    def first_three_fail(this: Vp8Decoder, frame: JitterFrame) -> object:
        tries["decode"] += 1
        if tries["decode"] <= 3:
            raise ValueError("odd")
        pictures = decode(this, frame)
        complete.append(not frame.data[0] & 1)
        return pictures

    monkeypatch.setattr(Vp8Decoder, "decode", first_three_fail)

    async def play() -> None:
        async with Endpoint("a", colour=RED) as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            assert is_near(colour(await b.frame(a, VIDEO)), RED)
            assert complete[0], "the first that could be decoded"

    run(play)


def test_installed_aiortc_is_as_it_has_to_be() -> None:
    """Fails when a release receives otherwise: then everything is decoded, with a warning."""
    assert rtc_receive.SUITED


def test_other_release_of_aiortc_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(self: RTCRtpReceiver, packet: object, arrival_time_ms: int) -> None:
        """Receive otherwise."""

    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", other)
    assert not rtc_receive.suited()


def test_media_is_received_in_the_old_way_with_another_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc_receive, "SUITED", False)

    async def play() -> None:
        async with Endpoint("a", colour=RED, pitch=500) as a, Endpoint("b", sends=()) as b:
            b.wants.clear()
            await join(a, b)
            assert is_near(colour(await b.frame(a, VIDEO)), RED)
            await b.hears(a, 500, more=5)
            b.read_stats(a)
            report = (await b.until(StatsRead)).report
            assert (report.received[VIDEO].width, report.received[VIDEO].height) == (128, 96)

    run(play)
