"""Sockets are read as soon as something comes, or on the beat while much comes; each datagram has its own time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct
from typing import Any

import pytest

from qbcall.adapters import rtc_socket
from qbcall.adapters.rtc_socket import AT_ONCE, MANY, MOST_UNSENT, QUIET, WINDOW, MediaSocket
from qbcall.media.beat import BEAT, beat
from tests.media.virtual_clock import VirtualClockLoop, run

pytestmark = pytest.mark.skipif(not rtc_socket.KNOWN, reason="only Linux tells when a datagram came")

OFTEN = 1 / (2 * MANY)
"""Seconds between datagrams that are many."""
PATIENCE = 2.0
"""Seconds that a kernel may take to hand a datagram over."""
SO_MEMINFO, COUNTS = 55, Struct("@I")
"""Option that tells the memory of a socket (asm-generic/socket.h); the first of its numbers is of what waits."""


class Owner:
    """Notes what comes, and when it is told."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        self.got: list[bytes] = []
        self.came: list[float] = []
        self.told: list[float] = []
        self.errors: list[Exception] = []
        self.ends = 0
        self.transport: asyncio.BaseTransport | None = None
        self._loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        assert exc is None
        self.ends += 1

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def received(self, data: bytes, addr: tuple[Any, ...], came: float) -> None:
        self.got.append(data)
        self.came.append(came)
        self.told.append(self._loop.time())


class Stage:
    """A socket, and a peer that sends to it."""

    def __init__(self, loop: VirtualClockLoop, peer: socket.socket) -> None:
        self.owner = Owner(loop)
        self.socket = MediaSocket("127.0.0.1", self.owner)
        self.address = self.socket.get_extra_info("sockname")
        self._kernels: socket.socket = self.socket.get_extra_info("socket")
        self.peer = peer

    def say(self, data: bytes = b"x") -> None:
        """Until it is there: a kernel that is busy hands it over later."""
        before, patient_until = self._waiting(), time.monotonic() + PATIENCE
        self.peer.sendto(data, self.address)
        while self._waiting() == before and time.monotonic() < patient_until:
            pass

    def _waiting(self) -> int:
        """Bytes that the kernel keeps for what was not read."""
        kept: int = COUNTS.unpack_from(self._kernels.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 64))[0]
        return kept

    async def flow(self) -> None:
        """So much that the socket is read on the beat."""
        for _ in range(int((WINDOW + 0.1) / OFTEN)):
            self.say()
            await asyncio.sleep(OFTEN)

    async def end(self) -> None:
        self.socket.close()
        self.socket.close()
        await asyncio.sleep(0)
        assert self.owner.ends == 1


@contextmanager
def stage(loop: VirtualClockLoop) -> Iterator[Stage]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        yield Stage(loop, peer)


async def soon(turns: int = 12) -> None:
    """The loop looks at its sockets."""
    for _ in range(turns):
        await asyncio.sleep(0)


def test_time_of_a_datagram_is_that_of_the_kernel() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here:
            times = []
            for _ in range(5):
                before = time.time()
                here.say()
                times.append((before, time.time()))
            await soon()
            assert len(here.owner.came) == 5
            for (before, after), came in zip(times, here.owner.came, strict=True):
                assert before - 1e-6 <= came <= after + 1e-6
            await here.end()

    run(scenario)


def test_without_a_note_the_time_is_that_of_reading() -> None:
    before = time.time()
    assert before <= rtc_socket._time_of([]) <= time.time()
    assert before <= rtc_socket._time_of([(socket.SOL_SOCKET, rtc_socket.SO_TIMESTAMPNS, b"short")]) <= time.time()


def test_few_datagrams_are_told_at_once() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here:
            for number in range(60):
                await asyncio.sleep(1.5 / MANY)
                here.say(b"%d" % number)
                await soon()
                assert here.owner.got[-1] == b"%d" % number
                assert here.owner.told[-1] == loop.time()
            await here.end()

    run(scenario)


def test_a_burst_at_the_beginning_is_told_at_once() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here:
            for _ in range(100):
                here.say()
            await soon(150)
            assert len(here.owner.got) == 100
            assert set(here.owner.told) == {loop.time()}
            await here.end()

    run(scenario)


def test_many_are_told_on_the_beat_and_with_those_of_others() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here, stage(loop) as there:
            await asyncio.gather(here.flow(), there.flow())
            await asyncio.sleep(beat().next(loop.time()) - loop.time() + BEAT * 0.1)
            for data in (b"1", b"2"):
                here.say(data)
                there.say(data)
            await soon()
            assert b"1" not in here.owner.got
            expected = beat().next(loop.time())
            await asyncio.sleep(BEAT)
            for one in (here, there):
                assert one.owner.got[-2:] == [b"1", b"2"]
                assert one.owner.told[-2:] == pytest.approx([expected] * 2, abs=1e-6)
                await one.end()

    run(scenario)


