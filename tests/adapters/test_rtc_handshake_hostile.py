"""Whatever is put into a check as a part of a handshake: it is used once, from the right peer only, or not at all."""

from __future__ import annotations

import asyncio
import random
import runpy
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from aioice import Candidate, stun
from aioice.ice import Connection, StunProtocol
from aiortc import RTCDtlsTransport

from qbcall.adapters import rtc_carrying, rtc_concurrent, rtc_false_start, rtc_handshake
from qbcall.adapters.rtc_carrying import CarryingPath
from qbcall.adapters.rtc_handshake import LONGEST_CHECK, LONGEST_DATAGRAM, MOST_CHECKS, MOST_TAKEN, NAME, TYPE
from qbcall.adapters.rtc_option import OPTION, saying, says
from qbcall.adapters.rtc_path import LAST_OF_STUN
from qbcall.adapters.rtc_search import Search
from tests.adapters.rtc_room import LOOPBACK
from tests.media import virtual_clock
from tests.media.virtual_clock import VirtualClockLoop

HELLO = b"\x16" + b"hello" * 30
SENDER = ("127.0.0.1", 50000)
PASSWORD = "p" * 22


@asynccontextmanager
async def listening(*, agreed: bool = True, answered: bool = True, others: int = 1) -> AsyncIterator[CarryingPath]:
    """A path that looks for its peer, called `peer`; `others` are addresses where nobody is."""
    search = Search(LOOPBACK, CarryingPath, lambda path, candidate: None, lambda: None)
    search.carries = agreed
    path = search.path(ice_controlling=False)
    assert isinstance(path, CarryingPath)
    await path.gather_candidates()
    for number in range(others):
        text = f"{number} 1 udp 2130706431 127.0.0.1 {40000 + number} typ host"
        await path.add_remote_candidate(Candidate.from_sdp(text))
    connecting = begin(path) if answered else None
    await asyncio.sleep(0)
    try:
        yield path
    finally:
        await path.close()
        if connecting is not None:
            await asyncio.wait([connecting])
            connecting.exception()


def begin(path: CarryingPath) -> asyncio.Future[None]:
    """The answer is there."""
    path.remote_username, path.remote_password = "peer", PASSWORD
    return asyncio.ensure_future(path.connect())


def check(path: CarryingPath, part: bytes, *, name: str = "peer", key: str | None = None) -> bytes:
    """As the peer makes it."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes |= {
        "USERNAME": f"{path.local_username}:{name}",
        "PRIORITY": 1,
        "ICE-CONTROLLING": 1,
        NAME: part,
    }
    message.add_message_integrity((key or path.local_password).encode())
    return bytes(message)


def arrive(path: CarryingPath, data: bytes) -> None:
    """At its only socket."""
    (protocol,) = path._protocols
    protocol.datagram_received(data, SENDER)


def waiting(path: CarryingPath) -> list[bytes]:
    """What DTLS would receive."""
    found = []
    while not path._queue.empty():
        received = path._queue.get_nowait()
        assert received is not None
        found.append(received[0])
    return found


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is sent, nowhere."""
    found: list[bytes] = []
    monkeypatch.setattr(StunProtocol, "send_stun", lambda _, message, addr: found.append(bytes(message)))
    return found


@pytest.mark.usefixtures("sent")
def test_part_of_a_handshake_is_taken_once() -> None:
    async def scene(loop: VirtualClockLoop) -> None:
        async with listening() as path:
            receiving = asyncio.ensure_future(path.recv())
            for _ in range(3):
                arrive(path, check(path, HELLO))
            assert await receiving == HELLO
            assert waiting(path) == []

    virtual_clock.run(scene)


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize(
    "part",
    [b"", b"\x16" * (LONGEST_DATAGRAM + 1), b"\x16" * 60_000, b"\x80 media", b"\x00\x01 stun", b"\x13", b"\x40"],
)
def test_what_is_no_part_of_a_handshake_is_not_taken(part: bytes) -> None:
    async def scene(loop: VirtualClockLoop) -> None:
        async with listening() as path:
            arrive(path, check(path, part))
            assert waiting(path) == []
            assert len(path._check_list) == 2, "the check itself is as good as any"

    virtual_clock.run(scene)


@pytest.mark.usefixtures("sent")
def test_flood_is_bounded() -> None:
    async def scene(loop: VirtualClockLoop) -> None:
        async with listening() as path:
            for number in range(1000):
                arrive(path, check(path, HELLO + number.to_bytes(2, "big")))
            assert len(waiting(path)) == len(path._handshake._heard) == MOST_TAKEN

    virtual_clock.run(scene)


@pytest.mark.usefixtures("sent")
def test_part_in_a_check_that_is_not_authentic_is_not_taken() -> None:
    async def scene(loop: VirtualClockLoop) -> None:
        async with listening() as path:
            arrive(path, check(path, HELLO, key="x" * 22))
            arrive(path, check(path, HELLO, name="other"))
            behind = check(path, b"")[:-8]  # without its fingerprint
            behind += TYPE.to_bytes(2, "big") + len(HELLO).to_bytes(2, "big") + HELLO + bytes(-len(HELLO) % 4)
            arrive(path, behind[:2] + (len(behind) - 20).to_bytes(2, "big") + behind[4:])
            assert waiting(path) == []

    virtual_clock.run(scene)


