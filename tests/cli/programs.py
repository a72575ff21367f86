"""Commands as processes of their own, over a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from qbcall.devserver import DevServer
from tests.cli.conftest import Line, checked_lines

PATIENCE = 30.0
SMALL = "test:size=160x120,fps=10"


class Program:
    """A command that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._text = ""

    async def until(self, name: str, **expected: object) -> Line:
        """The next line of this type with these values."""
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            self._text += raw.decode()
            line: Line = json.loads(raw)
            if line["type"] == name and all(line.get(key) == value for key, value in expected.items()):
                return line
        pytest.fail(f"no {name}")

    async def type(self, text: bytes) -> None:
        """Write to its standard input, which a program with `--lines` has."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        await self.process.stdin.drain()

    async def end(self) -> list[Line]:
        """Wait for its end: its lines, all of them."""
        assert self.process.stdout is not None
        self._text += (await self.process.stdout.read()).decode()
        code = await self.process.wait()
        found = checked_lines(self._text)
        assert found[-1]["code"] == code
        return found

    async def whole(self) -> str:
        """All that it wrote, after its end."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._text += (await self.process.stdout.read()).decode()
        return self._text + (await self.process.stderr.read()).decode()


class Place:
    """A server, and commands that use it."""

    def __init__(self, server: DevServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.programs: list[Program] = []

    async def start(self, name: str, *words: str, **environment: str) -> Program:
        """Start a command as this user, that tells JSON lines."""
        stdin = asyncio.subprocess.PIPE if "--lines" in words else asyncio.subprocess.DEVNULL
        return await self._start(name, (*words, "--json"), stdin, environment)

    async def pipe(self, name: str, *words: str) -> Program:
        """Start a command as this user, that takes standard input and gives standard output."""
        return await self._start(name, words, asyncio.subprocess.PIPE, {})

    async def _start(self, name: str, words: tuple[str, ...], stdin: int, environment: Mapping[str, str]) -> Program:
        address = f"{self.server.host}:{self.server.port}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "qbcall",
            *words,
            "--jid",
            f"{name}@localhost",
            cwd=self.directory,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "XDG_CONFIG_HOME": str(self.directory),
                "QBCALL_PASSWORD": self.server.accounts[name],
                "QBCALL_ICE__ADDRESSES": "127.0.0.1",
                "QBCALL_SERVER": address,
                "QBCALL_ACCOUNT__PLAINTEXT": "true",
                "QBCALL_MEDIA__SOURCE": SMALL,
                **environment,
            },
        )
        self.programs.append(Program(process))
        return self.programs[-1]


def scenario(
    directory: Path, play: Callable[[Place], Coroutine[Any, Any, None]], accounts: tuple[str, ...] = ("ann", "bob")
) -> None:
    """Play it; nothing of it is left."""

    async def whole() -> None:
        async with asyncio.timeout(PATIENCE), _place(directory, accounts) as place:
            await play(place)

    asyncio.run(whole())


@asynccontextmanager
async def _place(directory: Path, accounts: tuple[str, ...]) -> AsyncIterator[Place]:
    async with DevServer(accounts=accounts) as server:
        place = Place(server, directory)
        try:
            yield place
        finally:
            for program in place.programs:
                if program.process.returncode is None:
                    program.process.kill()
                await program.process.wait()
                sys.stdout.write(await program.whole())  # shown when the test fails
