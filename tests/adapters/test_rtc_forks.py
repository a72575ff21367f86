"""A device that accepted a moment too late does not disturb the one whose answer was taken."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aioice import Candidate, Connection
from aioice.ice import CandidatePair
from OpenSSL import SSL

from qbcall.adapters.rtc_path import MOST_WAITING, Path
from qbcall.adapters.rtc_search import Search
from qbcall.core.inputs import IceConnected
from qbcall.core.model import Description, MediaKind
from tests.adapters.rtc_room import LOOPBACK, Endpoint, run


def dtls_hello() -> bytes:
    """What a device says first when its checks were answered (RFC 6347, section 4.2)."""
    one = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    one.set_connect_state()
    with suppress(SSL.WantReadError):
        one.do_handshake()
    return one.bio_read(2048)


def path(*, ice_controlling: bool) -> Path:
    """One that tells nobody what it finds."""
    return Search(LOOPBACK, Path, lambda path, candidate: None, lambda: None).path(ice_controlling=ice_controlling)


class OtherDevice:
    """One that has the offer and checks the path, as a browser does that accepted."""

    def __init__(self, fragment: str, password: str, sdp: str) -> None:
        self._ice = path(ice_controlling=False)
        self._ice.remote_username, self._ice.remote_password = fragment, password
        self._candidates = [Candidate.from_sdp(one) for one in re.findall("^a=candidate:(.*)$", sdp, re.MULTILINE)]
        self._connecting: asyncio.Future[None] | None = None

    @classmethod
    def of(cls, offer: Description) -> OtherDevice:
        """One that was called."""
        ice = dict(re.findall(r"^a=ice-(ufrag|pwd):(\S+)", offer.sdp, re.MULTILINE))
        return cls(ice["ufrag"], ice["pwd"], offer.sdp)

    async def __aenter__(self) -> OtherDevice:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ice.close()
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
            self._connecting.exception()

    async def check(self) -> None:
        """Until this side's checks were answered: the path carries something."""
        await self._ice.gather_candidates()
        for one in [*self._candidates, None]:
            await self._ice.add_remote_candidate(one)
        self._connecting = asyncio.ensure_future(self._ice.connect())
        while not self._answered():  # noqa: ASYNC110 - aioice tells nobody
            await asyncio.sleep(0)

    async def answer(self, caller: Connection) -> None:
        """Both get through."""
        caller.remote_username, caller.remote_password = self._ice.local_username, self._ice.local_password
        for one in [*self._ice.local_candidates, None]:
            await caller.add_remote_candidate(one)
        await caller.connect()

    async def say(self, data: bytes) -> None:
        """From the socket that checked."""
        pair = self._answered()[0]
        await pair.protocol.send_data(data, pair.remote_addr)

    def _answered(self) -> list[CandidatePair]:
        return [pair for pair in self._ice._check_list if pair.state is CandidatePair.State.SUCCEEDED]


@asynccontextmanager
async def ringing() -> AsyncIterator[tuple[Endpoint, Endpoint, Description, OtherDevice]]:
    """Who calls, one device that will be the one, and another whose checks were answered."""
    async with Endpoint("a") as a, Endpoint("b") as b:
        offer = await a.offer(b)
        async with OtherDevice.of(offer) as other:
            await other.check()
            yield a, b, offer, other


@asynccontextmanager
async def checked() -> AsyncIterator[tuple[Path, OtherDevice]]:
    """The connection of a caller that has no answer yet, and a device whose checks it answered."""
    caller = path(ice_controlling=True)
    await caller.gather_candidates()
    sdp = "\r\n".join(f"a=candidate:{one.to_sdp()}" for one in caller.local_candidates)
    async with OtherDevice(caller.local_username, caller.local_password, sdp) as device:
        await device.check()
        yield caller, device
    await caller.close()


def heard(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[bytes]:
    """What comes to a connection, whoever sent it."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    take = Path.take

    def noted(self: Path, sender: tuple[str, int], data: bytes, component: int, came: float) -> None:
        take(self, sender, data, component, came)
        queue.put_nowait(data)

    monkeypatch.setattr(Path, "take", noted)
    return queue


async def talk(a: Endpoint, b: Endpoint) -> None:
    """Wait for picture and sound on both sides."""
    await a.until(IceConnected, b)
    for one, peer in ((a, b), (b, a)):
        await one.frame(peer, MediaKind.AUDIO)
        await one.frame(peer, MediaKind.VIDEO)


@pytest.mark.parametrize("hellos", [1, 2 * MOST_WAITING])
def test_hello_of_the_other_device_before_the_answer_is_not_heard(
    hellos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        queue = heard(monkeypatch)
        async with ringing() as (a, b, offer, other):
            for _ in range(hellos):
                await other.say(hello := dtls_hello())
                while await queue.get() != hello:
                    """Others may come between."""
            a.apply(b, await b.answer(a, offer))
            await talk(a, b)

    run(play)


def test_hello_of_another_device_after_the_answer_is_not_heard() -> None:
    async def play() -> None:
        async with ringing() as (a, b, offer, other):
            a.apply(b, await b.answer(a, offer))
            for _ in range(20):
                await other.say(dtls_hello())
            await talk(a, b)

    run(play)


def test_answer_without_a_name_fails_whatever_came_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A description may lack `ice-ufrag`."""

    async def play() -> None:
        queue = heard(monkeypatch)
        async with checked() as (caller, device):
            await device.say(dtls_hello())
            await queue.get()
            with pytest.raises(ConnectionError, match="missing"):
                await caller.connect()

    run(play)


def test_hello_of_the_right_device_before_its_answer_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser says hello as soon as its checks were answered, and its answer takes a longer way."""

    async def play() -> None:
        queue = heard(monkeypatch)
        async with checked() as (caller, device):
            await device.say(hello := dtls_hello())
            assert await queue.get() == hello
            await device.answer(caller)
            assert await caller.recv() == hello

    run(play)
