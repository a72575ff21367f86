"""Limits of the bit rate: what an SDP says of them, and what is really sent."""

from __future__ import annotations

import asyncio
import fractions
import itertools
import re
import time
from collections.abc import Callable, Iterable

import av
import numpy as np
import pytest

from qbcall.adapters.rtc_bitrate import announce, told
from qbcall.adapters.rtc_encoder import SharedMedia
from qbcall.adapters.rtc_peer import PeerConnection
from qbcall.adapters.rtc_share import Feed
from qbcall.adapters.rtc_thread import MediaThread
from qbcall.adapters.rtc_viewer import Viewer
from qbcall.core.model import CallMedia, Candidate, Description, MediaKind
from qbcall.errors import InvalidArgument
from qbcall.media.frames import MAX_BANDWIDTH, Frame, check_bandwidth
from qbcall.media.outgoing import Listener
from tests.adapters.rtc_offers import VIDEO_OFFER, sections
from tests.adapters.rtc_room import CALL, LOOPBACK, Endpoint, run, subscribed

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO
RATE = 15
"""Pictures per second, by their time stamps."""
SIZE = (160, 120)
"""Small, so that a busy machine keeps up with them."""
SPEED = 5
"""Seconds of pictures that are sent in a second: the limit counts their time, not that of the clock."""


class NoiseFeed:
    """Pictures that no codec finds easy."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._count = itertools.count()
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()

    async def recv(self) -> Frame:
        number = next(self._count)
        due = asyncio.Event()
        timer = self._loop.call_at(self._start + number / RATE / SPEED, due.set)
        try:
            await due.wait()
        finally:
            timer.cancel()
        return noise(self._random, number, size=SIZE)

    def close(self) -> None:
        """Nothing to give back."""


def noise(
    random: np.random.Generator, number: int, depth: int = 60, size: tuple[int, int] = (320, 240)
) -> av.VideoFrame:
    """Picture number so and so; `depth`: 256 is the whole range."""
    pixels = random.integers((256 - depth) // 2, (256 + depth) // 2, (size[1], size[0], 3), dtype=np.uint8)
    picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    picture.pts, picture.time_base = number * 90_000 // RATE, fractions.Fraction(1, 90_000)
    return picture


class NoiseLocal:
    """Sends pictures only."""

    audio = None

    @property
    def video(self) -> NoiseLocal:
        return self

    def subscribe(self, listener: Listener | None = None) -> Feed:
        return subscribed(NoiseFeed(), listener)


class Side:
    """One end of a connection."""

    def __init__(self, *, sends: bool, bandwidth: int = 0) -> None:
        self.pictures = 0
        """How many came in."""
        self._news = asyncio.Event()
        media = SharedMedia(NoiseLocal() if sends else None, MediaThread("encode"))
        self.connection = PeerConnection(
            LOOPBACK, media, Viewer(self._take), self, time.monotonic, bandwidth=bandwidth
        )

    def found(self, candidate: Candidate) -> None:
        """See `rtc_peer.Tell`."""

    def checking(self) -> None:
        """See `rtc_peer.Tell`."""

    def connected(self, kinds: Iterable[MediaKind]) -> None:
        """See `rtc_peer.Tell`."""

    def heard_again(self) -> None:
        """See `rtc_peer.Tell`."""

    def failed(self) -> None:
        """See `rtc_peer.Tell`."""

    def _take(self, frame: Frame) -> None:
        self.pictures += 1
        self._news.set()

    @property
    def sent(self) -> tuple[float, int]:
        """Seconds of pictures by their time stamps, with those that a busy machine left out; and bits of them."""
        now = self.connection.measure(keep=False).sent.get(VIDEO)
        track = self.connection._outgoing.get(VIDEO.value)
        latest = track.count.latest if track is not None else None
        return (latest.time or 0.0, 8 * (now.bytes or 0)) if now and latest is not None else (0.0, 0)

    async def rate(self, sender: Side) -> float:
        """Bits per second of 3 s of the sender's pictures, from 1 s after now on; they are decoded here.

        What comes while the machine is too busy for most of them says nothing: the next 3 s do.
        """
        await self._pass(sender, 1)
        while True:
            seen, (start, before) = self.pictures, sender.sent
            await self._pass(sender, 3)
            end, after = sender.sent
            if self.pictures - seen > RATE:
                return (after - before) / (end - start)

    async def _pass(self, sender: Side, seconds: float) -> None:
        now, _ = sender.sent
        while sender.sent[0] < now + seconds:
            self._news.clear()
            await self._news.wait()


Edit = Callable[[str], str]


def unchanged(sdp: str) -> str:
    return sdp


def limited(line: str) -> Edit:
    """Inserts it as the QuickBlox SDK does: ended by LF."""
    return lambda sdp: re.sub(r"(m=video.*\r\n(?:c=.*\r\n)?)", rf"\1{line}\n", sdp)


async def connect(a: Side, b: Side, offered: Edit = unchanged, answered: Edit = unchanged) -> None:
    offer = await a.connection.offer(CallMedia.VIDEO)
    answer = await b.connection.answer(CallMedia.VIDEO, Description(offered(offer.sdp)))
    await a.connection.apply(Description(answered(answer.sdp)))


def measured(
    *, caller: int = 0, callee: int = 0, offered: Edit = unchanged, answered: Edit = unchanged
) -> tuple[float, float]:
    """Bits per second from caller to callee and back, with these limits of theirs."""
    rates: list[float] = []

    async def play() -> None:
        a, b = Side(sends=True, bandwidth=caller), Side(sends=True, bandwidth=callee)
        try:
            await connect(a, b, offered, answered)
            rates.extend(await asyncio.gather(b.rate(a), a.rate(b)))
        finally:
            await a.connection.close()
            await b.connection.close()

    run(play)
    return rates[0], rates[1]


def is_limited(rate: float) -> bool:
    """To 150 kbit/s, which is below the least that aiortc would send."""
    return 75_000 < rate < 157_500


def test_without_a_limit_much_is_sent() -> None:
    """Else the other tests show nothing."""
    assert min(measured()) > 300_000


@pytest.mark.parametrize("role", ["caller", "callee"])
def test_limit_of_either_side_holds_in_both_directions(role: str) -> None:
    """Its own pictures, and by `b=AS` the peer's."""
    there, back = measured(caller=150) if role == "caller" else measured(callee=150)
    assert is_limited(there)
    assert is_limited(back)


