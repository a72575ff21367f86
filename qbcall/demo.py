"""The main job, to look at: four participants call each other, and everything they receive is checked.

Each participant is a process of its own that runs `qbcall call` or `qbcall answer`; the demo reads their JSON lines.
With `offline`, all four live in this process and an in-process chat link stands in for the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live

from qbcall.adapters.memory import MemoryHub
from qbcall.call import Call
from qbcall.cli.lines import line_of
from qbcall.cli.summary import summary
from qbcall.client import Client
from qbcall.config import Config
from qbcall.core.events import Event, IncomingCall
from qbcall.core.impairment_text import once_between
from qbcall.demo_board import Board, Json
from qbcall.demo_file import Original
from qbcall.devserver import DevServer
from qbcall.media.contact_sheet import contact_sheet

NAMES = ("alice", "bob", "carol", "dave")
TONES = {"alice": 450, "bob": 550, "carol": 650, "dave": 850}
"""Hertz; a block of 20 ms holds whole periods of each, so the pitch stays right where a busy machine loses blocks."""
WIDTH, HEIGHT, FPS = 320, 240, 15
"""What two cores carry in twelve directions."""
DOMAIN = "localhost"
STATS_INTERVAL = 0.5
"""Seconds."""
LOGIN_PATIENCE = 20.0
"""Seconds until all participants must be online."""
END_PATIENCE = 15.0
"""Seconds that the participants may take beyond the duration of the call."""


@dataclass(frozen=True, slots=True)
class Show:
    """What is played; see `run`."""

    source: str | None
    duration: float
    pictures: Path
    """Directory for the pictures that the participants received."""
    impair: str
    """How bad the network of each participant is made."""


Tell = Callable[[str, Json], None]
"""Takes the name of a participant and one of its lines."""


async def run(
    *, source: str | None, offline: bool, duration: float, out: Path, people: Console, impair: str = ""
) -> bool:
    """Play the demo; True if every direction delivered what was sent.

    Args:
        source: media file that the first participant shows instead of the test card.
        offline: without a chat server.
        duration: seconds of the call.
        out: directory for `contact-sheet.png` and `summary.json`; made if it is missing.
        people: where the table is shown.
        impair: how bad the network between each two participants is made; see `config.IceSection`.

    Raises:
        ProgramMissing: there is no Prosody.
        SourceError: `source` is missing, unreadable or not media.
        InvalidArgument: `impair` means nothing.
        OSError: `out` cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
    board = Board(NAMES)
    started = time.monotonic()
    original = None if source is None else await asyncio.to_thread(Original, source, duration + LOGIN_PATIENCE)
    title = f"{len(NAMES)} participants, {len(board.directions)} directions"
    with tempfile.TemporaryDirectory(prefix="qbcall-demo-") as name:
        pictures = Path(name)
        with Live(board.table(title), console=people, refresh_per_second=4) as live:

            def tell(who: str, line: Json) -> None:
                board.feed(who, line)
                live.update(board.table(f"{title}, {time.monotonic() - started:.0f} s"))

            play = _play_offline if offline else _play
            await play(board, tell, Show(source, duration, pictures, once_between(impair)))
            if original is not None:
                board.compare(NAMES[0], original, pictures, f"{NAMES[0]}@{DOMAIN}.png")
            live.update(board.table(f"{title}, {time.monotonic() - started:.0f} s"))
        if not people.is_terminal:
            people.print()  # rich ends the table's last line on a terminal only
        rows = {viewer: {peer: pictures / viewer / f"{peer}@{DOMAIN}.png" for peer in NAMES} for viewer in NAMES}
        contact_sheet(rows, out / "contact-sheet.png")
    told = board.summary(time.monotonic() - started)
    (out / "summary.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return board.ok


def _source(name: str, file: str | None) -> str:
    if file is not None and name == NAMES[0]:
        return f"file:{file}"
    return f"test:name={name},tone={TONES[name]}"


def _sinks(name: str, pictures: Path) -> list[str]:
    tones = "/".join(f"{who}={tone}" for who, tone in TONES.items())
    return [f"verify:tones={tones}", f"snapshot:{pictures / name}"]


# -- four processes and a server -------------------------------------------------------------------------------------


async def _play(board: Board, tell: Tell, show: Show) -> None:
    first, *others = NAMES
    async with DevServer(accounts=NAMES, domain=DOMAIN) as server, AsyncExitStack() as stack:

        async def start(name: str, *words: str) -> asyncio.Task[None]:
            arguments = [*words, "--jid", f"{name}@{DOMAIN}", "--server", f"{server.host}:{server.port}"]
            arguments += ["--plaintext", "--json", "--stats", str(STATS_INTERVAL)]
            arguments += ["--source", _source(name, show.source)]
            for sink in _sinks(name, show.pictures):
                arguments += ["--sink", sink]
            environment = {"QBCALL_PASSWORD": server.accounts[name], "QBCALL_ICE__IMPAIR": show.impair}
            return await stack.enter_async_context(_participant(name, arguments, environment, tell))

        answering = [await start(name, "answer", "--once", "--duration", str(show.duration)) for name in others]
        async with asyncio.timeout(LOGIN_PATIENCE):
            while not (board.online.issuperset(others) or board.trouble):
                await board.changed.wait()
        callees = [f"{name}@{DOMAIN}" for name in others]
        calling = await start(first, "call", *callees, "--duration", str(show.duration))
        await asyncio.wait([calling, *answering], timeout=LOGIN_PATIENCE + show.duration + END_PATIENCE)


@asynccontextmanager
async def _participant(
    name: str, arguments: Sequence[str], more: Mapping[str, str], tell: Tell
) -> AsyncIterator[asyncio.Task[None]]:
    """A process of its own; the task ends with it."""
    environment = os.environ | {
        **more,
        "QBCALL_ICE__ADDRESSES": "127.0.0.1",
        "QBCALL_MEDIA__WIDTH": str(WIDTH),
        "QBCALL_MEDIA__HEIGHT": str(HEIGHT),
        "QBCALL_MEDIA__FPS": str(FPS),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "qbcall",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        limit=1 << 20,
    )

    async def read() -> None:
        assert process.stdout is not None, "asked for a pipe"
        async for line in process.stdout:
            tell(name, json.loads(line))
        await process.wait()

    reading = asyncio.create_task(read())
    try:
        yield reading
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 3)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await reading


