"""One participant in a process of its own; it tells on its output when it heard and saw what, of whom.

It logs in as its argument says, in JSON: see `Role`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import dataclass, field
from time import monotonic

from qbcall import Call, Client, Event, IncomingCall, Stats, TrackAdded
from qbcall.config import Config

SOURCE = "test:size=320x240,fps=15"


@dataclass(frozen=True, slots=True)
class Role:
    """What a participant is to do."""

    user: str
    """Bare JID."""
    password: str
    server: str
    """`HOST:PORT`."""
    ca_file: str
    others: list[str] = field(default_factory=list)
    """Who is called; none: it waits to be called."""
    call: dict[str, object] = field(default_factory=dict)
    """See `qbcall.config.CallConfig`."""
    ice: dict[str, object] = field(default_factory=dict)
    """See `qbcall.config.IceConfig`."""


def tell(what: str, of: str = "") -> None:
    """Say what happened, of whom, and when; all processes of a machine have this clock in common."""
    print(json.dumps([monotonic(), f"{what} {of.partition('@')[0]}".strip()]), flush=True)


async def watch(call: Call, event: TrackAdded) -> None:
    """Tell each frame."""
    peer = call.peer(event.peer)
    incoming = peer.video if event.kind.value == "video" else peer.audio
    if incoming is not None:
        async for _ in incoming:
            tell(event.kind.value, event.peer)


async def play(role: Role) -> None:
    """Call the others, or if there is none wait to be called, and go on until the process is told to end."""
    config = Config.of(
        account={"jid": role.user, "password": role.password, "server": role.server, "ca_file": role.ca_file},
        call=role.call,
        ice=role.ice,
        media={"source": SOURCE, "sinks": ["null"]},
    )
    async with Client(config) as client:

        @client.on(Event)
        def told(event: Event) -> None:
            tell(type(event).__name__, getattr(event, "peer", ""))

        @client.on(Stats)
        def measured(event: Stats) -> None:
            tell(f"{event.report.local_candidate}-{event.report.remote_candidate}", event.peer)

        watching = set()

        @client.on(TrackAdded)
        def added(event: TrackAdded) -> None:
            watching.add(asyncio.ensure_future(watch(client.calls[event.call], event)))

        @client.on(IncomingCall)
        async def rung(event: IncomingCall) -> None:
            await client.calls[event.call].accept()

        end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
        tell("ready")
        call = await client.call(role.others) if role.others else None
        await end.wait()
        if call is not None:
            await call.hang_up()


if __name__ == "__main__":
    asyncio.run(play(Role(**json.loads(sys.argv[1]))))
