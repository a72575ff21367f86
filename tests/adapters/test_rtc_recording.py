"""Real calls are recorded without being decoded; the files are decoded as a whole afterwards."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from qbcall.adapters.rtc_clock import SenderClock
from qbcall.adapters.rtc_codecs import CODECS
from qbcall.core.model import MediaKind
from qbcall.media.frames import Frame
from qbcall.media.tone import pitch
from tests.adapters.recording_room import TONE, Recording, recording, showing_cards
from tests.adapters.rtc_room import BOTH, CALL, Endpoint, SolidFeed, SolidOutlet, join, run
from tests.adapters.rtc_room import colour as colour_of
from tests.adapters.test_rtc_loss import Path as LossyPath
from tests.adapters.test_rtc_loss import noted
from tests.media.encoded_pieces import Played

AUDIO, VIDEO = BOTH


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> LossyPath:
    return LossyPath(monkeypatch)


def prefer(monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    chosen = sorted(CODECS[VIDEO], key=lambda one: one.mimeType != f"video/{codec}")
    monkeypatch.setitem(CODECS, VIDEO, chosen)


def check(played: Played, recorded: Recording) -> None:
    """Every picture that was recorded can be seen, in order, and no other; the tone is heard.

    A complete picture that was asked for may be the latest one again.
    """
    assert played.broken == 0
    assert len(played.cards) == len(recorded.of(VIDEO))
    assert -1 not in played.counters
    assert all(one <= other for one, other in pairwise(played.counters))
    assert all(one < other for (one, _), (other, _) in pairwise(played.cards))
    assert len(played.blocks) == pytest.approx(len(recorded.of(AUDIO)), abs=1)
    assert pitch(played.samples, played.rate) == pytest.approx(TONE, abs=3)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_call_is_recorded_without_being_decoded(codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefer(monkeypatch, codec)
    kept: list[Recording] = []

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b, showing_cards(a), recording(b, tmp_path) as recorded:
            kept.append(recorded)
            await join(a, b)
            await recorded.more(VIDEO, 40)
            await recorded.more(AUDIO, 25)
            assert b.frames == {}, "nothing was decoded"
            assert b.passed[a.user, VIDEO] >= 40, "but counted"
            assert {frame.codec for frame in recorded.frames} == {codec, "OPUS"}
            assert recorded.of(VIDEO)[0].keyframe

    run(play)
    played = Played(tmp_path / "a.mkv")
    assert played.codecs == {"video": codec.lower(), "audio": "opus"}
    check(played, kept[0])
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_connection_that_is_made_again_is_recorded_into_the_same_file(tmp_path: Path) -> None:
    """The old one is left when the new one stands; other time stamps, another SSRC."""
    kept: list[Recording] = []

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b, showing_cards(a), recording(b, tmp_path) as recorded:
            kept.append(recorded)
            await join(a, b)
            for kind in BOTH:
                await recorded.more(kind, 20)
            await join(a, b, epoch=2)
            a.leave(b, epoch=1)
            b.leave(a, epoch=1)
            streams = {frame.stream for frame in recorded.frames}
            await recorded.until(lambda: len({frame.stream for frame in recorded.frames} - streams) == 2)
            for kind in BOTH:
                await recorded.more(kind, 20)

    run(play)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
    played = Played(tmp_path / "a.mkv")
    pictures = kept[0].of(VIDEO)
    times = [time for time, _ in played.cards]
    assert played.broken == 0
    assert -1 not in played.counters
    assert all(one < other for one, other in pairwise(times))
    assert times[-1] - times[0] == pytest.approx(pictures[-1].arrival - pictures[0].arrival, abs=2.0)
    assert pitch(played.samples, played.rate) == pytest.approx(TONE, abs=3)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_recording_over_a_bad_path_shows_no_rubbish(
    codec: str, tmp_path: Path, path: LossyPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that builds on what is lost is left out, and a complete one is asked for."""
    prefer(monkeypatch, codec)
    requests: list[str] = []
    monkeypatch.setattr(RTCRtpReceiver, "_send_rtcp_pli", noted(requests, "pli", RTCRtpReceiver._send_rtcp_pli))
    kept: list[Recording] = []

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b, showing_cards(a), recording(b, tmp_path) as recorded:
            kept.append(recorded)
            await join(a, b)
            await recorded.more(VIDEO, 10)
            requests.clear()
            path.loses = lambda number, control: True
            await path.until_lost(80)
            path.loses = lambda number, control: number % 10 == 0
            keyframes = sum(frame.keyframe for frame in recorded.of(VIDEO))
            await recorded.until(lambda: sum(frame.keyframe for frame in recorded.of(VIDEO)) > keyframes)
            await recorded.more(VIDEO, 30)
            assert requests

    run(play)
    check(Played(tmp_path / "a.mkv"), kept[0])


