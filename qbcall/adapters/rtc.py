"""The peer connections of all calls, on aiortc: carries out what the core asks and tells what happens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from aiortc import RTCCertificate

from qbcall.adapters.rtc_addresses import IceServer, IceSettings
from qbcall.adapters.rtc_early import HOLDS
from qbcall.adapters.rtc_encoder import SharedMedia
from qbcall.adapters.rtc_peer import PeerConnection
from qbcall.adapters.rtc_sdp import with_candidates
from qbcall.adapters.rtc_share import LocalMedia
from qbcall.adapters.rtc_thread import MediaThread, Worker
from qbcall.adapters.rtc_transport import impaired
from qbcall.adapters.rtc_viewer import Viewer
from qbcall.core.effects import (
    AcceptOffer,
    AddCandidates,
    ApplyAnswer,
    CloseMedia,
    CreateOffer,
    MediaEffect,
    ReadStats,
    StartMedia,
)
from qbcall.core.inputs import (
    AnswerReady,
    CandidatesFound,
    IceChecking,
    IceConnected,
    IceFailed,
    Input,
    MediaBroke,
    MediaCounted,
    MediaFlowing,
    OfferReady,
    Post,
    RemoteTrack,
    StatsRead,
)
from qbcall.core.measurement import added
from qbcall.core.model import CallId, Candidate, Description, Epoch, MediaKind, StatsReport, User
from qbcall.errors import MediaError, NegotiationError
from qbcall.media.encoded import EncodedFrame
from qbcall.media.frames import Frame

if TYPE_CHECKING:
    from qbcall.adapters.rtc_impaired import ImpairedNetwork

__all__ = ["IceServer", "IceSettings", "RtcMedia"]

log = logging.getLogger("qbcall.adapters.rtc")

FLOW_INTERVAL = 0.25
"""Seconds between looks for packets that came in; small against the stall timeout and `health.STALL`."""

Deliver = Callable[[User, Frame], None]
"""Takes a received frame, on the event loop's thread."""
Wants = Callable[[User, MediaKind], bool]
"""Whether frames of a user are to be decoded now. When this changes to yes, `RtcMedia.wake` is called."""
Passed = Callable[[User, MediaKind], None]
"""Told of each received frame that was not decoded, because it was not wanted."""


Record = Callable[[User, EncodedFrame], bool]
"""Takes a received frame as it came, where `records` says so; tells whether a complete picture is needed."""


def _always(user: User, kind: MediaKind) -> bool:
    """Everything is wanted."""
    return True


def _ignore(user: User, kind: MediaKind) -> None:
    """Nobody counts."""


def _never(user: User, kind: MediaKind) -> bool:
    """Nothing is recorded."""
    return False


def _no_record(user: User, frame: EncodedFrame) -> bool:
    """Nobody records."""
    return False


@dataclass(frozen=True, slots=True)
class Provided:
    """What a call sends, and where its received frames go."""

    media: SharedMedia
    deliver: Deliver
    bandwidth: int = 0
    """Kilobit per second of picture that each peer sends at most; 0: no limit."""
    wants: Wants = _always
    passed: Passed = _ignore
    records: Wants = _never
    record: Record = _no_record

    def viewer(self, user: User, thread: Worker) -> Viewer:
        """Who takes what this user sends."""
        return Viewer(
            partial(self.deliver, user),
            partial(self.wants, user),
            partial(self.passed, user),
            thread,
            user.partition("@")[0],
            partial(self.records, user),
            partial(self.record, user),
        )


def _discard(user: User, frame: Frame) -> None:
    """Nobody wants the frame."""


NOTHING = Provided(SharedMedia(None, MediaThread("qbcall-encode")), _discard)