@pytest.mark.parametrize("line", ["b=AS:150", "b=TIAS:150000"])
def test_limit_in_the_peers_description_holds_for_what_it_is_sent(line: str) -> None:
    there, back = measured(answered=limited(line))
    assert is_limited(there)
    assert back > 300_000
    there, back = measured(offered=limited(line))
    assert there > 300_000
    assert is_limited(back)


def test_smaller_limit_holds() -> None:
    there, _ = measured(caller=800, answered=limited("b=AS:150"))
    assert is_limited(there)


def test_limit_of_a_running_connection_comes_and_goes() -> None:
    """Hook for QB-146."""
    rates: list[float] = []

    async def play() -> None:
        a, b = Side(sends=True), Side(sends=False)
        try:
            await connect(a, b)
            rates.append(await b.rate(a))
            a.connection.limit(VIDEO, 150)
            rates.append(await b.rate(a))
            a.connection.limit(VIDEO, 0)
            rates.append(await b.rate(a))
        finally:
            await a.connection.close()
            await b.connection.close()

    run(play)
    before, during, after = rates
    assert is_limited(during)
    assert min(before, after) > 300_000


def test_limit_of_the_sound_in_an_answer_holds() -> None:
    """RFC 8866, section 5.8: each section has its own."""
    sent: list[int] = []
    """Bits per second of packets of 20 ms."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            answer = await b.answer(a, await a.offer(b, CallMedia.AUDIO), CallMedia.AUDIO)
            a.apply(b, Description(re.sub(r"(m=audio.*\r\nc=.*\r\n)", r"\1b=AS:12\n", answer.sdp)))
            for one, other in ((a, b), (b, a)):
                await other.frame(one, AUDIO, more=50)
                report = other.media.latest(CALL, one.user)
                assert report is not None
                received = report.received[AUDIO]
                sent.append(8 * 50 * (received.bytes or 0) // (received.packets or 1))

    run(play)
    there, back = sent
    assert there <= 12_000
    assert back > 20_000


# -- what an SDP says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("b=AS:256", 256_000),
        ("b=TIAS:262144", 262_144),
        ("b=AS:256\nb=TIAS:100000", 100_000),
        ("b=TIAS:900000\nb=AS:256", 256_000),
        ("b=AS:0", None),
        ("b=AS:0\nb=AS:300", 300_000),
        ("b=AS:-1", None),
        ("b=AS:many", None),
        ("b=AS:", None),
        ("b=AS:1.5", None),
        ("b=AS:²", None),
        ("b=AS:1000001", None),
        ("b=AS:9999999999", None),
        ("b=AS:" + "9" * 500, None),
        ("b=CT:256", None),
        ("b=RR:0", None),
    ],
)
def test_limit_in_a_section_is_read(lines: str, expected: int | None) -> None:
    head, audio, video = sections(VIDEO_OFFER)
    assert told(head + audio + limited(lines)(video)).get(VIDEO) == expected


def test_limits_are_of_their_own_sections() -> None:
    head, audio, video = sections(VIDEO_OFFER)
    assert told(head + audio + "b=AS:30\n" + video + "b=AS:256\n") == {AUDIO: 30_000, VIDEO: 256_000}
    assert told(head + "b=AS:256\r\n" + audio + video) == {}


def test_our_limit_is_written_after_connection_and_title() -> None:
    """RFC 8866, section 5 names the order; the SDK looks for it there. Rejected sections get none."""
    sdp = "v=0\r\nm=audio 9 A 0\r\nc=x\r\nm=video 9 A 0\r\ni=y\r\nc=x\r\na=z\r\nm=video 0 A 0\r\nc=x\r\n"
    assert announce(sdp, 256_000) == sdp.replace("c=x\r\na=z", "c=x\r\nb=AS:256\r\na=z")
    assert announce(sdp, None) == sdp


@pytest.mark.parametrize(("bandwidth", "lines"), [(256, ["b=AS:256"]), (0, [])])
def test_offer_and_answer_tell_our_limit(bandwidth: int, lines: list[str]) -> None:
    async def play() -> None:
        a, b = (Side(sends=True, bandwidth=bandwidth) for _ in range(2))
        offer = await a.connection.offer(CallMedia.VIDEO)
        answer = await b.connection.answer(CallMedia.VIDEO, offer)
        for one in (offer, answer):
            assert re.findall(r"^b=.*(?=\r\n)", one.sdp, flags=re.MULTILINE) == lines
            assert re.findall(r"m=video .*\r\nc=.*\r\n(b=.*)\r\na=", one.sdp) == lines
        await a.connection.close()
        await b.connection.close()

    run(play)


@pytest.mark.parametrize("value", [-1, MAX_BANDWIDTH + 1])
def test_limit_that_is_none_is_refused(value: int) -> None:
    with pytest.raises(InvalidArgument, match=f"bandwidth must be 0 .* to {MAX_BANDWIDTH} kbit/s, not {value}"):
        check_bandwidth(value)
