"""Calls of this machine with itself: two clients in this process, real media, every frame checked.

The chat server has no part in it, so that a call tells about the path of media and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from qbcall.adapters.memory import MemoryHub
from qbcall.adapters.rtc_addresses import IceServer
from qbcall.client import Client
from qbcall.config import Config
from qbcall.core.events import IncomingCall, PeerStateChanged, Stats
from qbcall.core.model import StatsReport, User
from qbcall.doctor.examination import SERVERS_UNKNOWN, Case
from qbcall.doctor.results import Result, Status
from qbcall.errors import CallFailed, MediaError
from qbcall.media.verify import Verifier

CARDS = 15
"""Readable pictures that must come in each direction: one second."""
SOURCE = "test:size=320x240,fps=15"
INTERVAL = 0.25
"""Seconds between two looks."""
CONNECT_PATIENCE = 12.0
"""Seconds that a path may take: aioice waits 5 s for a TURN server that does not answer."""
MEDIA_PATIENCE = 12.0
"""Seconds that the frames may take."""
LIMIT = CONNECT_PATIENCE + MEDIA_PATIENCE + 5


async def check_direct(case: Case) -> Sequence[Result]:
    """Does media arrive that goes straight?"""
    return [await _judged("call-direct", case, "all", ())]


async def check_relay(case: Case) -> Sequence[Result]:
    """Does media arrive that goes through a TURN server only?"""
    servers = case.ice_servers
    if servers is None:
        return [Result(check="call-relay", status=Status.SKIPPED, detail=SERVERS_UNKNOWN)]
    if not any(url.startswith("turn") for server in servers for url in server.urls):
        return [Result(check="call-relay", status=Status.SKIPPED, detail="there is no TURN server")]
    if not case.relays:
        return [Result(check="call-relay", status=Status.SKIPPED, detail="no TURN server works")]
    return [await _judged("call-relay", case, "relay", servers)]


async def _judged(check: str, case: Case, policy: str, servers: Sequence[IceServer]) -> Result:
    make = partial(Result, check=check)
    try:
        call = await call_oneself(case.config.ice.addresses, policy, servers)
    except (MediaError, CallFailed) as error:
        remedy = (
            "is one of the TURN checks red? The first TURN server is the one that calls use"
            if policy == "relay"
            else "let UDP between the addresses of this machine in (firewall); correct ice.addresses"
        )
        return make(status=Status.FAILURE, detail=str(error), remedy=remedy, error=error)
    path = f"{call.report.local_candidate} to {call.report.remote_candidate}"
    detail = f"media after {call.seconds:.1f} s, {path}; {call.cards} pictures and the tone of each side verified"
    return make(status=Status.PASS, detail=detail, ms=call.seconds * 1000)


@dataclass(frozen=True, slots=True)
class Verified:
    """A call that went well."""

    seconds: float
    """From dialing until it was connected."""
    cards: int
    """Pictures that were read, in the direction with fewer."""
    report: StatsReport
    """A measurement after that."""


async def call_oneself(addresses: Sequence[str], policy: str, servers: Sequence[IceServer]) -> Verified:
    """Call between two clients in this process until the frames of both were verified.

    Raises:
        CallFailed: it could not be connected.
        MediaError: frames are missing, or not what was sent.
    """
    ice = {
        "servers": [_table(server) for server in servers],
        "discover": False,
        "addresses": list(addresses),
        "transport_policy": policy,
    }
    async with _sides(ice) as sides:
        caller, callee = sides
        details: list[str] = []

        @caller.client.on(PeerStateChanged)
        def note(event: PeerStateChanged) -> None:
            details.extend([event.detail] if event.detail else [])

        began = time.monotonic()
        async with caller.client.call(caller.peer, sinks=[caller.verifier.write]) as call:
            try:
                await call.connected(CONNECT_PATIENCE)
                seconds = time.monotonic() - began
                verified = await call.wait_for(
                    Stats, timeout=MEDIA_PATIENCE, where=lambda _: caller.satisfied and callee.satisfied
                )
            except TimeoutError:
                raise MediaError(f"not all frames arrived: {'; '.join(map(str, sides))}") from None
            except CallFailed as error:
                raise CallFailed("; ".join(dict.fromkeys([*details, str(error)]))) from error
    if policy == "relay" and verified.report.local_candidate != "relay":
        raise MediaError(f"media did not go through the relay, but {verified.report.local_candidate}")
    return Verified(seconds, min(caller.cards, callee.cards), verified.report)


def _table(server: IceServer) -> dict[str, object]:
    """As in `[[ice.servers]]`."""
    return {"urls": server.urls, "username": server.username or "", "credential": server.credential or ""}


# -- the two sides ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Side:
    client: Client
    verifier: Verifier
    peer: User

    @property
    def found(self) -> Mapping[str, object]:
        """What came from the other side; empty: nothing."""
        return self.verifier.report(self.peer) or {}

    @property
    def cards(self) -> int:
        """Pictures that could be read."""
        return int(str(self.found.get("cards", 0)))

    @property
    def satisfied(self) -> bool:
        """Whether enough came, and all of it is what was sent."""
        found = self.found
        return self.cards >= CARDS and found["name_ok"] is found["tone_ok"] is True and not found["out_of_order"]

    def __str__(self) -> str:
        kinds = ("video_frames", "cards", "out_of_order", "name", "audio_frames", "tone")
        return ", ".join(f"{kind} {self.found[kind]}" for kind in kinds) if self.found else "nothing"


@asynccontextmanager
async def _sides(ice: Mapping[str, object]) -> AsyncIterator[tuple[_Side, _Side]]:
    hub = MemoryHub()
    users = [User(f"{name}@localhost") for name in ("doctor", "patient")]
    async with AsyncExitStack() as stack:

        async def enter(me: User, peer: User) -> _Side:
            config = Config.of(
                account={"jid": me},
                ice=ice,
                call={"stats_interval": INTERVAL, "connect_timeout": CONNECT_PATIENCE},
                media={"source": SOURCE, "sinks": ["null"]},
            )
            client = await stack.enter_async_context(Client(config, link=hub.link))
            return _Side(client, Verifier(), peer)

        caller, callee = await enter(users[0], users[1]), await enter(users[1], users[0])

        @callee.client.on(IncomingCall)
        async def answer(event: IncomingCall) -> None:
            await callee.client.calls[event.call].accept(sinks=[callee.verifier.write])

        yield caller, callee
