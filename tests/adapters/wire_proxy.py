"""A TCP proxy that breaks connections as networks do: it cuts, stalls and swallows, at chosen bytes or when told.

Within a connection that lives, no byte is dropped: TCP does not. What is swallowed is followed by nothing but a cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import math
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

CHUNK = 65_536


Rates = tuple[float | None, float | None]
"""Bytes per second to the server and to the client; None: as many as there are."""
PIECES = 50
"""That a slow connection forwards in a second."""


class Kind(enum.Enum):
    """How a connection breaks."""

    CUT = "cut"
    """Both ends see a reset."""
    BLACK_HOLE = "black hole"
    """Both ends see nothing: no byte arrives any more."""
    STALL = "stall"
    """Nothing arrives for a while, and then all of it."""


@dataclass(frozen=True)
class Fault:
    """What happens to one connection."""

    kind: Kind
    at: int
    """After so many bytes of both directions."""
    seconds: float = 0.0
    """How long a stall lasts."""


def random_faults(seed: int, at: range, stall: float) -> Iterator[Fault]:
    """A fault for each connection; cuts are half of them."""
    choice = random.Random(seed)
    while True:
        kind = choice.choice((Kind.CUT, Kind.CUT, Kind.BLACK_HOLE, Kind.STALL))
        yield Fault(kind, choice.choice(at), choice.uniform(0.0, stall))


class WireProxy:
    """Forwards from a port of its own on loopback; use it as an async context manager."""

    def __init__(self, port: int, faults: Iterator[Fault] | None = None) -> None:
        """`port` is the server's, on loopback. The connections meet the faults in order; after a stall, one more."""
        self.port = 0
        """Where clients connect."""
        self.happened: list[Kind] = []
        """The faults that happened."""
        self.faults = faults
        """May be changed; for connections to come."""
        self.rates: Rates = (None, None)
        """May be changed; for connections to come and present ones."""
        self.refusing = False
        """New connections are reset: nobody listens."""
        self._target = port
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None, "entered"
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset all connections."""
        for wire in tuple(self._wires):
            wire.cut()

    def inject(self, data: bytes) -> None:
        """Send to the clients what the server did not say."""
        for wire in self._wires:
            wire.inject(data)

    def swallow(self, *, upwards: bool = True) -> None:
        """From now on nothing arrives on the present connections; if not `upwards`, only nothing from the server."""
        for wire in self._wires:
            wire.swallowing = (upwards, True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            await abandon(writer)
            return
        try:
            to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            await abandon(writer)
            return
        wire = _Wire((reader, writer), to_server, self)
        self._wires.add(wire)
        try:
            await wire.carry()
        finally:
            self._wires.discard(wire)
            await abandon(writer)
            await abandon(to_server[1])


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST in place of FIN, as a network or an operating system that knows nothing of it."""
    found = writer.get_extra_info("socket")
    if found is not None and not writer.is_closing():
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def abandon(writer: asyncio.StreamWriter) -> None:
    """Reset a connection, and wait until nothing of it is left."""
    reset(writer)
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class _Wire:
    """One connection: to the client and to the server."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        proxy: WireProxy,
    ) -> None:
        self.swallowing = (False, False)
        """Upwards to the server, downwards to the client."""
        self._client = client
        self._server = server
        self._proxy = proxy
        self._fault: Fault | None = None
        self._left = 0
        self._expect_fault()
        self._flowing = asyncio.Event()
        self._flowing.set()

    def _expect_fault(self) -> None:
        self._fault = next(self._proxy.faults or iter(()), None)
        self._left = self._fault.at if self._fault is not None else 0

    async def carry(self) -> None:
        """Until one side ends."""
        await asyncio.gather(
            self._pump(self._client[0], self._server[1], 0), self._pump(self._server[0], self._client[1], 1)
        )

    def cut(self) -> None:
        """Reset both sides."""
        self._flowing.set()
        for _, writer in (self._client, self._server):
            reset(writer)

    def inject(self, data: bytes) -> None:
        """Send to the client what the server did not say."""
        self._client[1].write(data)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: int) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                for part in self._parts(data):
                    await self._flowing.wait()
                    await self._forward(part, writer, direction)
        except ConnectionError:
            pass
        finally:
            # In a black hole, the other side does not learn of it.
            if not self.swallowing[direction]:
                self.cut()

    async def _forward(self, part: bytes, writer: asyncio.StreamWriter, direction: int) -> None:
        while part and not self.swallowing[direction]:
            rate = self._proxy.rates[direction]
            size = len(part) if rate is None else math.ceil(rate / PIECES)
            piece, part = part[:size], part[size:]
            if rate is not None:
                passed = asyncio.Event()
                asyncio.get_running_loop().call_later(len(piece) / rate, passed.set)
                await passed.wait()
            writer.write(piece)
            await writer.drain()

    def _parts(self, data: bytes) -> Iterator[bytes]:
        """The data, with the fault between its parts if it is due within."""
        fault = self._fault
        if fault is None or len(data) < self._left:
            self._left -= len(data)
            yield data
            return
        due, self._fault = self._left, None
        yield data[:due]
        self._happen(fault)
        yield data[due:]

    def _happen(self, fault: Fault) -> None:
        self._proxy.happened.append(fault.kind)
        match fault.kind:
            case Kind.CUT:
                self.cut()
            case Kind.BLACK_HOLE:
                self.swallowing = (True, True)
            case Kind.STALL:
                self._flowing.clear()
                asyncio.get_running_loop().call_later(fault.seconds, self._flowing.set)
                self._expect_fault()