def test_who_begins_to_look_at_a_recorded_picture_sees_it(tmp_path: Path) -> None:
    """And who stops leaves the recording whole."""
    kept: list[Recording] = []

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b, showing_cards(a), recording(b, tmp_path) as recorded:
            kept.append(recorded)
            await join(a, b)
            await recorded.more(VIDEO, 10)
            b.wants = set(BOTH)
            b.media.wake(CALL, a.user)
            for kind in BOTH:
                await b.frame(a, kind, more=5)
            b.wants = set()
            passed = b.passed[a.user, VIDEO]
            await b.condition(lambda: b.passed[a.user, VIDEO] > passed + 5)
            await recorded.more(VIDEO, 5)

    run(play)
    check(Played(tmp_path / "a.mkv"), kept[0])


def test_reports_of_the_peer_tell_when_frames_were_made(tmp_path: Path) -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b, showing_cards(a), recording(b, tmp_path) as recorded:
            await join(a, b)
            for kind in BOTH:
                await recorded.until(lambda kind=kind: told(recorded, kind))  # type: ignore[misc]  # has no types
            sound, picture = (recorded.of(kind)[-1] for kind in BOTH)
            assert sound.captured is not None
            assert picture.captured is not None
            apart = (sound.captured - sound.arrival) - (picture.captured - picture.arrival)
            assert abs(apart) < 5.0, "the same clock"

    run(play)


def told(recorded: Recording, kind: MediaKind) -> bool:
    frames = recorded.of(kind)
    return bool(frames) and frames[-1].captured is not None


def test_clock_of_the_peer_is_that_of_its_latest_report_on_the_stream() -> None:
    clock = SenderClock()
    assert clock.at(7, 0, 90_000) is None
    clock.note(RtcpSrPacket(ssrc=7, sender_info=RtcpSenderInfo(5 << 32, 2**32 - 90_000, 0, 0)))
    assert clock.at(7, 90_000, 90_000) == pytest.approx(7.0)
    assert clock.at(7, 2**32 - 180_000, 90_000) == pytest.approx(4.0)
    assert clock.at(8, 0, 90_000) is None, "another stream"
    clock.note(RtcpSrPacket(ssrc=7, sender_info=RtcpSenderInfo(0, 5, 0, 0)))
    assert clock.at(7, 0, 90_000) is None, "it has no clock"


class Blinking(SolidOutlet):
    """White and loud for half a second, then black and silent for as long, and so on."""

    def frame(self, count: int) -> Frame:
        frame = super().frame(count)
        if count // 25 % 2:
            for part in frame.planes:
                part.update(bytes(part.buffer_size))
        return frame


class Blinker:
    """Sends both."""

    def __init__(self) -> None:
        self.audio = Blinking(AUDIO, (255, 255, 255), 400)
        self.video = Blinking(VIDEO, (255, 255, 255), 400)


def edges(times: npt.NDArray[np.float64], loud: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """When it begins to be loud, or bright."""
    return times[1:][loud[1:] & ~loud[:-1]]


def test_sound_and_picture_are_together_in_the_file(tmp_path: Path) -> None:
    """Within 80 ms; where a busy machine was late at first, a little later."""
    blinker = Blinker()

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b, recording(b, tmp_path) as recorded:
            a.media.provide(CALL, blinker, lambda *_: None)
            await join(a, b)
            await recorded.more(AUDIO, 350)

    run(play)
    light: list[tuple[float, bool]] = []
    played = Played(
        tmp_path / "a.mkv", look=lambda frame: light.append((frame.time or 0.0, colour_of(frame)[1] > 128))
    )
    blocks = [(time + place / 48_000, part) for time, some in played.blocks for place, part in parts(some[:, 0])]
    seen = edges(*map(np.array, zip(*light, strict=True)))
    heard = edges(*map(np.array, zip(*((time, np.abs(part).max() > 2000) for time, part in blocks), strict=True)))
    [video], [audio] = blinker.video.feeds, blinker.audio.feeds
    shift = began(video) - began(audio)
    assert len(seen) >= 3
    apart = [min(heard - edge + shift, key=abs) for edge in seen[-3:]]
    assert abs(median(apart)) < 0.08


def began(feed: SolidFeed) -> float:
    return feed._start


def parts(samples: npt.NDArray[np.int16]) -> list[tuple[int, npt.NDArray[np.int16]]]:
    """Pieces of 2 ms and where they begin."""
    return [(place, samples[place : place + 96]) for place in range(0, len(samples), 96)]
