"""What is counted of a connection beside frames and packets: requests, drops, freezes, concealment, delay."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from aiortc import RTCRtpSender
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket

from qbcall.adapters import rtc_viewer
from qbcall.adapters.rtc_sender import hear_requests
from qbcall.adapters.rtc_share import Encoded, Share, Terms
from qbcall.adapters.rtc_stats import is_near
from qbcall.adapters.rtc_tracks import Asked
from qbcall.adapters.rtc_viewer import MOST_DELAY, Received, Viewer
from qbcall.core.model import MediaKind, StatsReport, StreamStats
from qbcall.media.blocks import audio_frame
from qbcall.media.frames import VideoFormat
from qbcall.media.planes import plain
from qbcall.media.testcard import draw
from tests.adapters.rtc_room import BOTH, CALL, Endpoint, join, run
from tests.adapters.test_rtc_loss import Path, path  # noqa: F401 - a fixture

AUDIO, VIDEO = BOTH


def latest(one: Endpoint, other: Endpoint) -> StatsReport:
    return one.media.latest(CALL, other.user) or StatsReport()


def came(one: Endpoint, other: Endpoint, kind: MediaKind) -> StreamStats:
    return latest(one, other).received.get(kind, StreamStats())


def test_requests_and_concealment_are_counted_at_both_ends(path: Path) -> None:  # noqa: F811 - the fixture
    """QB-139."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b", sends=()) as b:
            await join(a, b)
            await b.frame(a, VIDEO, more=3)
            assert came(b, a, AUDIO).nacks is None
            path.loses = lambda number, control: not control and number % 7 == 0
            await b.condition(lambda: bool(came(b, a, VIDEO).nacks and came(b, a, AUDIO).frames_concealed))
            await b.condition(lambda: bool(latest(a, b).sent[VIDEO].nacks))
            assert (latest(a, b).sent[VIDEO].nacks or 0) <= (came(b, a, VIDEO).nacks or 0)
            path.loses = lambda number, control: False
            picture = came(b, a, VIDEO)  # repetitions come as a stream of their own, with no losses
            assert (picture.codec, bool(picture.packets_lost)) == ("VP8", True)
            before = latest(a, b).sent[VIDEO].plis or 0
            b.wants.clear()
            goal = b.passed[a.user, VIDEO] + 3
            await b.condition(lambda: b.passed[a.user, VIDEO] >= goal)
            b.wants |= set(BOTH)
            b.media.wake(CALL, a.user)
            await b.condition(lambda: (latest(a, b).sent[VIDEO].plis or 0) > before)
            assert came(b, a, VIDEO).plis

    run(play)


def test_picture_that_stands_still_is_a_freeze_while_it_lasts() -> None:
    """QB-139."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b", sends=()) as b:
            b.wants.discard(VIDEO)
            await join(a, b)
            await b.condition(lambda: b.passed[a.user, VIDEO] > 3)
            assert (came(b, a, VIDEO).freezes, came(b, a, VIDEO).freeze_seconds) == (None, None)
            b.wants.add(VIDEO)
            b.media.wake(CALL, a.user)
            await b.frame(a, VIDEO, more=10)
            before = came(b, a, VIDEO).freezes
            assert before is not None
            assert a.local.video is not None
            a.local.video.held = True
            await b.condition(lambda: (came(b, a, VIDEO).freezes or 0) > before)
            assert (came(b, a, VIDEO).freeze_seconds or 0) >= 0.15

    run(play)


def feedback(kind: str, ssrc: int) -> RtcpPsfbPacket | RtcpRtpfbPacket:
    if kind == "pli":
        return RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=ssrc)
    return RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=ssrc, lost=[1, 2])


def test_only_requests_for_this_stream_count() -> None:
    asked = Asked()
    for kind in ("pli", "nack"):
        hear_requests(feedback(kind, 7), 8, asked)
    assert asked == Asked()
    for kind in ("pli", "nack", "nack"):
        hear_requests(feedback(kind, 8), 8, asked)
    assert asked == Asked(packets=2, pictures=1)


class Giver:
    """Makes nothing."""

    def rate_of(self, share: Share) -> int:
        return 0

    def ask(self, share: Share) -> None:
        """Nobody listens."""

    def leave(self, share: Share) -> None:
        """It is gone."""


def encoded(*, complete: bool) -> Encoded:
    return Encoded(plain(16, 16), RTCEncodedFrame(payloads=[], timestamp=0, audio_level=0), complete)


def test_frames_that_a_peer_could_not_decode_are_dropped() -> None:
    taken: list[Encoded] = []
    share = Share(Giver(), Terms(), taken.append)
    share.put(encoded(complete=False))
    assert (share.dropped, taken) == (1, [])
    some = [encoded(complete=True), encoded(complete=False)]
    for one in some:
        share.put(one)
    assert (share.dropped, taken) == (1, some)


def test_share_whose_frames_cannot_be_sent_is_over() -> None:
    """The transport may have been closed, and nobody told."""
    tries: list[Encoded] = []

    def fail(one: Encoded) -> None:
        tries.append(one)
        raise ConnectionError

    async def scenario() -> None:
        share = Share(Giver(), Terms(), fail)
        for _ in range(2):
            share.put(encoded(complete=True))
        await share.over()

    asyncio.run(scenario())
    assert len(tries) == 1


def test_frames_for_a_peer_who_is_to_get_nothing_are_not_dropped() -> None:
    taken: list[Encoded] = []
    share = Share(Giver(), Terms(enabled=lambda: False), taken.append)
    share.put(encoded(complete=False))
    assert (share.dropped, taken) == (0, [])


NOW = 1_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still."""
    monkeypatch.setattr(rtc_viewer, "time", lambda: NOW)


