"""How soon both see and hear each other after the accept, at a round trip of 100 ms of media and of the chat.

Two clients in this process. The network is made slow in it, too: at the sockets of one side, and between the links.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from benchmarks.figures import Figure, milliseconds
from qbcall import Client, Config, IncomingCall, MemoryHub
from qbcall.adapters.memory import MemoryLink
from qbcall.core.model import CallMedia, User
from qbcall.core.signals import EarlyAnswer, Signal
from qbcall.media.frames import Frame

ONE_WAY = 0.05
RING = 1.5
"""Seconds until the callee accepts: an early connection takes half a second here."""
PATIENCE = 10.0
KINDS = ("audio", "video")


class SlowHub(MemoryHub):
    """A chat whose signals take their time."""

    def __init__(self) -> None:
        super().__init__()
        self.early = False
        """An early connection was answered."""

    def carry(self, sender: MemoryLink, to: User, signal: Signal) -> None:
        """See `MemoryHub`."""
        self.early |= isinstance(signal, EarlyAnswer)
        asyncio.get_running_loop().call_later(ONE_WAY, super().carry, sender, to, signal)


class Seen:
    """When the first frame of each kind came."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.all = asyncio.Event()

    def take(self, user: User, frame: Frame) -> None:
        """One more frame."""
        kind = "video" if hasattr(frame, "planes") and hasattr(frame, "width") else "audio"
        self.at.setdefault(kind, perf_counter())
        if len(self.at) == len(KINDS):
            self.all.set()


def config(name: str, *, preconnect: bool, slow: bool) -> Config:
    """Of one side; the other one's packets take their time as well."""
    return Config.of(
        account={"jid": f"{name}@example.org"},
        call={"preconnect": "trusted" if preconnect else "off", "allow": ["jid:ann@example.org"]},
        ice={"addresses": ["127.0.0.1"]} | ({"impair": f"delay={ONE_WAY * 1e3:g}ms"} if slow else {}),
        media={"source": "test:size=320x240,fps=30", "sinks": ["null"]},
    )


async def once(*, preconnect: bool) -> dict[str, float]:
    """Seconds from the accept to the first frame of each kind, at the side that waits longer."""
    hub = SlowHub()
    here, there = Seen(), Seen()
    async with (
        Client(config("ann", preconnect=False, slow=True), link=hub.link) as ann,
        Client(config("bob", preconnect=preconnect, slow=False), link=hub.link) as bob,
    ):
        rings = asyncio.ensure_future(bob.wait_for(IncomingCall, timeout=PATIENCE))
        async with ann.call("bob@example.org", media=CallMedia.VIDEO, sinks=[here.take]):
            call = bob.calls[(await rings).call]
            await asyncio.sleep(RING)
            assert hub.early is preconnect, "an early connection is made if it is wanted"
            accepted = perf_counter()
            await call.accept(sinks=[there.take])
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(here.all.wait(), there.all.wait())
    return {kind: max(here.at[kind], there.at[kind]) - accepted for kind in KINDS}


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    found: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for _ in range(1 if smoke else 12):
        for preconnect, some in found.items():
            some.append(await once(preconnect=preconnect))
    names = {
        True: "accept to first {} at both, 100 ms round trip, preconnect (to reach: at most 150 ms)",
        False: "the same in the usual order, first {} (to reach: at most 300 ms)",
    }
    return [
        milliseconds(names[preconnect].format(kind), [one[kind] for one in some])
        for preconnect, some in found.items()
        for kind in KINDS
    ]
