"""Questions to STUN and TURN servers, one at a time: does it answer, does it relay, how large a packet passes.

For `qbcall doctor`; calls ask the same servers through aiortc.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from aioice import stun, turn
from aiortc.rtcicetransport import parse_stun_turn_uri

from qbcall.adapters.rtc_addresses import IceServer
from qbcall.errors import MediaError

PAYLOAD = 1200
"""Bytes that are relayed: as much as a packet of a picture has."""
RESEND = 0.5
"""Seconds until a packet that did not come back is sent again: UDP loses some (RFC 8489, section 6.2.1)."""
FIRST_RESEND = 0.05
"""Seconds, likewise, for what a TURN server drops until it has the permissions (RFC 8656, section 9)."""
CLOSE_PATIENCE = 1.0
"""Seconds that a TURN server may take to give an allocation up."""
PADDING = 0xC0DE
"""An attribute that means nothing, and that servers must pass over (RFC 8489, section 14)."""
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, IP_MTU = 10, 3, 14
"""Linux, ip(7): send unfragmented whatever is believed about the path; what is believed about it."""
IP_UDP_HEADER = 28
"""Bytes, with IPv4."""


@dataclass(frozen=True, slots=True)
class Server:
    """A STUN or TURN server at one place (RFC 7064, RFC 7065)."""

    scheme: str
    """`stun`, `stuns`, `turn` or `turns`."""
    host: str
    port: int
    transport: str = "udp"
    """`udp` or `tcp`."""
    username: str | None = None
    credential: str | None = None

    @property
    def url(self) -> str:
        """As in `ice.servers`."""
        told = f"?transport={self.transport}" if self.scheme.startswith("turn") else ""
        return f"{self.scheme}:{self.host}:{self.port}{told}"


@dataclass(frozen=True, slots=True)
class Relayed:
    """What a TURN server did."""

    address: tuple[str, int]
    """That it gave."""
    allocation: float
    """Seconds until it gave it."""
    echo: float
    """Seconds that a packet took to another address of the same server and back."""


def servers_of(settings: Iterable[IceServer]) -> list[Server]:
    """Each URL, in the order that calls use them."""
    found = []
    for server in settings:
        for url in server.urls:
            parts = parse_stun_turn_uri(url)
            relay = parts["scheme"].startswith("turn")
            found.append(
                Server(
                    parts["scheme"],
                    parts["host"],
                    parts["port"],
                    parts.get("transport") or "udp",
                    server.username if relay else None,
                    server.credential if relay else None,
                )
            )
    return found


# -- STUN ------------------------------------------------------------------------------------------------------------


async def ask_stun(server: Server) -> tuple[float, tuple[str, int]]:
    """Seconds that the answer took, and the address that the server sees. Waits for it without end.

    Raises:
        MediaError: there is no such host, nothing listens there, or the answer makes no sense.
    """
    async with _socket(server) as asker:
        return await asker.ask()


async def path_mtu(server: Server, sizes: Iterable[int]) -> tuple[int | None, int]:
    """What this machine believes, and the largest of these sizes that came through to a STUN or TURN server.

    Sizes are of IP packets, IPv4, in bytes, and are tried one after the other, in their order. 0: none came through.
    What does not come back within two resendings counts as lost.

    Raises:
        MediaError: as `ask_stun`.
    """
    async with _socket(server) as asker:
        believed = asker.unfragmented()
        for size in sizes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3 * RESEND):
                    await asker.ask(size - IP_UDP_HEADER)
                return believed, size
        return believed, 0


class _Asker(asyncio.DatagramProtocol):
    """Sends STUN requests from one socket."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport
        self._waiting: dict[bytes, asyncio.Future[stun.Message]] = {}

    async def ask(self, length: int = 0) -> tuple[float, tuple[str, int]]:
        """Ask with a request of so many bytes; again and again until there is an answer."""
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        answer = self._waiting[request.transaction_id] = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        while not answer.done():
            self._transport.sendto(_padded(bytes(request), length))
            await asyncio.wait({answer}, timeout=RESEND)
        seen = answer.result().attributes.get("XOR-MAPPED-ADDRESS")
        if seen is None:
            raise MediaError("the answer does not say which address was seen")
        return time.monotonic() - began, seen

    def unfragmented(self) -> int | None:
        """From now on packets are not cut in pieces. Gives back what Linux believes about the path."""
        one: socket.socket = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            one.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
            return one.getsockopt(socket.IPPROTO_IP, IP_MTU)
        return None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, _: object) -> None:
        """Called by asyncio."""
        with contextlib.suppress(ValueError):
            message = stun.parse_message(data)
            answer = self._waiting.get(message.transaction_id)
            if answer is not None and not answer.done():
                answer.set_result(message)

    def error_received(self, error: Exception) -> None:
        """Called by asyncio. A packet that is too large is one that did not come through."""
        if isinstance(error, OSError) and error.errno == errno.EMSGSIZE:
            return
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(MediaError(_refusal(error)))


def _padded(request: bytes, length: int) -> bytes:
    room = max(length - len(request) - 4, 0) // 4 * 4
    if not room:
        return request
    body = request[stun.HEADER_LENGTH :] + struct.pack("!HH", PADDING, room) + bytes(room)
    return stun.set_body_length(request[: stun.HEADER_LENGTH], len(body)) + body


