"""A name server on loopback that knows SRV records only (RFC 1035, RFC 2782)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import aiodns

Records = Mapping[str, Sequence[tuple[int, str, int]]]
"""Names, and the priorities, hosts and ports that they lead to."""


def _name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


class _Server(asyncio.DatagramProtocol):
    def __init__(self, records: Records) -> None:
        self._records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        question = data[12 : data.index(b"\0", 12) + 5]
        found = next((found for name, found in self._records.items() if question.startswith(_name(name))), ())
        answers = b""
        for priority, host, port in found:
            target = struct.pack("!HHH", priority, 0, port) + _name(host)
            answers += b"\xc0\x0c" + struct.pack("!HHIH", 33, 1, 60, len(target)) + target
        header = data[:2] + struct.pack("!HHHHH", 0x8580, 1, len(found), 0, 0)
        self._transport.sendto(header + question + answers, address)


@asynccontextmanager
async def name_server(records: Records) -> AsyncIterator[aiodns.DNSResolver]:
    """A resolver that asks this server only."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Server(records), local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    resolver = aiodns.DNSResolver(nameservers=[f"127.0.0.1:{port}"], loop=loop, tries=1, timeout=2.0)
    try:
        yield resolver
    finally:
        await resolver.close()
        transport.close()
