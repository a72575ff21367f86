"""The event loop for calls: media waits for more of it, nothing else waits for media."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
from collections.abc import Iterator

import pytest

from qbcall import loop as calls
from qbcall.adapters.rtc_path import PathProtocol
from qbcall.core.model import MediaKind
from qbcall.loop import CallLoop, Gathering, gather
from tests.adapters.rtc_room import Endpoint, join

LONG = 10_000.0
"""Seconds of a slot: whoever waits for its end fails by the time limit of the test."""


class Pair:
    """A socket that is waited for, and the one that sends to it."""

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.here.setblocking(False)

    @property
    def number(self) -> int:
        return self.here.fileno()

    def say(self) -> None:
        self.there.send(b"x")

    def close(self) -> None:
        self.here.close()
        self.there.close()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [Pair() for _ in range(3)]
    yield made
    for pair in made:
        pair.close()


@pytest.fixture
def selector() -> Iterator[Gathering]:
    made = Gathering()
    yield made
    made.close()


def ready(selector: Gathering, timeout: float | None = None) -> set[int]:
    return {key.fd for key, _ in selector.select(timeout)}


def watch(selector: Gathering, *some: Pair) -> None:
    for pair in some:
        selector.register(pair.here, selectors.EVENT_READ)


def test_media_of_one_slot_is_dealt_with_together(
    selector: Gathering, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chat ends the slot here; what came meanwhile from the other peer is told with it."""
    monkeypatch.setattr(calls, "SLOT", LONG)
    first, second, chat = pairs
    watch(selector, *pairs)
    for pair in (first, second):
        selector.gather(pair.number)
    first.say()

    def say() -> None:
        second.say()
        chat.say()

    others = threading.Timer(0.05, say)
    others.start()
    assert ready(selector) == {pair.number for pair in pairs}
    others.join()


def test_what_is_no_media_is_dealt_with_at_once(
    selector: Gathering, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "SLOT", LONG)
    media, chat, _ = pairs
    watch(selector, media, chat)
    selector.gather(media.number)
    chat.say()
    assert ready(selector) == {chat.number}
    media.say()
    assert ready(selector) == {chat.number, media.number}


@pytest.mark.parametrize("timeout", [0.0, 0.01])
def test_timers_do_not_wait_for_media(
    timeout: float, selector: Gathering, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "SLOT", LONG)
    media, *_ = pairs
    watch(selector, media)
    selector.gather(media.number)
    assert ready(selector, timeout) == set()
    media.say()
    assert ready(selector, timeout) == {media.number}


def test_slot_ends_by_itself(selector: Gathering, pairs: list[Pair]) -> None:
    media, *_ = pairs
    watch(selector, media)
    selector.gather(media.number)
    media.say()
    assert ready(selector) == {media.number}


def test_socket_that_gets_a_number_anew_is_no_media(
    selector: Gathering, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "SLOT", LONG)
    pair, *_ = pairs
    watch(selector, pair)
    selector.gather(pair.number)
    selector.gather(pair.number)
    selector.unregister(pair.here)
    watch(selector, pair)
    pair.say()
    assert ready(selector) == {pair.number}


def test_sockets_are_forgotten_in_whatever_order_they_are_closed(selector: Gathering, pairs: list[Pair]) -> None:
    for pair in pairs:
        watch(selector, pair)
    first, second, third = pairs
    selector.gather(first.number)
    selector.gather(12_345)
    selector.modify(second.here, selectors.EVENT_READ | selectors.EVENT_WRITE)
    assert ready(selector) == {second.number}
    for pair in (first, second):
        selector.unregister(pair.here)
    third.say()
    assert ready(selector) == {third.number}
    third.here.close()
    selector.unregister(third.here)
    assert ready(selector, 0) == set()


def test_program_gets_its_result_or_error() -> None:
    async def main() -> str:
        assert isinstance(asyncio.get_running_loop(), CallLoop)
        return "done"

    async def fail() -> None:
        raise ValueError("no")

    assert calls.run(main()) == "done"
    with pytest.raises(ValueError, match="no"):
        calls.run(fail())


def test_other_loops_deal_with_media_at_once() -> None:
    async def main() -> None:
        gather(0)

    asyncio.run(main())


def test_sockets_of_a_call_are_gathered_once_media_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before: a handshake is not to wait."""
    gathered: list[int] = []
    before: list[int] = []
    real = CallLoop.gather
    take = PathProtocol.datagram_received

    def note(loop: CallLoop, descriptor: int) -> None:
        gathered.append(descriptor)
        real(loop, descriptor)

    def received(protocol: PathProtocol, data: bytes | str, addr: tuple[object, ...]) -> None:
        before.append(len(gathered))
        take(protocol, data, addr)

    monkeypatch.setattr(CallLoop, "gather", note)
    monkeypatch.setattr(PathProtocol, "datagram_received", received)

    async def main() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            assert before, "checks and handshake"
            assert not any(before)
            for kind in MediaKind:
                await asyncio.gather(a.frame(b, kind, more=20), b.frame(a, kind, more=20))
            assert len(gathered) == len(set(gathered)) == 2

    calls.run(main())
