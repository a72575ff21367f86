"""What STUN and TURN servers are asked: how others see this machine, and for an address that they relay from."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, relayed_candidate
from aioice.stun import Class, Message, Method
from aiortc.rtcicetransport import parse_stun_turn_uri

from qbcall.adapters.rtc_addresses import IceServer

PREFERENCES = {("turn", "udp"): 65535, ("turn", "tcp"): 65534, ("turns", "tcp"): 65533}
"""Ways to a TURN server that aioice knows, and which of their relays is tried first (RFC 8445, section 5.1.2.2)."""


@dataclass(frozen=True, slots=True)
class StunServer:
    """Tells how it sees us."""

    host: str
    port: int

    async def ask(self, protocol: StunProtocol) -> Candidate:
        """The address that the server saw behind this socket.

        Raises:
            OSError: the server has no address of the socket's family.
            TransactionError: it does not answer, or refuses.
            ValueError: its answer holds no address.
        """
        ours = protocol.local_candidate
        address = await _look_up(self.host, self.port, ipaddress.ip_address(ours.host).version)
        request = Message(message_method=Method.BINDING, message_class=Class.REQUEST)
        answer, _ = await protocol.request(request, address)
        if "XOR-MAPPED-ADDRESS" not in answer.attributes:
            raise ValueError("the answer of the STUN server holds no address")
        host, port = answer.attributes["XOR-MAPPED-ADDRESS"]
        return Candidate(
            foundation=candidate_foundation("srflx", "udp", ours.host),
            component=ours.component,
            transport="udp",
            priority=candidate_priority(ours.component, "srflx"),
            host=host,
            port=port,
            type="srflx",
            related_address=ours.host,
            related_port=ours.port,
        )


@dataclass(frozen=True, slots=True)
class TurnServer:
    """Relays for who has credentials."""

    host: str
    port: int
    scheme: str
    transport: str
    username: str | None
    credential: str | None

    async def allocate(
        self, make: Callable[[], StunProtocol], component: int, *, hide: bool
    ) -> tuple[Candidate, StunProtocol]:
        """An address at the server, and the protocol that sends from there.

        `hide` leaves out where this machine is (RFC 9429, section 3.5.3).

        Raises:
            OSError: the server cannot be reached.
            TransactionError: it does not answer, or refuses.
        """
        candidate, protocol = await relayed_candidate(
            component=component,
            hide_related_address=hide,
            protocol_factory=make,
            turn_server=(self.host, self.port),
            turn_username=self.username,
            turn_password=self.credential,
            turn_ssl=self.scheme == "turns",
            turn_transport=self.transport,
        )
        candidate.priority = candidate_priority(component, "relay", PREFERENCES[self.scheme, self.transport])
        return candidate, protocol


def stun_servers(servers: Iterable[IceServer]) -> list[StunServer]:
    """All that can be asked, each once."""
    found = [StunServer(one["host"], one["port"]) for _, one in _parsed(servers) if one["scheme"] == "stun"]
    return list(dict.fromkeys(found))


def turn_servers(servers: Iterable[IceServer]) -> list[TurnServer]:
    """All that can be asked, each once: over UDP, TCP and TLS."""
    found = [
        TurnServer(one["host"], one["port"], one["scheme"], one["transport"], server.username, server.credential)
        for server, one in _parsed(servers)
        if (one["scheme"], one.get("transport")) in PREFERENCES
    ]
    return list(dict.fromkeys(found))


def _parsed(servers: Iterable[IceServer]) -> Iterator[tuple[IceServer, dict[str, Any]]]:
    return ((server, parse_stun_turn_uri(url)) for server in servers for url in server.urls)


async def _look_up(host: str, port: int, version: int) -> tuple[str, int]:
    """An address of this family; one that is written as such is not looked up."""
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[version]
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM)
        return str(found[0][4][0]), port
    if literal.version != version:
        raise OSError(f"{host} is no address of IPv{version}")
    return str(literal), port