@pytest.mark.usefixtures("sent")
def test_before_the_answer_it_waits_and_only_that_of_the_right_device_is_taken() -> None:
    async def scene(loop: VirtualClockLoop) -> None:
        async with listening(answered=False) as path:
            arrive(path, check(path, HELLO + b"of another", name="other"))
            arrive(path, check(path, HELLO))
            assert waiting(path) == []
            connecting = begin(path)
            assert await path.recv() == HELLO
            assert waiting(path) == []
        await asyncio.wait([connecting])
        assert isinstance(connecting.exception(), ConnectionError)

    virtual_clock.run(scene)


def test_side_that_did_not_agree_takes_and_says_nothing(sent: list[bytes]) -> None:
    async def scene(loop: VirtualClockLoop) -> None:
        async with listening(agreed=False) as path:
            arrive(path, check(path, HELLO))
            assert waiting(path) == []
            for use in (path.recv(), path.send(HELLO)):
                with pytest.raises(ConnectionError):
                    await use
            await asyncio.sleep(1)
        assert TYPE.to_bytes(2, "big") not in b"".join(sent)

    virtual_clock.run(scene)


def test_hello_goes_with_a_limited_number_of_checks_and_with_nothing_else(sent: list[bytes]) -> None:
    """However many addresses the peer names."""

    async def scene(loop: VirtualClockLoop) -> None:
        async with listening(others=40) as path:
            await path.send(HELLO)
            await asyncio.sleep(100)
        assert {data[:1] <= LAST_OF_STUN for data in sent} == {True}
        assert len({data for data in sent if HELLO in data}) == MOST_CHECKS
        assert max(map(len, sent)) <= LONGEST_CHECK

    virtual_clock.run(scene)


@pytest.mark.parametrize("size", [LONGEST_DATAGRAM + 1, 65_000])
def test_flight_that_is_too_long_waits_for_a_pair(sent: list[bytes], size: int) -> None:
    async def scene(loop: VirtualClockLoop) -> None:
        async with listening(others=1) as path:
            await path.send(b"\x16" * size)
            await asyncio.sleep(10)
        assert sent
        assert max(map(len, sent)) <= 200

    virtual_clock.run(scene)


def test_nothing_raises_whatever_an_authentic_check_carries(
    sent: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    some = random.Random(5)

    async def scene(loop: VirtualClockLoop) -> None:
        troubles: list[object] = []
        loop.set_exception_handler(lambda _, context: troubles.append(context))
        async with listening() as path:
            for _ in range(500):
                arrive(path, check(path, some.randbytes(some.randrange(1600))))
            assert all(20 <= one[0] < 64 and len(one) <= LONGEST_DATAGRAM for one in waiting(path))
        assert troubles == []

    virtual_clock.run(scene)
    assert [record for record in caplog.records if "makes no sense" in record.message] == []


@pytest.mark.parametrize(
    ("options", "can"),
    [
        (OPTION, True),
        (f"{OPTION}\r\na=ice-lite", False),
        (f"trickle {OPTION}", True),
        (f"trickle {OPTION}x", False),
        ("ice2 trickle", False),
        ("", False),
    ],
)
def test_option_is_read_among_others(options: str, can: bool) -> None:
    assert says(f"v=0\r\na=ice-options:{options}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n") is can


def test_option_stands_before_the_first_section() -> None:
    assert (
        saying("v=0\r\nm=audio 9\r\nm=video 9\r\n") == f"v=0\r\na=ice-options:{OPTION}\r\nm=audio 9\r\nm=video 9\r\n"
    )


# -- a library that changes ------------------------------------------------------------------------------------------


@contextmanager
def changed(monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]) -> Iterator[None]:
    """For a while."""
    with monkeypatch.context() as patch:
        change(patch)
        yield


def other() -> None:
    """Does something else."""


@pytest.mark.parametrize(
    ("module", "change"),
    [
        (rtc_handshake, lambda patch: patch.setitem(stun.ATTRIBUTES_BY_TYPE, TYPE, (TYPE, "THEIRS", None, None))),
        (rtc_handshake, lambda patch: patch.setitem(stun.ATTRIBUTES_BY_NAME, "DATA", (0x0013, "DATA"))),
        (rtc_handshake, lambda patch: patch.setattr(stun, "parse_message", other)),
        (rtc_handshake, lambda patch: patch.setattr(stun, "INTEGRITY_LENGTH", 36)),
        (rtc_carrying, lambda patch: patch.setattr(Connection, "check_start", other)),
        (rtc_carrying, lambda patch: patch.setattr(Connection, "recv", other)),
        (rtc_concurrent, lambda patch: patch.setattr(RTCDtlsTransport, "start", other)),
        (rtc_false_start, lambda patch: patch.setattr(RTCDtlsTransport, "_recv_next", other)),
        (rtc_false_start, lambda patch: patch.setattr(RTCDtlsTransport, "_do_handshake", other)),
    ],
)
def test_library_that_is_otherwise_is_noticed(
    monkeypatch: pytest.MonkeyPatch, module: object, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with changed(monkeypatch, change), pytest.raises(ImportError, match="otherwise than in"):
        runpy.run_path(str(module.__file__))  # type: ignore[attr-defined]
