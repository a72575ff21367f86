"""One participant in a process and a network of its own; it tells on its output when it heard and saw what.

The chat goes over a UNIX socket, which no network namespace separates: `Exchange` passes signals on in the starting
process. Both ends are this program, so that values are pickled.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from qbcall import Call, Client, Event, IncomingCall, TrackAdded
from qbcall.adapters.ports import ChatLink
from qbcall.config import Config
from qbcall.core.inputs import Arrived, Confirmed, LinkUp, Post
from qbcall.core.model import CallHead, Device, User
from qbcall.core.signals import Signal

SOURCE = "test:size=320x240,fps=15"
LENGTH = 4


def user(name: str) -> str:
    """The full name of a participant."""
    return f"{name}@example.org"


async def read(reader: asyncio.StreamReader) -> Any:
    """The next value."""
    size = int.from_bytes(await reader.readexactly(LENGTH), "big")
    return pickle.loads(await reader.readexactly(size))


def write(writer: asyncio.StreamWriter, value: object) -> None:
    """One more value."""
    data = pickle.dumps(value)
    writer.write(len(data).to_bytes(LENGTH, "big") + data)


class Exchange:
    """Passes signals on between the processes."""

    def __init__(self) -> None:
        self._writers: dict[str, asyncio.StreamWriter] = {}

    @asynccontextmanager
    async def open(self, path: Path) -> AsyncIterator[None]:
        """At a UNIX socket."""
        server = await asyncio.start_unix_server(self._serve, path)
        try:
            yield
        finally:
            server.close()
            for writer in self._writers.values():
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self._writers[await read(reader)] = writer
            while True:
                to, arrived = await read(reader)
                if to in self._writers:
                    write(self._writers[to], arrived)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class ExchangeLink:
    """The chat link of one process; satisfies `ports.ChatLink`."""

    def __init__(self, path: Path, me: User, post: Post) -> None:
        self._path, self._me, self._post = path, me, post
        self._device = Device(f"{me}/1")
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    def dial(self) -> None:
        """See `ports.ChatLink`."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def drop(self) -> None:
        """See `ports.ChatLink`."""
        if self._task is not None:
            self._task.cancel()

    def send(self, to: User, head: CallHead, signal: Signal, ticket: int | None = None) -> None:
        """See `ports.ChatLink`."""
        assert self._writer is not None, "it is online"
        write(self._writer, (to, Arrived(sender=self._me, device=self._device, signal=signal)))
        if ticket is not None:
            asyncio.get_running_loop().call_soon(self._post, Confirmed(ticket=ticket))

    async def close(self) -> None:
        """See `ports.ChatLink`."""
        self.drop()

    async def _run(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(self._path)
        write(self._writer, str(self._me))
        self._post(LinkUp(device=self._device))
        while True:
            self._post(await read(reader))


def tell(what: str, at: float | None = None) -> None:
    """Say what happened, and when; all processes of a machine have this clock in common."""
    print(json.dumps([at or monotonic(), what]), flush=True)


async def watch(call: Call, event: TrackAdded) -> None:
    """Tell each frame."""
    peer = call.peer(event.peer)
    incoming = peer.video if event.kind.value == "video" else peer.audio
    if incoming is not None:
        async for _ in incoming:
            tell(event.kind.value)


async def play(name: str, other: str, path: Path, interval: float) -> None:
    """Call the other one, or if there is none wait to be called, and go on until the process is told to end."""
    config = Config.of(
        account={"jid": user(name)},
        call={"disconnect_timeout": interval},
        media={"source": SOURCE, "sinks": ["null"]},
    )

    def link(me: User, post: Post) -> ChatLink:
        return ExchangeLink(path, me, post)

    async with Client(config, link=link) as client:

        @client.on(Event)
        def told(event: Event) -> None:
            tell(type(event).__name__)

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
        call = await client.call(user(other)) if other else None
        await end.wait()
        if call is not None:
            await call.hang_up()


if __name__ == "__main__":
    asyncio.run(play(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])))
