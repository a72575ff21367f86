"""Media goes from the socket to its receiver in one step.

aiortc puts each packet into a queue and wakes a task to take it out, which hands it through a chain of coroutines:
all that takes longer than to decrypt and read it. A call of four has 350 packets a second. What is no media, and what
comes before there are keys, goes aiortc's way.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pylibsrtp
from aiortc import RTCDtlsTransport, RTCRtpReceiver
from aiortc.rtcdtlstransport import RtpRouter, State
from aiortc.rtp import RtpPacket, is_rtcp

from qbcall.adapters import rtc_packets, rtc_reports
from qbcall.adapters.rtc_packets import read
from qbcall.adapters.rtc_settled import settled

log = logging.getLogger("qbcall.adapters.rtc")

FIRST, LAST = 128, 191
"""First byte of a datagram that is SRTP or SRTCP (RFC 7983, section 7)."""


def is_media(datagram: bytes) -> bool:
    """Whether it is, or reports on media."""
    return FIRST <= datagram[0] <= LAST


PATIENCE = 0.1
"""Seconds that packets wait which nobody wants."""
MOST_WAITING = 128
"""Packets that wait, at most."""
Take = Callable[[RtpPacket, float], None]
"""Takes a packet, with the time in seconds when it came."""


@dataclass(frozen=True, slots=True)
class Taker:
    """Takes what one receiver gets."""

    take: Take
    wanted: Callable[[], bool]
    """Whether anybody looks, listens or records now."""


@runtime_checkable
class MediaPath(Protocol):
    """A path that hands media over."""

    media: Callable[[bytes, float], bool] | None
    """Tells whether it took the datagram, which came at this time; else it waits to be received."""

    def send_now(self, data: bytes) -> None:
        """Send a datagram.

        Raises:
            ConnectionError: there is no path yet, or no more.
        """


class Arrival:
    """Takes the datagrams of one transport.

    What nobody wants to see or hear is read a little later, many at a time: Python that runs in a row takes a quarter
    of the time that it takes between two sleeps. Reports are read at once, and nothing overtakes anything.
    """

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self._transport = transport
        self._known = vars(transport)
        self._takers: dict[object, Taker] = {}
        """By receiver."""
        self._waiting: list[tuple[bytes, float]] = []
        self._idle = False
        """Nobody wants what comes now."""
        self._timer: asyncio.TimerHandle | None = None
        self._complained = False

    def hand_over(self, receiver: RTCRtpReceiver, taker: Taker) -> None:
        """Give it what this receiver gets."""
        self._takers[receiver] = taker
        self.catch_up()

    def take(self, datagram: bytes, came: float) -> bool:
        """Whether it was media, and is done with; it came at this time in seconds. Never raises, whoever wrote it."""
        if not is_media(datagram) or self._transport._state is not State.CONNECTED:
            return False
        self._known[_BYTES] += len(datagram)
        self._known[_PACKETS] += 1
        report = is_rtcp(datagram)
        if report:
            self.catch_up()
        if report or not self._idle:
            self._open(datagram, came, report=report)
        else:
            self._waiting.append((datagram, came))
            if len(self._waiting) >= MOST_WAITING:
                self.catch_up()
            elif self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(PATIENCE, self.catch_up)
        return True

    def catch_up(self) -> None:
        """Read what waits, and see whether somebody wants what comes now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if self._transport._state is State.CONNECTED:
            for datagram, came in waiting:
                self._open(datagram, came, report=False)
        self._idle = bool(self._takers) and not any(taker.wanted() for taker in self._takers.values())

    def _open(self, datagram: bytes, came: float, *, report: bool) -> None:
        keys = self._transport._rx_srtp
        try:
            if report:
                self.read_reports(keys.unprotect_rtcp(datagram), came)
            else:
                self.read_media(keys.unprotect(datagram), came)
        except (pylibsrtp.Error, ValueError) as error:
            log.debug("a packet is not of the peer: %s", error)

    def read_media(self, data: bytes, came: float) -> None:
        """Take an RTP packet that was decrypted, and came at this time. Never raises."""
        try:
            packet = read(data, self._transport._rtp_header_extensions_map)
            receiver = self._transport._rtp_router.route_rtp(packet)
            taker = self._takers.get(receiver)
            if taker is not None:
                taker.take(packet, came)
            elif receiver is not None:
                settled(receiver._handle_rtp_packet(packet, arrival_time_ms=int(came * 1000)))
        except Exception:  # what a peer writes may break aiortc anywhere
            self._complain()

    def read_reports(self, data: bytes, came: float) -> None:
        """Take an RTCP packet that was decrypted, and came at this time. Never raises."""
        try:
            rtc_reports.read(self._transport, data, came)
        except Exception:  # as above
            self._complain()

    def _complain(self) -> None:
        if not self._complained:
            log.info("a packet that cannot be read is left out (told once)", exc_info=True)
        self._complained = True


def hand_over(receiver: RTCRtpReceiver, taker: Taker | None) -> None:
    """Hand what this receiver gets over at once; to itself, if there is no taker. Again is no error."""
    path = receiver.transport.transport._connection
    if not KNOWN or not isinstance(path, MediaPath):
        return
    arrival = arrival_of(receiver)
    if arrival is None:
        arrival = Arrival(receiver.transport)
        path.media = arrival.take
    if taker is not None:
        arrival.hand_over(receiver, taker)


def catch_up(receiver: RTCRtpReceiver) -> None:
    """Read what waits for it: its counters are looked at, or somebody begins to look."""
    arrival = arrival_of(receiver)
    if arrival is not None:
        arrival.catch_up()


def arrival_of(receiver: RTCRtpReceiver) -> Arrival | None:
    """What takes the datagrams of its transport; None: aiortc does."""
    path = receiver.transport.transport._connection
    arrival = getattr(path.media, "__self__", None) if isinstance(path, MediaPath) else None
    return arrival if isinstance(arrival, Arrival) else None


_BYTES, _PACKETS = "_RTCDtlsTransport__rx_bytes", "_RTCDtlsTransport__rx_packets"


def is_known(transport: type[RTCDtlsTransport]) -> bool:
    """Whether aiortc's transport takes datagrams as in aiortc 1.16, the one that we know."""
    try:
        return (
            {
                *(_BYTES, _PACKETS, "_rx_srtp", "is_rtcp", "unprotect", "unprotect_rtcp", "_handle_rtcp_data"),
                "_handle_rtp_data",
            }
            <= set(transport._recv_next.__code__.co_names)
            and all(
                names <= set(function.__code__.co_names)
                for function, names in (
                    (transport._handle_rtp_data, {"parse", "_rtp_header_extensions_map", "_rtp_router", "route_rtp"}),
                    (transport._set_state, {"_state"}),
                    (RtpRouter.route_rtp, {"ssrc_table", "payload_type_table"}),
                )
            )
            and list(inspect.signature(RtpPacket.parse).parameters) == ["data", "extensions_map"]
        )
    except (AttributeError, TypeError, ValueError):
        return False


KNOWN = is_known(RTCDtlsTransport) and rtc_packets.KNOWN
"""Whether datagrams can be taken in one step; else aiortc takes them in its own way."""
if not KNOWN:
    log.warning("aiortc takes datagrams otherwise than aiortc 1.16: media costs more to receive")