def test_without_times_of_the_kernel_all_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc_socket, "SO_TIMESTAMPNS", 9999)

    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here:
            await here.flow()
            loop.now = beat().next(loop.time()) + BEAT * 0.1
            here.say(b"now")
            await soon()
            assert here.owner.got[-1] == b"now"
            assert here.owner.told[-1] == loop.time()
            await here.end()

    run(scenario)


def test_after_silence_a_datagram_is_told_at_once() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here:
            await here.flow()
            await asyncio.sleep(QUIET + 2 * BEAT)
            loop.now = beat().next(loop.time()) + BEAT * 0.5
            here.say(b"again")
            await soon()
            assert here.owner.got[-1] == b"again"
            assert here.owner.told[-1] == loop.time()
            await here.flow()
            here.say(b"later")
            await soon()
            assert here.owner.got[-1] != b"later"
            await here.end()

    run(scenario)


def test_nothing_is_told_after_the_end() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        for flowing in (False, True):
            with stage(loop) as here:
                if flowing:
                    await here.flow()
                count = len(here.owner.got)
                here.say()
                await here.end()
                here.socket.sendto(b"x", here.peer.getsockname())
                await asyncio.sleep(1)
                assert len(here.owner.got) == count
                assert here.owner.errors == []
                with pytest.raises(BlockingIOError):
                    here.peer.recv(10)

    run(scenario)


def test_owner_may_end_it_while_it_is_read() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        for flowing in (False, True):
            with stage(loop) as here:
                if flowing:
                    await here.flow()
                told = here.owner.received

                def last(
                    data: bytes, addr: tuple[Any, ...], came: float, one: Stage = here, told: Any = told
                ) -> None:
                    told(data, addr, came)
                    one.socket.close()

                here.owner.received = last  # type: ignore[method-assign]  # an owner that has enough
                count = len(here.owner.got)
                for _ in range(5):
                    here.say()
                await asyncio.sleep(1)
                assert len(here.owner.got) == count + 1
                assert here.owner.ends == 1

    run(scenario)


def test_much_at_one_time_leaves_turns_to_others() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here:
            here.socket.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**21)
            await here.flow()
            await asyncio.sleep(beat().next(loop.time()) - loop.time() + BEAT * 0.1)
            count = len(here.owner.got)
            for _ in range(AT_ONCE + 10):
                here.say()
            await asyncio.sleep(BEAT)
            assert len(here.owner.got) == count + AT_ONCE
            await asyncio.sleep(BEAT)
            assert len(here.owner.got) == count + AT_ONCE + 10
            await here.end()

    run(scenario)


class Narrow:
    """A socket of a machine that can send nothing for a while."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.full = True
        self.fileno = real.fileno
        self.close = real.close

    def sendto(self, data: bytes, addr: Any) -> None:
        if self.full:
            raise BlockingIOError
        self._real.sendto(data, addr)


def test_what_cannot_be_sent_now_is_sent_in_its_order() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here:
            narrow = here.socket._socket = Narrow(here.socket._socket)  # type: ignore[assignment]
            for number in range(MOST_UNSENT + 2):
                if number == MOST_UNSENT:
                    assert loop.remove_writer(here.socket._socket)
                    loop.add_writer(here.socket._socket, here.socket._send_on)
                here.socket.sendto(b"%d" % number, here.peer.getsockname())
            await soon()
            narrow.full = False
            here.socket.sendto(b"last", here.peer.getsockname())
            await soon()
            got = [here.peer.recv(10) for _ in range(200)]
            assert got == [b"%d" % number for number in range(3, 203)]
            assert not here.socket._unsent
            assert not loop.remove_writer(here.socket._socket)
            await here.end()

    run(scenario)


def test_what_this_machine_does_not_send_is_told_and_the_rest_is_sent() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        with stage(loop) as here:
            here.socket.sendto(bytes(70_000), here.peer.getsockname())
            assert [type(error) for error in here.owner.errors] == [OSError]
            here.socket.sendto(b"x", here.peer.getsockname())
            assert here.peer.recv(10) == b"x"
            await here.end()

    run(scenario)


def test_address_of_another_machine_cannot_be_used() -> None:
    async def scenario(loop: VirtualClockLoop) -> None:
        owner = Owner(loop)
        with pytest.raises(OSError, match="assign"):
            MediaSocket("192.0.2.1", owner)
        assert owner.transport is None

    run(scenario)
