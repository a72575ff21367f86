"""A network of its own for a browser, whose path to this machine can be cut without a word to either side.

Linux network namespaces and a pair of virtual Ethernet cards (`ip-netns(8)`, `veth(4)`). The chat goes over IPv6,
media over IPv4. A cut gives both ends a wrong hardware address of the other: packets leave, nobody takes them, and no
interface changes its state.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.forward import forwarding

PREFIX = "qbcall-"
ME = os.getpid()
"""Names and addresses contain it: two runs of these tests on one machine do not disturb each other."""
NAME = f"{PREFIX}{ME}"
HERE, THERE = f"qb{ME}a", f"qb{ME}b"
"""The two cards: in this machine's network, in the island's."""
_PLACE = ME % 2**14 * 4
V4_HERE, V4_THERE = (f"10.213.{_PLACE >> 8}.{(_PLACE & 255) + end}" for end in (1, 2))
V6_HERE, V6_THERE = (f"fd77:7162:6361:{_PLACE:x}::{end}" for end in (1, 2))
MAC_HERE, MAC_THERE, NOBODY = "02:71:62:00:00:01", "02:71:62:00:00:02", "02:71:62:00:00:99"


def unavailable() -> str:
    """Why there can be no island on this machine; empty: there can."""
    if shutil.which("ip") is None:
        return "ip is not installed: apt-get install iproute2"
    if os.geteuid() != 0:
        return "making a network namespace needs root"
    return ""


async def ip(*words: str, check: bool = True) -> None:
    """Run `ip`.

    Raises:
        OSError: it failed.
    """
    process = await asyncio.create_subprocess_exec("ip", *words, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if check and process.returncode:
        raise OSError(f"ip {' '.join(words)}: {said.decode().strip()}")


class Island:
    """A network that has one neighbour: this machine."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._folder = ""

    async def __aenter__(self) -> Self:
        self._folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="qbcall-island-"))
        for name in _abandoned():
            await ip("netns", "delete", name, check=False)
        await self._remove()
        self._stack.push_async_callback(self._remove)
        await ip("netns", "add", NAME)
        await ip(
            *("link", "add", HERE, "address", MAC_HERE, "type", "veth"),
            *("peer", "name", THERE, "address", MAC_THERE, "netns", NAME),
        )
        await ip("-n", NAME, "link", "set", "lo", "up")
        for where, card, v4, v6 in ((), HERE, V4_HERE, V6_HERE), (("-n", NAME), THERE, V4_THERE, V6_THERE):
            await ip(*where, "address", "add", f"{v4}/30", "dev", card)
            await ip(*where, "address", "add", f"{v6}/64", "dev", card, "nodad")
            await ip(*where, "link", "set", card, "up")
        await self.heal()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def program(self, command: str) -> Path:
        """A program that runs `command` in the island, with the words that it is given."""
        path = Path(self._folder) / "run"
        path.write_text(f'#!/bin/sh\nexec ip netns exec {NAME} {command} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    async def cut(self) -> None:
        """From now on no packet of media arrives, in neither direction; the chat goes on."""
        await self._neighbours(NOBODY, NOBODY)

    async def cut_chat(self) -> None:
        """Nothing at all arrives any more, for good."""
        await ip("link", "delete", HERE)

    async def heal(self) -> None:
        """Packets arrive again."""
        await self._neighbours(MAC_HERE, MAC_THERE)

    async def forward(self, port: int) -> int:
        """Let the island reach a TCP port of 127.0.0.1; the port at `V6_HERE` is given back."""
        return await self._stack.enter_async_context(forwarding(V6_HERE, port))

    async def _neighbours(self, here: str, there: str) -> None:
        await ip("neigh", "replace", V4_THERE, "lladdr", there, "dev", HERE, "nud", "permanent")
        await ip("-n", NAME, "neigh", "replace", V4_HERE, "lladdr", here, "dev", THERE, "nud", "permanent")

    async def _remove(self) -> None:
        await ip("netns", "delete", NAME, check=False)
        await ip("link", "delete", HERE, check=False)  # at once; with the network it would go a little later


def _abandoned() -> list[str]:
    """Networks of runs that were killed; a pair of cards ends with the network of one of them."""
    names = [path.name for path in Path("/run/netns").glob(f"{PREFIX}*")]
    return [name for name in names if not Path("/proc", name.removeprefix(PREFIX)).exists()]