# -- one process, no server ------------------------------------------------------------------------------------------


async def _play_offline(board: Board, tell: Tell, show: Show) -> None:
    hub = MemoryHub()
    loop = asyncio.get_running_loop()
    calls: dict[str, Call] = {}
    async with AsyncExitStack() as stack:

        async def join(name: str) -> Client:
            config = Config.of(
                account={"jid": f"{name}@{DOMAIN}"},
                ice={"addresses": ["127.0.0.1"], "impair": show.impair},
                call={"stats_interval": STATS_INTERVAL},
                media={
                    "source": _source(name, show.source),
                    "sinks": _sinks(name, show.pictures),
                    "width": WIDTH,
                    "height": HEIGHT,
                    "fps": FPS,
                },
            )
            client = Client(config, link=hub.link)

            @client.on(Event)
            def told(event: Event) -> None:
                line = line_of(event, loop.time())
                if line is not None:
                    tell(name, line.model_dump(mode="json"))

            @client.on(IncomingCall)
            async def answer(event: IncomingCall) -> None:
                calls[name] = client.calls[event.call]
                await calls[name].accept()

            return await stack.enter_async_context(client)

        first, *others = [await join(name) for name in NAMES]
        async with first.call([client.user for client in others]) as call:
            calls[NAMES[0]] = call
            await call.connected(LOGIN_PATIENCE)
            await asyncio.sleep(show.duration)
        for name, one in calls.items():
            if one is not call:
                await one.hang_up()
            await one.ended()
            tell(name, summary(one, loop.time()).model_dump(mode="json"))
