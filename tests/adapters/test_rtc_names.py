"""Names of the local network in place of addresses."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from qbcall.adapters.rtc import IceSettings
from qbcall.adapters.rtc_names import MOST_NAMES, Names
from qbcall.core.inputs import IceConnected
from qbcall.core.model import Description
from tests.adapters.rtc_room import Endpoint, run

NAME = "0a1b2c3d-0000-4000-8000-00000000000{}.local"
ASKING = IceSettings(addresses=("127.0.0.1",), mdns=True)


def candidate(name: str, rest: str = "typ host generation 0") -> str:
    return f"candidate:1 1 udp 2113937151 {name} 5000 {rest}"


def looked_up(candidates: list[str], answer: Callable[[str], list[str]]) -> tuple[list[str], list[str]]:
    """The names that the system was asked for, and the candidates that were found."""
    asked: list[str] = []
    found: list[str] = []

    async def getaddrinfo(name: str, port: object, **more: object) -> list[tuple[Any, ...]]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", (address, 0)) for address in answer(name)]

    async def take(candidate: str) -> None:
        found.append(candidate)

    async def play() -> None:
        asyncio.get_running_loop().getaddrinfo = getaddrinfo  # type: ignore[method-assign,assignment]
        names = Names(take)
        for one in candidates:
            names.note(one)
        names.look_up()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        await names.close()

    run(play)
    return asked, found


def unknown(name: str) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "not known")


def test_name_becomes_its_addresses() -> None:
    asked, found = looked_up([candidate(NAME.format(1))] * 2, lambda name: ["192.0.2.1", "192.0.2.1", "2001:db8::1"])
    assert asked == [NAME.format(1)]
    assert found == [candidate("192.0.2.1"), candidate("2001:db8::1")]


def test_name_that_the_system_does_not_know_is_left_out() -> None:
    assert looked_up([candidate(NAME.format(1))], unknown) == ([NAME.format(1)], [])


def test_peer_has_few_names_looked_up() -> None:
    asked, _ = looked_up([candidate(NAME.format(number)) for number in range(10)], unknown)
    assert len(asked) == MOST_NAMES


@pytest.mark.parametrize(
    "text",
    [
        candidate("example.org"),
        candidate("printer.local"),
        candidate("192.0.2.1"),
        candidate(NAME.format(1), "typ srflx raddr 0.0.0.0 rport 0"),
        candidate(NAME.format(1)).replace(" 1 udp", " 1 tcp"),
        "candidate:",
        "",
    ],
)
def test_nothing_else_is_looked_up(text: str) -> None:
    """No server's name, no device's, and nothing that is no address of a browser's own."""
    assert looked_up([text], unknown) == ([], [])


@pytest.mark.parametrize("asks", [True, False])
def test_peer_that_gives_a_name_is_found_by_it(asks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where names are looked up: it could not find this side, which tells it no address."""
    asked: list[str] = []

    async def getaddrinfo(name: str, port: object, **more: object) -> list[tuple[Any, ...]]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", ("127.0.0.1", 0))]

    async def play() -> None:
        settings = ASKING if asks else IceSettings(addresses=("127.0.0.1",))
        async with Endpoint("a", ice=settings) as a, Endpoint("b") as b:
            offer = await a.offer(b)
            answer = await b.answer(a, Description(re.sub(r"a=candidate:.*\r\n", "", offer.sdp)))
            asyncio.get_running_loop().getaddrinfo = getaddrinfo  # type: ignore[method-assign,assignment]
            hidden = re.sub(r"(a=candidate:\S+ 1 udp \d+ )127\.0\.0\.1", rf"\g<1>{NAME.format(1)}", answer.sdp)
            assert hidden != answer.sdp
            a.apply(b, Description(hidden))
            if asks:
                await a.until(IceConnected)
                await b.until(IceConnected)

    run(play)
    assert asked == ([NAME.format(1)] if asks else [])
