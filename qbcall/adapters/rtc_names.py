"""Names of the local network in candidates: browsers give them in place of their addresses, which they hide.

Source: draft-ietf-mmusic-mdns-ice-candidates. The system looks them up, where it can (nss-mdns). A look-up is heard
by the whole local network, so that nobody may have many of them made; and who finds no name is found all the same by
browsers in the same network, whose checks tell where they come from.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable

log = logging.getLogger("qbcall.adapters.rtc")

MOST_NAMES = 4
"""Of one peer; a browser has one for each network."""
PATIENCE = 3.0
"""Seconds that a look-up may take."""
_NAME = re.compile(
    r"(?P<before>candidate:\S+ 1 udp \d+ )(?P<name>[0-9a-f-]{36}\.local)(?P<after> \d+ typ host.*)", re.I
)


class Names:
    """Those of one peer."""

    def __init__(self, found: Callable[[str], Awaitable[None]]) -> None:
        """`found` is given each candidate with an address in the place of its name."""
        self._found = found
        self._known: set[str] = set()
        self._waiting: list[re.Match[str]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, candidate: str) -> None:
        """A candidate that may have a name; it is looked up by `look_up`."""
        match = _NAME.fullmatch(candidate)
        if match and match["name"] not in self._known and len(self._known) < MOST_NAMES:
            self._known.add(match["name"])
            self._waiting.append(match)

    def look_up(self) -> None:
        """Look up what was noted."""
        for match in self._waiting:
            task = asyncio.get_running_loop().create_task(self._resolve(match), name="qbcall-name")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._waiting.clear()

    async def close(self) -> None:
        """Wait for no name any more."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _resolve(self, match: re.Match[str]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                known = await asyncio.get_running_loop().getaddrinfo(match["name"], None, type=socket.SOCK_DGRAM)
        except (OSError, TimeoutError) as error:
            log.debug("%s is not known in this network: %r", match["name"], error)
            return
        for address in dict.fromkeys(str(one[4][0]) for one in known):
            await self._found(f"{match['before']}{address}{match['after']}")