class RtcMedia:
    """The peer connections; see `ports.MediaEngine`. Made and used on the event loop's thread."""

    def __init__(
        self, post: Post, ice: IceSettings, *, clock: Callable[[], float] = time.monotonic, bandwidth: int = 0
    ) -> None:
        """`bandwidth`: of connections for which nothing is provided yet; see `provide`.

        Raises:
            InvalidArgument: the settings ask for what this aioice cannot do.
        """
        if ice.impairment is not None:
            impaired(ice.impairment)
        self._post = post
        self._ice = ice
        self._clock = clock
        self._unprovided = replace(NOTHING, bandwidth=bandwidth)
        self._provided: dict[CallId, Provided] = {}
        self._networks: dict[CallId, ImpairedNetwork] = {}
        """The bad network of each call, on request."""
        self._certificates: dict[CallId, RTCCertificate] = {}
        """The keys of each call, for all its connections: see `core.pinning`."""
        self._lanes: dict[tuple[CallId, User, Epoch], Lane] = {}
        self._last: dict[tuple[CallId, User], StatsReport] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._decoder, self._encoder = MediaThread("qbcall-decode"), MediaThread("qbcall-encode")

    def use(self, servers: tuple[IceServer, ...]) -> None:
        """Use these STUN and TURN servers for connections that are made from now on."""
        self._ice = replace(self._ice, servers=servers)

    def provide(
        self,
        call: CallId,
        local: LocalMedia | None,
        deliver: Deliver,
        *,
        bandwidth: int = 0,
        wants: Wants = _always,
        passed: Passed = _ignore,
        records: Wants = _never,
        record: Record = _no_record,
    ) -> None:
        """Say what is sent in a call, and who takes what is received; before its first offer or answer."""
        media = SharedMedia(local, self._encoder)
        self._provided[call] = Provided(media, deliver, bandwidth, wants, passed, records, record)

    def wake(self, call: CallId, peer: User) -> None:
        """Somebody wants to see or hear a user: `wants` says so from now on."""
        for key, lane in self._lanes.items():
            if key[:2] == (call, peer):
                lane.wake()

    def rename(self, was: CallId, now: CallId) -> None:
        """The call goes on under another id: what was provided for it, and its connections."""
        if was in self._provided:
            self._provided[now] = self._provided.pop(was)
        if was in self._certificates:
            self._certificates[now] = self._certificates.pop(was)
        if was in self._networks:
            self._networks[now] = self._networks.pop(was)
        for key in [key for key in self._lanes if key[0] == was]:
            lane = self._lanes.pop(key)
            lane.call = now
            self._lanes[(now, *key[1:])] = lane
        for call, peer in [key for key in self._last if key[0] == was]:
            self._last[(now, peer)] = self._last.pop((call, peer))

    def perform(self, effect: MediaEffect) -> None:
        """See `ports.MediaEngine`."""
        key = (effect.call, effect.peer, effect.epoch)
        if isinstance(effect, (CreateOffer, AcceptOffer)) and key not in self._lanes:
            self._lanes[key] = Lane(effect, self._post, self._maker(effect), self._watch, self._total)
        lane = self._lanes.get(key)
        if lane is None:
            log.debug("%s for a peer connection that is closed", type(effect).__name__)
        elif isinstance(effect, CloseMedia):
            self._close(key)
        elif isinstance(effect, StartMedia):
            provided = self._provided.get(effect.call, NOTHING)
            lane.start(provided.media, provided.viewer(effect.peer, self._decoder))
        else:
            lane.perform(effect)

    def latest(self, call: CallId, peer: User) -> StatsReport | None:
        """A measurement of the connection to a user, the last one if it is closed; None: there was none."""
        lanes = [lane for key, lane in self._lanes.items() if key[:2] == (call, peer)]
        present = max(lanes, key=lambda lane: lane.connected_at, default=None)
        report = present.measure(keep=False) if present else None
        return self._last.get((call, peer)) if report is None else self._total(call, peer, report)

    def limit(self, call: CallId, peer: User | None, bandwidth: int) -> None:
        """Send a user, or all, so many kbit/s of picture at most, over the present connections; 0: no limit."""
        for key, lane in self._lanes.items():
            if key[0] == call and peer in (None, key[1]):
                lane.limit(bandwidth)

    def release(self, call: CallId) -> None:
        """See `ports.MediaEngine`."""
        for key in [key for key in self._lanes if key[0] == call]:
            self._close(key)
        for last in [last for last in self._last if last[0] == call]:
            del self._last[last]
        self._provided.pop(call, None)
        self._certificates.pop(call, None)
        self._networks.pop(call, None)

    async def close(self) -> None:
        """See `ports.MediaEngine`."""
        for key in list(self._lanes):
            self._close(key)
        if self._look is not None:
            self._look.cancel()
            self._look = None
        while self._closing:
            await asyncio.wait(self._closing)
        await self._decoder.close()
        await self._encoder.close()

    # -- details -----------------------------------------------------------------------------------------------------

    def _close(self, key: tuple[CallId, User, Epoch]) -> None:
        lane = self._lanes.pop(key)
        report = lane.measure(keep=False)
        if report is not None:
            self._last[key[:2]] = self._total(*key[:2], report)
        task = asyncio.get_running_loop().create_task(lane.close(), name=f"qbcall-close-{key[1]}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _maker(self, effect: CreateOffer | AcceptOffer) -> Callable[..., PeerConnection]:
        """Makes the peer connection; of an early one it may not be known yet what is sent."""
        call = effect.call
        provided = self._provided.get(call, self._unprovided)
        return partial(
            PeerConnection,
            self._ice,
            None if effect.early and call not in self._provided else provided.media,
            provided.viewer(effect.peer, self._decoder),
            certificate=self._keys(call),
            clock=self._clock,
            bandwidth=provided.bandwidth,
            network=self._network(call),
            early=effect.early,
        )

    def _network(self, call: CallId) -> ImpairedNetwork | None:
        if self._ice.impairment is not None and call not in self._networks:
            self._networks[call] = impaired(self._ice.impairment)
        return self._networks.get(call)

    def _keys(self, call: CallId) -> RTCCertificate:
        if call not in self._certificates:
            self._certificates[call] = RTCCertificate.generateCertificate()
        return self._certificates[call]

    def _total(self, call: CallId, peer: User, report: StatsReport) -> StatsReport:
        """A measurement with the counts of the connections to this user that are closed."""
        before = self._last.get((call, peer))
        return report if before is None else added(before, report)

    def _watch(self) -> None:
        """Look for packets as long as anybody is connected."""
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(FLOW_INTERVAL, self._look_for_packets)

    def _look_for_packets(self) -> None:
        self._look = None
        connected = [lane.look_for_packets() for lane in self._lanes.values()]
        if any(connected):
            self._watch()


class Lane:
    """Carries out the effects of one epoch, one after the other, and posts its facts until it is closed."""

    def __init__(
        self,
        first: CreateOffer | AcceptOffer,
        post: Post,
        make: Callable[..., PeerConnection],
        watch: Callable[[], None],
        total: Callable[[CallId, User, StatsReport], StatsReport],
    ) -> None:
        self.call = first.call
        self._peer, self._epoch = first.peer, first.epoch
        self._post = post
        self._make = make
        self._watch = watch
        self._total = total
        self.connected_at = -1.0
        """Seconds of the event loop's clock; negative: it never was."""
        self._open = True
        self._connected = False
        self._held = first.early
        self._kinds: tuple[MediaKind, ...] = ()
        self._found: list[Candidate] = []
        """What early descriptions are completed with."""
        self._heard_at: float | None = None
        self._connection: PeerConnection | None = None
        self._effects: asyncio.Queue[MediaEffect | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"qbcall-peer-{first.peer}")

    def perform(self, effect: MediaEffect) -> None:
        """Carry out an effect once those before it are done; a measurement at once."""
        if isinstance(effect, ReadStats):
            report = self.measure(keep=True) or StatsReport()
            self._tell(StatsRead, report=self._total(self.call, self._peer, report))
        else:
            self._effects.put_nowait(effect)

    def start(self, media: SharedMedia, viewer: Viewer) -> None:
        """Media flows over an early connection from now on; that it is connected is told anew."""
        assert self._connection is not None, "its description was told"
        self._held = False
        self._connection.start(media, viewer)
        if self._connected:
            self.connected(self._kinds)

    def measure(self, *, keep: bool) -> StatsReport | None:
        """What is known now; None: there is no connection, or its state cannot be read."""
        try:
            return None if self._connection is None else self._connection.measure(keep=keep)
        except Exception:
            log.warning("statistics cannot be read", exc_info=True)
            return None

    def limit(self, bandwidth: int) -> None:
        """Send so many kbit/s of picture at most from now on."""
        if self._connection is not None:
            self._connection.limit(MediaKind.VIDEO, bandwidth)

    def wake(self) -> None:
        """Somebody may want to see or hear the user from now on."""
        if self._connection is not None:
            self._connection.wake()

    def look_for_packets(self) -> bool:
        """Tell if some came in since the last look, and what came of each kind; False: there is no need to look."""
        if self._connected and self._connection is not None:
            heard_at = self._connection.heard_at
            if heard_at != self._heard_at:
                self._tell(MediaFlowing)
            self._heard_at = heard_at
            self._tell(MediaCounted, counts=self._connection.counts)
        return self._connected

    async def close(self) -> None:
        """Post nothing more from now on, and close the connection."""
        self._open = self._connected = False
        self._effects.put_nowait(None)
        if self._connection is not None:
            self._connection.stop_gathering()
        await self._task
        if self._connection is not None:
            try:
                await self._connection.close()
            except Exception:
                log.warning("a peer connection did not close properly", exc_info=True)

    # -- what the connection tells -----------------------------------------------------------------------------------

    def found(self, candidate: Candidate) -> None:
        """See `rtc_peer.Tell`."""
        if self._held:
            self._found.append(candidate)
        else:
            self._tell(CandidatesFound, candidates=(candidate,))

    def checking(self) -> None:
        """See `rtc_peer.Tell`."""
        self._tell(IceChecking)

    def connected(self, kinds: Iterable[MediaKind]) -> None:
        """See `rtc_peer.Tell`."""
        self._kinds = tuple(kinds)
        self._tell(IceConnected)
        for kind in () if self._held else self._kinds:
            self._tell(RemoteTrack, kind=kind)
        self._connected = True
        self.connected_at = asyncio.get_running_loop().time()
        self._watch()

    def heard_again(self) -> None:
        """See `rtc_peer.Tell`."""
        self.look_for_packets()

    def failed(self) -> None:
        """See `rtc_peer.Tell`."""
        self._connected = False
        self._tell(IceFailed)

    # -- details -----------------------------------------------------------------------------------------------------

    def _tell(self, fact: Callable[..., Input], **fields: object) -> None:
        if self._open:
            self._post(fact(call=self.call, peer=self._peer, epoch=self._epoch, **fields))

    async def _run(self) -> None:
        while (effect := await self._effects.get()) is not None:
            if not self._open:
                continue
            try:
                await self._carry_out(effect)
            except Exception as error:
                log.debug("%s failed", type(effect).__name__, exc_info=True)
                text = str(error) if isinstance(error, MediaError) else f"{type(effect).__name__} failed: {error!r}"
                self._tell(MediaBroke, error=text, theirs=isinstance(error, NegotiationError))

    async def _complete(self, described: Description) -> Description:
        """An early description is not followed by candidates: it has them all."""
        if not self._held:
            return described
        assert self._connection is not None, "it was described"
        await self._connection.gathered()
        return Description(with_candidates(described.sdp, self._found))

    async def _carry_out(self, effect: MediaEffect) -> None:
        if self._held and not HOLDS:
            raise MediaError("this version of aiortc cannot be kept from sending")
        if self._connection is None:
            self._connection = self._make(tell=self)
        match effect:
            case CreateOffer():
                offer = await self._connection.offer(effect.media)
                self._tell(OfferReady, offer=await self._complete(offer))
                self._connection.watch()
            case AcceptOffer():
                answer = await self._connection.answer(effect.media, effect.offer)
                self._tell(AnswerReady, answer=await self._complete(answer))
                self._connection.watch()
            case ApplyAnswer():
                await self._connection.apply(effect.answer)
            case AddCandidates():
                await self._connection.add(effect.candidates)
