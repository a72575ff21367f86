"""Media goes from the socket to its receiver in one step.

aiortc puts each packet into a queue and wakes a task to take it out, which hands it through a chain of coroutines:
all that takes longer than to decrypt and read it. A call of four has 350 packets a second. What is no media, and what
comes before there are keys, goes aiortc's way.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import pylibsrtp
from aiortc import RTCDtlsTransport, RTCRtpReceiver
from aiortc.rtcdtlstransport import RtpRouter, State
from aiortc.rtp import RtpPacket, is_rtcp

from qbcall.adapters.rtc_settled import settled

log = logging.getLogger("qbcall.adapters.rtc")

FIRST, LAST = 128, 191
"""First byte of a datagram that is SRTP or SRTCP (RFC 7983, section 7)."""


def is_media(datagram: bytes) -> bool:
    """Whether it is, or reports on media."""
    return FIRST <= datagram[0] <= LAST


Take = Callable[[RtpPacket, int], None]
"""Takes a packet, with the time in milliseconds when it came."""


@runtime_checkable
class MediaPath(Protocol):
    """A path that hands media over."""

    media: Callable[[bytes], bool] | None
    """Tells whether it took the datagram; else it waits to be received."""

    def send_now(self, data: bytes) -> None:
        """Send a datagram.

        Raises:
            ConnectionError: there is no path yet, or no more.
        """


class Arrival:
    """Takes the datagrams of one transport."""

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self.takers: dict[object, Take] = {}
        """By receiver."""
        self._transport = transport
        self._known = vars(transport)
        self._complained = False

    def take(self, datagram: bytes) -> bool:
        """Whether it was media, and is done with. Never raises, whatever a stranger writes."""
        if not is_media(datagram) or self._transport._state is not State.CONNECTED:
            return False
        self._known[_BYTES] += len(datagram)
        self._known[_PACKETS] += 1
        keys = self._transport._rx_srtp
        try:
            if is_rtcp(datagram):
                self.read_reports(keys.unprotect_rtcp(datagram))
            else:
                self.read_media(keys.unprotect(datagram))
        except (pylibsrtp.Error, ValueError) as error:
            log.debug("a packet is not of the peer: %s", error)
        return True

    def read_media(self, data: bytes) -> None:
        """Take an RTP packet that was decrypted. Never raises."""
        try:
            packet = RtpPacket.parse(data, self._transport._rtp_header_extensions_map)
            receiver = self._transport._rtp_router.route_rtp(packet)
            taker, now = self.takers.get(receiver), time.time_ns() // 1_000_000
            if taker is not None:
                taker(packet, now)
            elif receiver is not None:
                settled(receiver._handle_rtp_packet(packet, arrival_time_ms=now))
        except Exception:  # what a peer writes may break aiortc anywhere
            self._complain()

    def read_reports(self, data: bytes) -> None:
        """Take an RTCP packet that was decrypted. Never raises."""
        try:
            settled(self._transport._handle_rtcp_data(data))
        except Exception:  # as above
            self._complain()

    def _complain(self) -> None:
        if not self._complained:
            log.info("a packet that cannot be read is left out (told once)", exc_info=True)
        self._complained = True


def hand_over(receiver: RTCRtpReceiver, take: Take | None) -> None:
    """Hand what this receiver gets over at once; to itself, if `take` is None. Again is no error."""
    path = receiver.transport.transport._connection
    if not KNOWN or not isinstance(path, MediaPath):
        return
    arrival = getattr(path.media, "__self__", None)
    if not isinstance(arrival, Arrival):
        arrival = Arrival(receiver.transport)
        path.media = arrival.take
    if take is not None:
        arrival.takers[receiver] = take


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


KNOWN = is_known(RTCDtlsTransport)
"""Whether datagrams can be taken in one step; else aiortc takes them in its own way."""
if not KNOWN:
    log.warning("aiortc takes datagrams otherwise than aiortc 1.16: media costs more to receive")
