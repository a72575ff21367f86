"""Peers with real media on 127.0.0.1: what they send, what they are told, what they receive."""

from __future__ import annotations

import asyncio
import fractions
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Coroutine
from types import TracebackType
from typing import Any, TypeVar

import av
import numpy as np

from qbcall.adapters.rtc import IceSettings, RtcMedia
from qbcall.adapters.rtc_share import Feed
from qbcall.adapters.rtc_thread import Work
from qbcall.core.effects import AcceptOffer, AddCandidates, ApplyAnswer, CloseMedia, CreateOffer, ReadStats
from qbcall.core.inputs import AnswerReady, IceConnected, Input, MediaFact, OfferReady
from qbcall.core.model import CallId, CallMedia, Candidate, Description, Epoch, MediaKind, User
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE, Frame
from qbcall.media.outgoing import Listener

LOOPBACK = IceSettings(addresses=("127.0.0.1",))
CALL = CallId("the-call")
BOTH = (MediaKind.AUDIO, MediaKind.VIDEO)
Fact = TypeVar("Fact", bound=MediaFact)
Colour = tuple[int, int, int]


class AtOnce:
    """A worker that does things while the clock stands still."""

    def do(self, work: Work) -> None:
        asyncio.get_running_loop().call_soon(work())


class SolidFeed:
    """A picture of one colour, or a tone; a frame every 20 ms."""

    def __init__(self, outlet: SolidOutlet) -> None:
        self._outlet = outlet
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._count = 0
        self.closed = False

    async def recv(self) -> Frame:
        await self._due()
        while self._outlet.held and not self.closed:
            await self._due()
        if self.closed or self._outlet.broken:
            raise RuntimeError("closed")
        return self._outlet.frame(self._count)

    async def _due(self) -> None:
        due = asyncio.Event()
        timer = self._loop.call_at(self._start + self._count * 0.02, due.set)
        try:
            await due.wait()
        finally:
            timer.cancel()
        self._count += 1

    def close(self) -> None:
        self.closed = True


class Pushed:
    """A feed whose frames are given to a listener."""

    def __init__(self, feed: Feed, listener: Listener) -> None:
        self._feed = feed
        self._task = asyncio.get_running_loop().create_task(self._push(listener))

    async def recv(self) -> Frame:
        raise AssertionError("a listener is told")

    async def _push(self, listener: Listener) -> None:
        while True:
            try:
                frame = await self._feed.recv()
            except Exception:
                break
            listener.put(frame)
        listener.end()

    def close(self) -> None:
        self._feed.close()
        self._task.cancel()


def subscribed(feed: Feed, listener: Listener | None) -> Feed:
    """What an outlet gives for a feed."""
    return feed if listener is None else Pushed(feed, listener)


class SolidOutlet:
    """Makes feeds, and remembers them."""

    def __init__(self, kind: MediaKind, colour: Colour, pitch: float) -> None:
        self.feeds: list[SolidFeed] = []
        self.broken = False
        self.held = False
        """No frames come, as from a page that does not change."""
        self._kind = kind
        self._colour = colour
        self._pitch = pitch

    def subscribe(self, listener: Listener | None = None) -> Feed:
        self.feeds.append(SolidFeed(self))
        return subscribed(self.feeds[-1], listener)

    def frame(self, count: int) -> Frame:
        if self._kind is MediaKind.VIDEO:
            picture = av.VideoFrame.from_ndarray(np.full((96, 128, 3), self._colour, np.uint8), format="rgb24")
            picture.pts, picture.time_base = count * 1800, fractions.Fraction(1, 90_000)
            return picture
        times = np.arange(count * AUDIO_BLOCK, (count + 1) * AUDIO_BLOCK) / AUDIO_RATE
        wave = (16_000 * np.sin(2 * np.pi * self._pitch * times)).astype(np.int16)
        block = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        block.sample_rate, block.pts, block.time_base = (
            AUDIO_RATE,
            count * AUDIO_BLOCK,
            fractions.Fraction(1, AUDIO_RATE),
        )
        return block


class SolidLocal:
    """What one participant sends."""

    def __init__(self, sends: Collection[MediaKind], colour: Colour, pitch: float) -> None:
        self.audio = SolidOutlet(MediaKind.AUDIO, colour, pitch) if MediaKind.AUDIO in sends else None
        self.video = SolidOutlet(MediaKind.VIDEO, colour, pitch) if MediaKind.VIDEO in sends else None

    @property
    def feeds(self) -> list[SolidFeed]:
        return [feed for outlet in (self.audio, self.video) if outlet for feed in outlet.feeds]


