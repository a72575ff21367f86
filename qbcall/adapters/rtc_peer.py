"""One peer connection: from its offer or answer to its end. What happens is told through a `Tell`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import aioice
from aiortc import (
    MediaStreamTrack,
    RTCCertificate,
    RTCConfiguration,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from qbcall.adapters import rtc_sdp
from qbcall.adapters.rtc_addresses import CandidateFilter, IceSettings
from qbcall.adapters.rtc_arrival import catch_up, hand_over
from qbcall.adapters.rtc_bitrate import SendLimits, announce
from qbcall.adapters.rtc_codecs import CODECS, codec_to_send, codecs_by_kind, obstacle
from qbcall.adapters.rtc_early import PATIENCE, Gate, HeldTrack, Kept
from qbcall.adapters.rtc_encoder import SharedMedia
from qbcall.adapters.rtc_guard import guard
from qbcall.adapters.rtc_names import Names
from qbcall.adapters.rtc_option import saying, says
from qbcall.adapters.rtc_receive import Inlet, bare, receive
from qbcall.adapters.rtc_sender import outgoing, prepare, send_shared
from qbcall.adapters.rtc_stats import (
    ReceivedStream,
    SentStream,
    candidate_types,
    is_near,
    kinds_of,
)
from qbcall.adapters.rtc_tracks import OutgoingTrack
from qbcall.adapters.rtc_transport import CARRIES, peer_connection, transport
from qbcall.adapters.rtc_viewer import Viewer
from qbcall.core.measurement import with_rates
from qbcall.core.model import CallMedia, Candidate, Counts, Description, MediaKind, StatsReport
from qbcall.errors import MediaError, NegotiationError

if TYPE_CHECKING:
    from qbcall.adapters.rtc_impaired import ImpairedNetwork


SENDING = ("sendrecv", "sendonly")
"""Directions in which we send (RFC 8866, section 6.7)."""


class Tell(Protocol):
    """Who is told what happens; each at most once, unless it says otherwise."""

    def found(self, candidate: Candidate) -> None:
        """One more address of ours, that is not in our offer or answer."""

    def checking(self) -> None:
        """ICE looks for a path."""

    def connected(self, kinds: Iterable[MediaKind]) -> None:
        """ICE and DTLS are done; media of these kinds is received."""

    def heard_again(self) -> None:
        """The peer had been lost, and is heard again; as often as it happens."""

    def failed(self) -> None:
        """No path was found, or the transport ended."""


class PeerConnection:
    """One aiortc peer connection with what is sent and received over it."""

    def __init__(
        self,
        ice: IceSettings,
        media: SharedMedia | None,
        viewer: Viewer,
        tell: Tell,
        clock: Callable[[], float],
        *,
        bandwidth: int = 0,
        network: ImpairedNetwork | None = None,
        certificate: RTCCertificate | None = None,
        early: bool = False,
    ) -> None:
        """`media` is what is sent to all peers of the call; what is received goes to `viewer`.

        `early`: nothing is sent and nothing received before `start`; `media` None: it is not known yet, and all kinds
        will be sent.

        `bandwidth` is the most video, in kbit/s, that is sent and that is asked for; 0: no limit.

        `network` is the bad one that it is to use, on request; `certificate` has its keys, None: keys of its own.

        Raises:
            InvalidArgument: `bandwidth` is negative or too large.
        """
        self._limits = SendLimits(bandwidth)
        self._ice = ice
        self._sent_media = media
        self._gate = Gate(viewer) if early else None
        self._viewer = viewer if self._gate is None else self._gate.viewer
        self._tell = tell
        self._told: set[str] = set()
        self._clock = clock
        self._before = (clock(), StatsReport())
        self._remote: rtc_sdp.Remote | None = None
        self._ours: str | None = None
        self._pair: tuple[str | None, str | None] = (None, None)
        self._watched = False
        self._preparing: asyncio.Handle | None = None
        self._outgoing: dict[str, OutgoingTrack] = {}
        self._inlets: dict[str, Inlet] = {}
        self._search = transport(ice, lambda: self._pc, self._announce, self._resume, network)
        self._candidates = CandidateFilter(self._search.addresses)
        self._names = Names(self._add_found) if ice.mdns else None
        policy = RTCIceTransportPolicy(ice.transport_policy)
        configuration = RTCConfiguration(iceServers=self._search.servers, iceTransportPolicy=policy)
        self._pc = peer_connection(configuration, certificate)
        self._pc.on("track", self._take)
        self._pc.on("connectionstatechange", self._observe)
        self._pc.on("iceconnectionstatechange", self._observe)

    async def offer(self, media: CallMedia) -> Description:
        """Our offer; a kind that is not sent is offered to be received."""
        for kind in media.kinds:
            self._add(kind)
        return await self._describe(await self._pc.createOffer())

    async def answer(self, media: CallMedia, offer: Description) -> Description:
        """Our answer to the peer's offer; what the call is not about is rejected in it.

        Raises:
            NegotiationError: the offer cannot be read or used.
        """
        remote = rtc_sdp.read_offer(offer.sdp, media.kinds, self._admit, obstacle)
        for kind in remote.kinds:
            self._add(kind)
        await self._use(remote, "offer")
        answer = await self._describe(await self._pc.createAnswer())
        self._prepare_soon()
        return Description(remote.complete(answer.sdp))

    async def apply(self, answer: Description) -> None:
        """Use the peer's answer.

        Raises:
            NegotiationError: it cannot be read or used.
        """
        if self._ours is None:
            raise NegotiationError("an answer came, but nothing was offered")
        await self._use(rtc_sdp.read_answer(answer.sdp, self._ours, self._admit), "answer")
        self._prepare_soon()

    def watch(self) -> None:
        """From now on tell what happens: our offer or answer is on its way."""
        self._watched = True
        self._observe()

    async def gathered(self) -> None:
        """Wait for the servers that are asked for candidates, within reason."""
        await self._search.gathered(PATIENCE)

    def start(self, media: SharedMedia, viewer: Viewer) -> None:
        """From now on an early connection sends this, and what is received goes there."""
        assert self._gate is not None, "only an early one is started"
        self._gate.open(viewer)
        for inlet in self._inlets.values():
            if isinstance(inlet.intake, Kept):
                inlet.intake.release()
        for track in self._outgoing.values():
            stream = media.stream(MediaKind(track.kind))
            if isinstance(track, HeldTrack) and stream is not None:
                track.release(stream)
        self.wake()

    async def add(self, candidates: Iterable[Candidate]) -> None:
        """Try more of the peer's addresses; bad ones are counted, not used."""
        for one in candidates:
            mid = self._remote.transport_of(one.mid, one.line) if self._remote else None
            admitted = self._candidates.admit(one.candidate) if mid is not None else None
            if admitted is not None:
                admitted.sdpMid = mid
                await self._pc.addIceCandidate(admitted)
            elif self._names:
                self._names.note(one.candidate)
        if self._names:
            self._names.look_up()

    def limit(self, kind: MediaKind, bandwidth: int) -> None:
        """Send this kind with at most so many kbit/s from now on; 0: as much as the peer wants.

        This replaces the limit that the connection was made with; the peer's own, if smaller, goes on to hold. The
        peer is told nothing, as in QuickBlox (QBRTCSession `setBitrate`).

        Raises:
            InvalidArgument: `bandwidth` is negative or too large.
        """
        self._limits.limit(kind, bandwidth)

    def measure(self, *, keep: bool) -> StatsReport:
        """The state now; rates are over the time since the last one that was kept."""
        self._catch_up()
        at, before = self._before
        now, report = self._clock(), self._read()
        if keep:
            self._before = now, report
        return with_rates(report, before, now - at)

    @property
    def heard_at(self) -> float | None:
        """When anything of the peer came in, in seconds of the event loop's clock; None: it was never connected.

        A peer that sends no media is asked, and answers.
        """
        return self._search.heard_at

    @property
    def counts(self) -> dict[MediaKind, Counts]:
        """What came of each kind that was agreed to come."""
        self._catch_up()
        return {MediaKind(one.kind): inlet.counts for one, inlet in self._receiving()}

    def wake(self) -> None:
        """Somebody may want to see or hear the user from now on."""
        self._catch_up()
        for inlet in self._inlets.values():
            inlet.intake.wake()

    def stop_gathering(self) -> None:
        """Wait for no STUN or TURN server any more: an offer or answer that does fails."""
        self._search.stop()

    async def close(self) -> None:
        """Close it; what is sent to other peers goes on."""
        if self._preparing is not None:
            self._preparing.cancel()
        for track in self._outgoing.values():
            track.stop()
        if self._names:
            await self._names.close()
        await self._pc.close()
        for inlet in self._inlets.values():
            inlet.intake.close()

    # -- details -----------------------------------------------------------------------------------------------------

    def _add(self, kind: MediaKind) -> None:
        late = self._sent_media is None
        stream = None if self._sent_media is None else self._sent_media.stream(kind)
        with self._search.here():
            if stream is None and not late:
                transceiver = self._pc.addTransceiver(kind.value, "recvonly")
            else:
                track = HeldTrack(kind) if stream is None or self._gate is not None else outgoing(stream)
                self._outgoing[kind.value] = track
                transceiver = self._pc.addTransceiver(track, "sendrecv")
                send_shared(transceiver.sender, track)
                self._limits.hold(kind, track.terms)
        transceiver.setCodecPreferences(CODECS[kind])

    def _catch_up(self) -> None:
        for one in self._pc.getReceivers():
            catch_up(one)

    def _prepare_soon(self) -> None:
        """It is agreed what is sent: encode it while the path is looked for, whose first checks are sent before."""
        self._preparing = asyncio.get_running_loop().call_soon(self._prepare)

    def _prepare(self) -> None:
        for one in self._pc.getTransceivers():
            if one.kind in self._outgoing and one.currentDirection in SENDING:
                prepare(one, self._outgoing[one.kind])

    async def _describe(self, ours: RTCSessionDescription) -> Description:
        with self._search.here():
            await self._pc.setLocalDescription(ours)
        self._ours = announce(self._pc.localDescription.sdp, self._limits.announced)
        if CARRIES and (self._remote is None or self._search.carries):
            self._ours = saying(self._ours)
        if "a=candidate:" not in self._ours:
            raise MediaError(self._ice.why_no_candidate)
        if self._search.gathering:
            self._ours = self._ours.replace("a=end-of-candidates\r\n", "")
        return Description(self._ours)

    async def _use(self, remote: rtc_sdp.Remote, type_: str) -> None:
        self._search.carries = CARRIES and says(remote.text)
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(remote.text, type_))
        except OperationError:
            reasons = (obstacle(section) for section in rtc_sdp.parse(remote.text).sections)
            raise NegotiationError(f"no common codec: {'; '.join(filter(None, reasons))}") from None
        except Exception as error:  # aiortc checks little: whatever a stranger writes may break it anywhere
            raise NegotiationError(f"the {type_} cannot be used: {str(error) or type(error).__name__}") from error
        self._remote = remote
        if self._names:
            self._names.look_up()
        self._limits.obey(remote.text)

    def _admit(self, candidate: str) -> bool:
        if self._candidates.admit(candidate) is not None:
            return True
        if self._names:
            self._names.note(candidate)
        return False

    async def _add_found(self, candidate: str) -> None:
        """The address of a candidate that came with a name: one like any other from now on."""
        await self.add([Candidate(candidate, mid=None, line=0)])

    def _announce(self, path: object, candidate: aioice.Candidate) -> None:
        """Tell a candidate, unless it is in our offer or answer, or its path is not used."""
        if self._ours is None:
            return
        for one in self._pc.getTransceivers():
            if one.receiver.transport.transport._connection is path and one.mid is not None:
                mids = self._remote.mids if self._remote else [some.mid for some in self._pc.getTransceivers()]
                text = f"candidate:{candidate.to_sdp()}"
                self._tell.found(Candidate(text, mid=one.mid, line=mids.index(one.mid)))
                return

    def _take(self, track: MediaStreamTrack) -> None:
        transceiver = next(one for one in self._pc.getTransceivers() if one.receiver.track is track)
        # Who answers an early offer is the caller: what comes early was sent after the callee's accept.
        keep = self._gate is not None and self._ours is None
        self._inlets[track.kind] = receive(transceiver.receiver, self._viewer, Kept if keep else bare)

    def _resume(self) -> None:
        """The peer needs a complete picture too, and would ask for it a round trip later."""
        for track in self._outgoing.values():
            track.ask()
        self.wake()
        self._tell.heard_again()

    def _observe(self) -> None:
        for one in self._pc.getTransceivers():
            guard(one.receiver.transport)
            inlet = self._inlets.get(one.kind)
            hand_over(one.receiver, inlet.taker if inlet else None)
        if not self._watched:
            return
        if self._pc.iceConnectionState == "checking" and self._is_new("checking"):
            self._tell.checking()
        state = self._pc.connectionState
        if state == "connected" and self._is_new("connected"):
            self._before = self._clock(), StatsReport()
            self._tell.connected([inlet.received.kind for inlet in self._inlets.values()])
        if state in ("failed", "closed") and self._is_new("failed"):
            self._tell.failed()

    def _is_new(self, what: str) -> bool:
        new = what not in self._told
        self._told.add(what)
        return new

    def _read(self) -> StatsReport:
        sent, received = self._sent_streams(), self._received_streams()
        for receiver in self._pc.getReceivers():
            self._pair = candidate_types(receiver.transport.transport) or self._pair
        return StatsReport(
            round_trip=next((stream.round_trip for stream in sent if stream.round_trip is not None), None),
            local_candidate=self._pair[0],
            remote_candidate=self._pair[1],
            sent=kinds_of(sent),
            received=kinds_of(received),
        )

    def _sent_streams(self) -> list[SentStream]:
        theirs = codecs_by_kind(self._remote.text if self._remote else None)
        return [
            SentStream(one, self._outgoing[one.kind], codec_to_send(MediaKind(one.kind), theirs))
            for one in self._pc.getTransceivers()
            if one.kind in self._outgoing and one.currentDirection in SENDING
        ]

    def _received_streams(self) -> list[ReceivedStream]:
        ours = codecs_by_kind(self._ours)
        near = any(is_near(receiver.transport.transport) for receiver in self._pc.getReceivers())
        return [
            ReceivedStream(one, inlet.received, inlet.packets, ours.get(one.kind, {}), near)
            for one, inlet in self._receiving()
        ]

    def _receiving(self) -> list[tuple[RTCRtpTransceiver, Inlet]]:
        return [
            (one, self._inlets[one.kind])
            for one in self._pc.getTransceivers()
            if one.kind in self._inlets and one.currentDirection in ("sendrecv", "recvonly")
        ]
