"""Which network addresses a peer connection offers, and which of the peer's it tries.

aioice offers every address of the machine but 127.0.0.1. qbcall lets the user say which.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ifaddr
from aioice.ice import get_host_addresses
from aiortc import RTCIceCandidate
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.sdp import candidate_from_sdp

from qbcall.core.impairment import Impairment
from qbcall.errors import InvalidArgument

MAX_CANDIDATES = 20
"""Addresses of one peer that are tried: each costs packets to wherever it points, so a peer must not name many."""
TRANSPORT_POLICIES = ("all", "relay")


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server (W3C WebRTC: RTCIceServer).

    Raises:
        InvalidArgument: an URL is none of STUN (RFC 7064) or TURN (RFC 7065).
    """

    urls: tuple[str, ...]
    """E.g. `stun:stun.example.org`, `turn:turn.example.org:3478?transport=tcp`."""
    username: str | None = None
    """TURN only."""
    credential: str | None = None
    """The password; TURN only."""

    def __post_init__(self) -> None:
        for url in self.urls:
            try:
                parse_stun_turn_uri(url)
            except ValueError as error:
                raise InvalidArgument(f"urls: {url!r} is no URL of a STUN or TURN server: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class IceSettings:
    """How peers find each other. All servers are asked at once, over UDP, TCP and TLS, and nobody waits for them.

    Raises:
        InvalidArgument: the transport policy is unknown, or needs a TURN server and there is none.
    """

    servers: tuple[IceServer, ...] = ()
    """None: peers must reach each other directly."""
    addresses: tuple[str, ...] = ()
    """Local addresses, or names of network interfaces, that are offered; empty: all but loopback."""
    discover: bool = False
    """Servers are told later, see `RtcMedia.use`."""
    transport_policy: str = "all"
    """`all`, or `relay`: only through TURN servers (W3C WebRTC: RTCIceTransportPolicy)."""
    mdns: bool = False
    """Names of the local network are looked up; see `rtc_names`."""
    impairment: Impairment | None = None
    """How bad the network of each call is made; None: it stays as it is."""

    def __post_init__(self) -> None:
        if self.transport_policy not in TRANSPORT_POLICIES:
            raise InvalidArgument(f"transport_policy must be all or relay, not {self.transport_policy!r}")
        if self.transport_policy == "relay" and not self.relays and not self.discover:
            raise InvalidArgument("transport_policy relay needs a TURN server in servers")

    @property
    def relays(self) -> tuple[str, ...]:
        """URLs of the TURN servers."""
        return tuple(url for server in self.servers for url in server.urls if url.startswith("turn"))

    @property
    def why_no_candidate(self) -> str:
        """For people: what is wrong if not one address can be offered."""
        if self.transport_policy != "relay":
            wanted = ", ".join(self.addresses) or "all but loopback"
            return f"this machine has no address to offer (wanted: {wanted})"
        if not self.relays:
            return "media may go through TURN servers only, but none is configured, nor named by the chat server"
        return f"no TURN server gave an address: {self.relays[0]} does not answer, or refuses the credentials"


def local_addresses(settings: IceSettings) -> list[str]:
    """The addresses that are offered now, without those that the machine does not have."""
    if settings.addresses:
        return _resolve(settings.addresses)
    return get_host_addresses(use_ipv4=True, use_ipv6=True)


class CandidateFilter:
    """Lets through those of one peer's candidates that are worth trying, each once."""

    def __init__(self, offered: Iterable[str]) -> None:
        """`offered` are this side's addresses."""
        ours = [ipaddress.ip_address(one) for one in offered]
        self.ignored = 0
        """Candidates that were not let through, without repetitions."""
        self._loopback = any(one.is_loopback for one in ours)
        self._link_local = any(one.is_link_local for one in ours)
        self._seen: set[tuple[str, int]] = set()

    def admit(self, text: str) -> RTCIceCandidate | None:
        """The candidate in `candidate:…` (RFC 8839, section 5.1), if it is to be tried.

        Not tried: TCP and RTCP's own component, which are not offered here either; names (those of mDNS would be
        asked for in the local network, and such a peer finds this side by itself); addresses that are no peer's:
        unspecified, multicast, broadcast; loopback and link-local ones unless this side offers its own, since a
        stranger must not make it knock at doors of this machine or of its network's devices.
        """
        try:
            candidate = candidate_from_sdp(text.partition("candidate:")[2])
            admitted = self._is_usable(candidate)
        except (ValueError, AssertionError):
            admitted = False
        if not admitted:
            self.ignored += 1
            return None
        where = (candidate.ip, candidate.port)
        if where in self._seen:
            return None
        if len(self._seen) >= MAX_CANDIDATES:
            self.ignored += 1
            return None
        self._seen.add(where)
        return candidate

    def _is_usable(self, candidate: RTCIceCandidate) -> bool:
        address = ipaddress.ip_address(candidate.ip)
        return (
            candidate.protocol.lower() == "udp"
            and candidate.component == 1
            and 0 < candidate.port < 65536
            and 0 <= candidate.priority < 2**32
            and candidate.type in ("host", "srflx", "relay")
            and not (address.is_unspecified or address.is_multicast or candidate.ip == "255.255.255.255")
            and (self._loopback or not address.is_loopback)
            and (self._link_local or not address.is_link_local)
        )


def _resolve(wanted: Sequence[str]) -> list[str]:
    """Addresses as they are, and those of the named interfaces."""
    if all(map(_is_address, wanted)):
        return list(dict.fromkeys(wanted))
    interfaces: dict[str, list[str]] = {}
    for adapter in ifaddr.get_adapters():
        texts = (ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in adapter.ips if ip.is_IPv4 or not ip.ip[2])
        interfaces.setdefault(adapter.name, []).extend(texts)
    found = [address for one in wanted for address in interfaces.get(one, [one])]
    return [one for one in dict.fromkeys(found) if _is_address(one)]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