@asynccontextmanager
async def _socket(server: Server) -> AsyncIterator[_Asker]:
    loop = asyncio.get_running_loop()
    try:
        transport, asker = await loop.create_datagram_endpoint(_Asker, remote_addr=(server.host, server.port))
    except OSError as error:
        raise MediaError(_refusal(error)) from error
    try:
        yield asker
    finally:
        transport.close()
        await asyncio.sleep(0)


# -- TURN ------------------------------------------------------------------------------------------------------------


class RefusedByRelay(MediaError):
    """A TURN server answers, but does not do what it is asked."""

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(text)
        self.code = code
        """STUN error code (RFC 8489, section 14.8; RFC 8656, section 19)."""


class UntrustedRelay(MediaError):
    """The certificate of a TURN server is not trusted."""


class NothingRelayed(MediaError):
    """A TURN server gives addresses, but what is sent to them does not arrive."""


async def ask_turn(server: Server, patience: float) -> Relayed:
    """Take two addresses, and send a packet from one to the other and back: as a call does that must be relayed.

    Raises:
        MediaError: it did not answer within `patience` seconds, or what it did then.
    """
    async with contextlib.AsyncExitStack() as stack:
        began = time.monotonic()
        try:
            async with asyncio.timeout(patience):
                near = await stack.enter_async_context(_allocation(server))
                took = time.monotonic() - began
                far = await stack.enter_async_context(_allocation(server))
        except TimeoutError:
            raise MediaError(f"no answer within {patience:g} s") from None
        try:
            async with asyncio.timeout(patience):
                return Relayed(near.address, took, await _echo(near, far))
        except TimeoutError:
            text = f"gives addresses ({near.address[0]}), but nothing came through within {patience:g} s"
            raise NothingRelayed(text) from None


@asynccontextmanager
async def _allocation(server: Server) -> AsyncIterator[_Relay]:
    relay = _Relay()
    try:
        transport, _ = await turn.create_turn_endpoint(
            lambda: relay,
            server_addr=(server.host, server.port),
            username=server.username,
            password=server.credential,
            ssl=server.scheme == "turns",
            transport=server.transport,
        )
    except (OSError, stun.TransactionError) as error:
        raise _failure(error) from error
    relay.connect(transport)
    try:
        yield relay
    finally:
        # Not `close`, whose task would go on for a minute if the server is gone.
        with contextlib.suppress(TimeoutError, stun.TransactionError, ConnectionError):
            await asyncio.wait_for(transport._close(), CLOSE_PATIENCE)
        await asyncio.sleep(0)


async def _echo(near: _Relay, far: _Relay) -> float:
    """Seconds there and back. Both send, so that the server lets each other's packets in."""
    far.mirror, far.received = near.address, near.received
    pause, attempt, rest = FIRST_RESEND, 0, secrets.token_bytes(PAYLOAD - 1)
    began: dict[int, float] = {}
    while not near.received.done():
        far.send(b"", near.address)
        began[attempt] = time.monotonic()
        near.send(bytes([attempt]) + rest, far.address)
        await asyncio.wait({near.received}, timeout=pause)
        pause, attempt = min(2 * pause, RESEND), attempt + 1
    ended, data = near.received.result()
    if data[1:] != rest:
        raise NothingRelayed("changes what it relays")
    return ended - began[data[0]]


class _Relay(asyncio.DatagramProtocol):
    """One address at a TURN server."""

    def __init__(self) -> None:
        self.address = ("", 0)
        self.mirror: tuple[str, int] | None = None
        """Where to send back what comes."""
        self.received: asyncio.Future[tuple[float, bytes]] = asyncio.get_running_loop().create_future()
        """The first whole packet that is not sent back, and when it came; or why there is none."""
        self._transport: turn.TurnTransport

    def connect(self, transport: turn.TurnTransport) -> None:
        """Send over this one from now on."""
        self._transport = transport
        self.address = transport.get_extra_info("sockname")

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Send it from this address."""
        self._transport.sendto(data, to)

    def datagram_received(self, data: bytes, _: object) -> None:
        """Called by aioice."""
        if len(data) != PAYLOAD:
            return
        if self.mirror is not None:
            self.send(data, self.mirror)
        elif not self.received.done():
            self.received.set_result((time.monotonic(), data))

    def error_received(self, error: Exception) -> None:
        """Called by aioice if the server refuses to relay to an address."""
        if not self.received.done():
            self.received.set_exception(_failure(error))


# -- what goes wrong -------------------------------------------------------------------------------------------------


def _failure(error: Exception) -> MediaError:
    match error:
        case stun.TransactionFailed():
            code, text = error.response.attributes.get("ERROR-CODE", (None, "no reason"))
            return RefusedByRelay(code, f"refuses: {code} {text}")
        case stun.TransactionTimeout():
            return MediaError("no answer")
        case ssl.SSLCertVerificationError():
            return UntrustedRelay(f"its certificate is not trusted: {error.verify_message}")
        case ssl.SSLError():
            return MediaError(f"does not speak TLS: {error.reason or error}")
        case OSError():
            return MediaError(_refusal(error))
    return MediaError(str(error) or type(error).__name__)


def _refusal(error: Exception) -> str:
    match error:
        case socket.gaierror():
            return "there is no such host"
        case ConnectionRefusedError():
            return "nothing listens there"
        case OSError(errno=int(number)):
            return os.strerror(number)
    return str(error) or type(error).__name__
