"""STUN servers on loopback that do what a test wants: say nothing, nonsense, or any address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from aioice.stun import Class, Message, Method, parse_message

from qbcall.adapters.rtc import IceServer

Reply = Callable[[bytes, tuple[str, int]], bytes | None]
"""What is answered to a datagram; None: nothing."""


class StunServer(asyncio.DatagramProtocol):
    """Answers each datagram, or not."""

    def __init__(self, reply: Reply) -> None:
        self.asked: list[tuple[str, int]] = []
        """Who asked."""
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.DatagramProtocol`."""
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """See `asyncio.DatagramProtocol`."""
        self.asked.append((addr[0], addr[1]))
        answer = self._reply(data, (addr[0], addr[1]))
        if answer is not None:
            self.transport.sendto(answer, addr)

    def urls(self, scheme: str = "stun") -> IceServer:
        """How it is configured."""
        host, port = self.transport.get_extra_info("sockname")[:2]
        assert ":" not in host, "the URL of an IPv6 address is written otherwise"
        return IceServer(urls=(f"{scheme}:{host}:{port}",), username="name", credential="secret")


def silence(data: bytes, sender: tuple[str, int]) -> None:
    """A server that is there and does not answer."""


def mapped(host: str, shift: int = 0) -> Reply:
    """Everybody comes from this address, as behind a NAT."""

    def reply(data: bytes, sender: tuple[str, int]) -> bytes:
        return response(data, (host, sender[1] + shift))

    return reply


def response(data: bytes, address: tuple[str, int] | None) -> bytes:
    """The answer to a binding request, with this address or none."""
    answer = Message(Method.BINDING, Class.RESPONSE, transaction_id=parse_message(data).transaction_id)
    if address is not None:
        answer.attributes["XOR-MAPPED-ADDRESS"] = address
    return bytes(answer)


@asynccontextmanager
async def stun_server(reply: Reply, host: str = "127.0.0.1") -> AsyncIterator[StunServer]:
    """A server on a port of its own."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: StunServer(reply), local_addr=(host, 0))
    try:
        yield server
    finally:
        transport.close()
