"""The network path: how soon two peers find each other, and what becomes of a call when the network has a fault.

Where they find each other, both sides live in this process and send picture and sound; a signal takes no time. Stock
aiortc and ours take turns. For the faults see `path_faults`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import perf_counter

from aiortc import MediaStreamTrack
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack

from benchmarks.bare import Bare
from benchmarks.figures import Figure, milliseconds, ratio
from benchmarks.path_faults import faults
from qbcall.adapters.rtc import IceServer, IceSettings, RtcMedia
from qbcall.core.effects import AcceptOffer, ApplyAnswer, CreateOffer
from qbcall.core.inputs import AnswerReady, IceConnected, Input, MediaFact, OfferReady
from qbcall.core.model import CallId, CallMedia, Epoch, User
from qbcall.media.frames import Frame
from qbcall.media.outgoing import Listener

ADDRESSES = ("127.0.0.1",)
CALL = CallId("the-call")
EPOCH = Epoch(1)


class Still:
    """What aiortc sends by itself: silence, or a picture without content."""

    def __init__(self, make: type[AudioStreamTrack] | type[VideoStreamTrack]) -> None:
        self._make = make

    def subscribe(self, listener: Listener | None = None) -> StillFeed:
        """See `rtc_share.Outlet`."""
        return StillFeed(self._make(), listener)


class StillFeed:
    """One peer's share."""

    def __init__(self, track: MediaStreamTrack, listener: Listener | None) -> None:
        self._track = track
        self._task = None if listener is None else asyncio.get_running_loop().create_task(self._push(listener))

    async def _push(self, listener: Listener) -> None:
        with suppress(MediaStreamError):
            while True:
                listener.put(await self.recv())
        listener.end()

    async def recv(self) -> Frame:
        """See `rtc_share.Feed`."""
        return await self._track.recv()  # type: ignore[return-value]  # a frame: nothing is encoded yet

    def close(self) -> None:
        """See `rtc_share.Feed`."""
        self._track.stop()
        if self._task is not None:
            self._task.cancel()


class Local:
    """What both sides send."""

    audio = Still(AudioStreamTrack)
    video = Still(VideoStreamTrack)


class Side:
    """One participant."""

    def __init__(self, name: str, ice: IceSettings) -> None:
        self.user = User(name)
        self.media = RtcMedia(self._post, ice)
        self.media.provide(CALL, Local(), lambda user, frame: None)
        self._awaited: dict[type[MediaFact], asyncio.Future[MediaFact]] = {}

    def _post(self, fact: Input) -> None:
        if isinstance(fact, MediaFact) and not (future := self.awaited(type(fact))).done():
            future.set_result(fact)

    def awaited(self, kind: type[MediaFact]) -> asyncio.Future[MediaFact]:
        """The first fact of this kind."""
        return self._awaited.setdefault(kind, asyncio.get_running_loop().create_future())


async def ours(servers: Sequence[IceServer] = ()) -> tuple[float, float]:
    """Seconds to both connected: since the offer was made, and since nothing was."""
    ice = IceSettings(servers=tuple(servers), addresses=ADDRESSES)
    a, b = Side("a", ice), Side("b", ice)
    began = perf_counter()
    a.media.perform(CreateOffer(call=CALL, peer=b.user, epoch=EPOCH, media=CallMedia.VIDEO))
    offer = await a.awaited(OfferReady)
    offered = perf_counter()
    assert isinstance(offer, OfferReady)
    b.media.perform(AcceptOffer(call=CALL, peer=a.user, epoch=EPOCH, media=CallMedia.VIDEO, offer=offer.offer))
    answer = await b.awaited(AnswerReady)
    assert isinstance(answer, AnswerReady)
    a.media.perform(ApplyAnswer(call=CALL, peer=b.user, epoch=EPOCH, answer=answer.answer))
    await asyncio.gather(a.awaited(IceConnected), b.awaited(IceConnected))
    connected = perf_counter()
    await asyncio.gather(a.media.close(), b.media.close())
    return connected - offered, connected - began


@contextmanager
def dead_server() -> Iterator[str]:
    """The URL of a STUN server that never answers."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield f"stun:127.0.0.1:{silent.getsockname()[1]}"


async def without_servers(times: int) -> list[Figure]:
    """Offer to both connected, against stock aiortc."""
    some: list[float] = []
    stock: list[float] = []
    for number in range(times + 1):  # the first one warms up
        since_offer, _ = await ours()
        bare = await Bare(ADDRESSES).connect()
        if number:
            some.append(since_offer)
            stock.append(bare)
    return [
        milliseconds("offer to both connected, no STUN", some),
        milliseconds("the same, stock aiortc", stock),
        ratio("ratio of the two (to reach: at most 0.65)", some, stock),
    ]


async def with_a_dead_one(times: int, *, stock: bool) -> list[Figure]:
    """Nothing to both connected where a STUN server says nothing, against the same without servers."""
    dead: list[float] = []
    none: list[float] = []
    with dead_server() as url:
        for number in range(times + 1):
            _, slow = await ours([IceServer(urls=(url,))])
            _, quick = await ours()
            if number:
                dead.append(slow)
                none.append(quick)
        bare = Bare(ADDRESSES, [url])
        bares = [milliseconds("the same, stock aiortc", [await _whole(bare.connect)])] if stock else []
    return [
        milliseconds("nothing to both connected, one dead STUN server", dead),
        *bares,
        ratio("ratio to the same call without STUN (to reach: at most 1.3)", dead, none),
    ]


async def _whole(connect: Callable[[], Awaitable[float]]) -> float:
    began = perf_counter()
    await connect()
    return perf_counter() - began


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    times = 1 if smoke else 25
    return [
        *await without_servers(times),
        *await with_a_dead_one(times, stock=not smoke),
        *await faults(smoke=smoke),
    ]
