"""Calls between clients of one process, without a chat server; media takes the loopback interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from qbcall import Call, CallMedia, Client, Config, IncomingCall, MediaKind, MemoryHub, PeerConnected
from qbcall.core.model import User
from qbcall.media.frames import Frame

NAMES = ("ann", "bob", "cat", "dan")
PATIENCE = 60.0
"""Seconds for one thing to happen, on a machine that is busy."""
Picture = tuple[int, int, int]
"""Width, height, and pictures per second."""
Take = Callable[[str, str, Frame], None]
"""Takes a frame: who received it, of whom, and what."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One participant."""

    name: str
    client: Client
    call: Call

    def decoded(self, kind: MediaKind) -> dict[str, int]:
        """Frames of each other participant that were given to the application, as the statistics say."""
        reports = {local(user): report.received[kind] for user, report in self.call.stats().items()}
        return {user: (some.frames_decoded or 0) + (some.frames_concealed or 0) for user, some in reports.items()}


def local(user: str) -> str:
    """The name of a user."""
    return user.partition("@")[0]


def config(name: str, picture: Picture, impair: str = "") -> Config:
    """Of one participant."""
    width, height, fps = picture
    return Config.of(
        account={"jid": f"{name}@example.org"},
        ice={"addresses": ["127.0.0.1"], "impair": impair},
        media={"source": "test", "sinks": ["null"], "width": width, "height": height, "fps": fps},
    )


@asynccontextmanager
async def gathering(
    count: int,
    picture: Picture,
    take: Take,
    *,
    impair: str = "",
    sources: Mapping[str, object] | None = None,
    prepare: Callable[[str, Client], None] = lambda name, client: None,
) -> AsyncIterator[list[Guest]]:
    """So many participants, each connected to all others.

    Args:
        count: how many.
        picture: what each sends.
        take: is given what each receives.
        impair: the network of the first one.
        sources: what is sent instead of the test source, by name.
        prepare: is told of each client before anything happens.
    """
    hub, sources = MemoryHub(), sources or {}
    async with AsyncExitStack() as stack:
        clients: list[Client] = []
        for name in NAMES[:count]:
            client = Client(config(name, picture, "" if clients else impair), link=hub.link)
            clients.append(await stack.enter_async_context(client))
            prepare(name, client)
        sinks = {name: [_sink(take, name)] for name in NAMES}
        first, *others = clients
        rings = [asyncio.ensure_future(one.wait_for(IncomingCall, timeout=PATIENCE)) for one in others]
        await asyncio.sleep(0)
        dialing = first.call(
            [one.user for one in others],
            media=CallMedia.VIDEO,
            source=sources.get(NAMES[0]),
            sinks=sinks[NAMES[0]],
        )
        calls = [await stack.enter_async_context(dialing)]
        for name, client, ring in zip(NAMES[1:], others, rings, strict=False):
            calls.append(client.calls[(await ring).call])
            await calls[-1].accept(source=sources.get(name), sinks=sinks[name])
        for call in calls:
            for user in call.peers:
                await _connected(call, user)
        yield [Guest(*one) for one in zip(NAMES, clients, calls, strict=False)]


def _sink(take: Take, receiver: str) -> Callable[[User, Frame], None]:
    return lambda sender, frame: take(receiver, local(sender), frame)


async def _connected(call: Call, user: User) -> None:
    await call.wait_for(PeerConnected, timeout=PATIENCE, where=lambda event: event.peer == user)