def seen(name: str, age: float) -> Received:
    received = Received(VIDEO, Viewer(lambda _: None, name="bob"))
    received.hand_over(draw(VideoFormat(160, 120, 15), name, 3, round((NOW - age) * 1000)))
    return received


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("age", "delay"), [(0.2, 0.2), (0.0, 0.0), (-0.001, 0.0)])
def test_delay_of_a_test_card_is_measured(age: float, delay: float) -> None:
    """QB-139."""
    assert seen("bob", age).delay() == pytest.approx(delay)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("name", "age"), [("ann", 0.2), ("bob", -5.0), ("bob", MOST_DELAY + 5), ("", 0.1)])
def test_delay_of_what_the_user_did_not_draw_now_is_unknown(name: str, age: float) -> None:
    """The card of another comes back from an echo bot; another clock may be years off."""
    assert seen(name, age).delay() is None


@pytest.mark.parametrize(
    ("local", "remote", "near"),
    [
        (("10.0.0.1", "host"), ("10.0.0.1", "host"), True),
        (("10.0.0.1", "host"), ("127.0.0.1", "prflx"), True),
        (("10.0.0.1", "host"), ("10.0.0.2", "host"), False),
        (("10.0.0.1", "relay"), ("10.0.0.1", "relay"), False),
        (None, None, False),
    ],
)
def test_only_a_path_to_an_address_of_this_machine_is_near(
    local: tuple[str, str] | None, remote: tuple[str, str] | None, near: bool
) -> None:
    ends = [SimpleNamespace(host=end[0], type=end[1]) for end in (local, remote) if end]
    pairs = {1: SimpleNamespace(local_candidate=ends[0], remote_candidate=ends[1])} if ends else {}
    transport = SimpleNamespace(_connection=SimpleNamespace(_nominated=pairs))
    assert is_near(transport) is near  # type: ignore[arg-type]  # as much of a transport as is looked at


def test_delay_without_a_card_is_unknown() -> None:
    received = Received(VIDEO, Viewer(lambda _: None, name="bob"))
    assert received.delay() is None
    received.hand_over(plain(160, 120))
    assert received.delay() is None
    received.hand_over(draw(VideoFormat(160, 120, 15), "bob", 3, round(NOW * 1000)))
    received.pass_by()
    assert received.delay() is None
    sound = Received(AUDIO, Viewer(lambda _: None, name="bob"))
    sound.hand_over(audio_frame(np.zeros((960, 1), "int16")))
    assert sound.delay() is None


def test_aiortc_hands_requests_to_the_function_that_is_replaced() -> None:
    """They are counted in `_handle_rtcp_packet` before aiortc answers them."""
    names = RTCRtpSender._handle_rtcp_packet.__code__.co_names
    assert {"RtcpRtpfbPacket", "RtcpPsfbPacket", "RTCP_RTPFB_NACK", "RTCP_PSFB_PLI"} <= set(names)
