"""Names of the local network in place of addresses."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from qbcall.adapters import rtc_names
from qbcall.adapters.rtc import IceSettings
from qbcall.adapters.rtc_names import MOST_KNOWN, MOST_NAMES, LookUps, Names, ask_system
from qbcall.core.inputs import IceConnected
from qbcall.core.model import Description
from tests.adapters.rtc_room import Endpoint, gone, run

NAME = "0a1b2c3d-0000-4000-8000-00000000000{}.local"
ASKING = IceSettings(addresses=("127.0.0.1",), mdns=True)


def candidate(name: str, rest: str = "typ host generation 0") -> str:
    return f"candidate:1 1 udp 2113937151 {name} 5000 {rest}"


def looked_up(candidates: list[str], answer: Callable[[str], list[str]]) -> tuple[list[str], list[str]]:
    """The names that the system was asked for, and the candidates that were found."""
    asked: list[str] = []

    def ask(name: str) -> tuple[str, ...]:
        asked.append(name)
        return tuple(answer(name))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rtc_names, "LOOK_UPS", LookUps(ask))
        found = offered(candidates)
    return asked, found


def offered(candidates: list[str]) -> list[str]:
    """What one connection finds."""
    found: list[str] = []

    async def take(candidate: str) -> None:
        found.append(candidate)

    async def play() -> None:
        names = Names(take)
        for one in candidates:
            names.note(one)
        names.look_up()
        await gone()
        await names.close()

    run(play)
    return found


@contextmanager
def silence(monkeypatch: pytest.MonkeyPatch, *, patience: float = 0.01) -> Iterator[list[str]]:
    """The system does not answer within the block; gives the names that it was asked for."""
    asked: list[str] = []
    answers = threading.Event()

    def ask(name: str) -> tuple[str, ...]:
        asked.append(name)
        answers.wait(20)
        return ("192.0.2.1",)

    monkeypatch.setattr(rtc_names, "LOOK_UPS", LookUps(ask))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(rtc_names, "PATIENCE", patience)
            yield asked
    finally:
        answers.set()
        for thread in threads():
            thread.join(20)
    assert threads() == []


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "qbcall-name"]


def unknown(name: str) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "not known")


def test_name_becomes_its_addresses() -> None:
    asked, found = looked_up([candidate(NAME.format(1))] * 2, lambda name: ["192.0.2.1", "2001:db8::1"])
    assert asked == [NAME.format(1)]
    assert found == [candidate("192.0.2.1"), candidate("2001:db8::1")]


def test_name_that_the_system_does_not_know_is_left_out() -> None:
    assert looked_up([candidate(NAME.format(1))], unknown) == ([NAME.format(1)], [])


def test_system_gives_each_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells some several times: one per network, say."""
    assert ask_system("127.0.0.1") == ("127.0.0.1",)
    once = socket.getaddrinfo("127.0.0.1", None, type=socket.SOCK_DGRAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: once * 2)
    assert ask_system(NAME.format(1)) == ("127.0.0.1",)


def test_name_is_asked_for_once_whoever_offers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was found or not, and however it is written."""
    asked: list[str] = []

    def ask(name: str) -> tuple[str, ...]:
        asked.append(name)
        if name == NAME.format(2):
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return ("192.0.2.1",)

    monkeypatch.setattr(rtc_names, "LOOK_UPS", LookUps(ask))
    for write in (str, str, str.upper):
        assert offered([candidate(write(NAME.format(number))) for number in (1, 2)]) == [candidate("192.0.2.1")]
    assert sorted(asked) == [NAME.format(1), NAME.format(2)]


def test_few_look_ups_are_under_way_however_many_connections_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They cannot be stopped: connections wait no longer, and their threads do not keep the process."""
    with silence(monkeypatch) as asked:
        for number in range(MOST_NAMES + 3):
            assert offered([candidate(NAME.format(number))]) == []
            assert offered([candidate(NAME.format(number))]) == []
        assert len(threads()) == MOST_NAMES
        assert all(thread.daemon for thread in threads())
    assert offered([candidate(NAME.format(0))]) == [candidate("192.0.2.1")]
    assert sorted(asked) == [NAME.format(number) for number in range(MOST_NAMES)]


def test_connection_that_closes_leaves_the_look_up_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        names = Names(take)
        names.note(candidate(NAME.format(1)))
        names.look_up()
        await asyncio.sleep(0)  # the look-up begins
        assert len(threads()) == 1
        await names.close()

    async def take(found: str) -> None:
        raise AssertionError(found)

    with silence(monkeypatch, patience=20.0) as asked:
        run(play)
    assert offered([candidate(NAME.format(1))]) == [candidate("192.0.2.1")]
    assert len(asked) == 1


def test_names_that_are_remembered_are_limited() -> None:
    asked: list[str] = []

    def ask(name: str) -> tuple[str, ...]:
        asked.append(name)
        return (name,)

    look_ups = LookUps(ask)
    for name in (*map(str, range(MOST_KNOWN + 1)), str(MOST_KNOWN), "0"):
        answer = look_ups.begin(name)
        assert answer is not None
        assert answer.result(20) == (name,)
    assert asked == [*map(str, range(MOST_KNOWN + 1)), "0"]


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

    def ask(name: str) -> tuple[str, ...]:
        asked.append(name)
        return ("127.0.0.1",)

    monkeypatch.setattr(rtc_names, "LOOK_UPS", LookUps(ask))

    async def play() -> None:
        settings = ASKING if asks else IceSettings(addresses=("127.0.0.1",))
        async with Endpoint("a", ice=settings) as a, Endpoint("b") as b:
            offer = await a.offer(b)
            answer = await b.answer(a, Description(re.sub(r"a=candidate:.*\r\n", "", offer.sdp)))
            hidden = re.sub(r"(a=candidate:\S+ 1 udp \d+ )127\.0\.0\.1", rf"\g<1>{NAME.format(1)}", answer.sdp)
            assert hidden != answer.sdp
            a.apply(b, Description(hidden))
            if asks:
                await a.until(IceConnected)
                await b.until(IceConnected)

    run(play)
    assert asked == ([NAME.format(1)] if asks else [])
