"""The proxy does to a connection what it is told, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice

import pytest

from tests.adapters.wire_proxy import Fault, Kind, WireProxy, abandon, random_faults
from tests.adapters.xmpp_room import run

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that sends everything back."""
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            await abandon(writer)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*served)


async def said(wire: Wire, text: bytes) -> bytes:
    """What comes back until the connection ends or is silent for a moment."""
    reader, writer = wire
    writer.write(text)
    found = b""
    try:
        while len(found) < len(text) and (data := await asyncio.wait_for(reader.read(1000), 0.3)):
            found += data
    except (ConnectionError, TimeoutError):
        pass
    return found


@pytest.mark.parametrize(
    ("fault", "comes_back", "ends"),
    [
        (None, 10, False),
        (Fault(Kind.CUT, 15), 5, True),
        (Fault(Kind.BLACK_HOLE, 15), 5, False),
        (Fault(Kind.BLACK_HOLE, 5), 0, False),
        (Fault(Kind.STALL, 15, 0.05), 10, False),
    ],
)
def test_fault_happens_at_its_byte(fault: Fault | None, comes_back: int, ends: bool) -> None:
    """Counted over both directions: ten bytes up, and up to ten back; what a cut lets through may get lost."""

    async def scenario() -> None:
        async with echo() as port, WireProxy(port, iter([fault] if fault else [])) as proxy:
            wire = await asyncio.open_connection("127.0.0.1", proxy.port)
            found = await said(wire, b"0123456789")
            assert b"0123456789".startswith(found)
            assert len(found) <= comes_back if ends else len(found) == comes_back
            assert proxy.happened == ([fault.kind] if fault else [])
            if ends:
                assert await said(wire, b"x") == b""
            await abandon(wire[1])

    run(scenario)


def test_told_to_swallow_refuse_and_cut_it_does() -> None:
    async def scenario() -> None:
        async with echo() as port, WireProxy(port) as proxy:
            wire = await asyncio.open_connection("127.0.0.1", proxy.port)
            assert await said(wire, b"one") == b"one"
            proxy.swallow()
            assert await said(wire, b"two") == b""
            proxy.cut()
            with pytest.raises(ConnectionError):
                await wire[0].read()
            proxy.refusing = True
            refused = await asyncio.open_connection("127.0.0.1", proxy.port)
            assert await said(refused, b"three") == b""
            for _, writer in (wire, refused):
                await abandon(writer)

    run(scenario)


def test_slow_direction_is_slow_and_loses_nothing() -> None:
    async def scenario() -> None:
        async with echo() as port, WireProxy(port) as proxy:
            proxy.rates = (1000.0, None)
            wire = await asyncio.open_connection("127.0.0.1", proxy.port)
            started = time.monotonic()
            wire[1].write(b"0123456789" * 20)
            assert await wire[0].readexactly(200) == b"0123456789" * 20
            assert 0.2 <= time.monotonic() - started < 5.0
            await abandon(wire[1])

    run(scenario)


def test_same_seed_is_the_same_faults() -> None:
    one, same, other = (list(islice(random_faults(seed, range(1, 1000), 0.1), 50)) for seed in (1, 1, 2))
    assert one == same != other
    assert {fault.kind for fault in one} == set(Kind)