class Endpoint:
    """One participant of one call."""

    def __init__(
        self,
        name: str,
        *,
        sends: Collection[MediaKind] = BOTH,
        colour: Colour = (200, 40, 40),
        pitch: float = 440.0,
        ice: IceSettings = LOOPBACK,
    ) -> None:
        self.user = User(name)
        self.facts: list[Input] = []
        self.frames: dict[tuple[User, MediaKind], list[Frame]] = defaultdict(list)
        self.local = SolidLocal(sends, colour, pitch)
        self.media = RtcMedia(self._post, ice)
        self.wants: set[MediaKind] = set(BOTH)
        """What is decoded."""
        self.passed: Counter[tuple[User, MediaKind]] = Counter()
        """Frames that were not decoded."""
        self.media.provide(
            CALL, self.local, self._deliver, wants=lambda _, kind: kind in self.wants, passed=self._pass_by
        )
        self._news = asyncio.Event()

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.media.close()

    def _post(self, fact: Input) -> None:
        self.facts.append(fact)
        self._news.set()

    def _deliver(self, user: User, frame: Frame) -> None:
        kind = MediaKind.VIDEO if isinstance(frame, av.VideoFrame) else MediaKind.AUDIO
        self.frames[user, kind].append(frame)
        self._news.set()

    def _pass_by(self, user: User, kind: MediaKind) -> None:
        self.passed[user, kind] += 1
        self._news.set()

    async def condition(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds, which may change with each fact and frame."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    def told(self, kind: type[Fact], peer: Endpoint | None = None) -> list[Fact]:
        """The facts of this class, about this peer."""
        some = [fact for fact in self.facts if isinstance(fact, kind)]
        return [fact for fact in some if peer is None or fact.peer == peer.user]

    async def until(self, kind: type[Fact], peer: Endpoint | None = None, *, count: int = 1) -> Fact:
        """The fact number `count` of this class."""
        await self.condition(lambda: len(self.told(kind, peer)) >= count)
        return self.told(kind, peer)[count - 1]

    async def frame(self, peer: Endpoint, kind: MediaKind, *, more: int = 1) -> Frame:
        """The frame that comes after so many more."""
        wanted = len(self.frames[peer.user, kind]) + more
        await self.condition(lambda: len(self.frames[peer.user, kind]) >= wanted)
        return self.frames[peer.user, kind][-1]

    async def hears(self, peer: Endpoint, hertz: float, *, more: int = 1) -> None:
        """Wait for so many more blocks, and then for one of this pitch: a busy machine leaves gaps."""
        await self.frame(peer, MediaKind.AUDIO, more=more)
        await self.condition(lambda: abs(pitch(self.frames[peer.user, MediaKind.AUDIO][-1]) - hertz) <= 50)

    # -- effects -----------------------------------------------------------------------------------------------------

    async def offer(self, peer: Endpoint, media: CallMedia = CallMedia.VIDEO, epoch: int = 1) -> Description:
        count = len(self.told(OfferReady, peer)) + 1
        self.media.perform(CreateOffer(call=CALL, peer=peer.user, epoch=Epoch(epoch), media=media))
        return (await self.until(OfferReady, peer, count=count)).offer

    def accept(self, peer: Endpoint, offer: Description, media: CallMedia = CallMedia.VIDEO, epoch: int = 1) -> None:
        self.media.perform(AcceptOffer(call=CALL, peer=peer.user, epoch=Epoch(epoch), media=media, offer=offer))

    async def answer(
        self, peer: Endpoint, offer: Description, media: CallMedia = CallMedia.VIDEO, epoch: int = 1
    ) -> Description:
        count = len(self.told(AnswerReady, peer)) + 1
        self.accept(peer, offer, media, epoch)
        return (await self.until(AnswerReady, peer, count=count)).answer

    def apply(self, peer: Endpoint, answer: Description, epoch: int = 1) -> None:
        self.media.perform(ApplyAnswer(call=CALL, peer=peer.user, epoch=Epoch(epoch), answer=answer))

    def add(self, peer: Endpoint, candidates: Collection[Candidate], epoch: int = 1) -> None:
        some = tuple(candidates)
        self.media.perform(AddCandidates(call=CALL, peer=peer.user, epoch=Epoch(epoch), candidates=some))

    def leave(self, peer: Endpoint, epoch: int = 1) -> None:
        self.media.perform(CloseMedia(call=CALL, peer=peer.user, epoch=Epoch(epoch)))

    def read_stats(self, peer: Endpoint, epoch: int = 1) -> None:
        self.media.perform(ReadStats(call=CALL, peer=peer.user, epoch=Epoch(epoch)))


async def join(a: Endpoint, b: Endpoint, media: CallMedia = CallMedia.VIDEO, epoch: int = 1) -> None:
    """Exchange offer and answer, and wait until both are connected."""
    connected = [len(one.told(IceConnected, other)) + 1 for one, other in ((a, b), (b, a))]
    answer = await b.answer(a, await a.offer(b, media, epoch), media, epoch)
    a.apply(b, answer, epoch)
    await a.until(IceConnected, b, count=connected[0])
    await b.until(IceConnected, a, count=connected[1])


def run(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it; nothing may be left or go wrong unseen."""

    async def watched() -> None:
        troubles: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
        async with asyncio.timeout(20):
            await play()
            await gone()
        assert troubles == [], troubles

    asyncio.run(watched())


async def gone() -> None:
    """Wait until no other task is left: aiortc ends some of its own a moment after it is closed."""
    while len(asyncio.all_tasks()) > 1:
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})


def colour(frame: Frame) -> Colour:
    """Mean of the picture."""
    assert isinstance(frame, av.VideoFrame)
    red, green, blue = frame.to_ndarray(format="rgb24").mean((0, 1))
    return round(red), round(green), round(blue)


def pitch(frame: Frame) -> float:
    """Strongest frequency of the block, in Hz; the step is 50 Hz."""
    assert isinstance(frame, av.AudioFrame)
    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * frame.sample_rate / len(samples))


def is_near(one: Colour, other: Colour) -> bool:
    """The same but for what the codec makes of it."""
    return all(abs(a - b) <= 12 for a, b in zip(one, other, strict=True))
