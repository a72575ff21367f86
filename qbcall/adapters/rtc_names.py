"""Names of the local network in candidates: browsers give them in place of their addresses, which they hide.

Source: draft-ietf-mmusic-mdns-ice-candidates. The system looks them up, where it can (nss-mdns). A look-up is heard
by the whole local network, so that nobody may have many of them made; and who finds no name is found all the same by
browsers in the same network, whose checks tell where they come from.

A look-up cannot be stopped: it has a thread of its own, which neither the event loop nor the end of the process waits
for, and there are few of them in the whole process. What was found, or not, is remembered.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

log = logging.getLogger("qbcall.adapters.rtc")

MOST_NAMES = 4
"""Of one connection, and look-ups at one time of all together; a browser has one name for each network."""
MOST_KNOWN = 64
"""Names that are remembered; the oldest are forgotten."""
PATIENCE = 3.0
"""Seconds that a connection waits for a look-up."""
_NAME = re.compile(
    r"(?P<before>candidate:\S+ 1 udp \d+ )(?P<name>[0-9a-f-]{36}\.local)(?P<after> \d+ typ host.*)", re.I
)

Addresses = tuple[str, ...]


def ask_system(name: str) -> Addresses:
    """The addresses of a name; takes as long as the system likes.

    Raises:
        OSError: nobody knows it.
    """
    known = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    return tuple(dict.fromkeys(str(one[4][0]) for one in known))


class LookUps:
    """Those of a process, whichever connection wants them; from any thread."""

    def __init__(self, ask: Callable[[str], Addresses] = ask_system) -> None:
        """`ask` may block: it is called in a thread of its own."""
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Addresses]] = {}

    def begin(self, name: str) -> Future[Addresses] | None:
        """The addresses of a name, once they are known: none if nobody knows it. None: too much is asked already."""
        name = name.lower()
        with self._lock:
            if name in self._answers:
                return self._answers[name]
            if sum(not answer.done() for answer in self._answers.values()) >= MOST_NAMES:
                return None
            answer: Future[Addresses] = Future()
            answer.set_running_or_notify_cancel()  # who waits no longer does not cancel it for others
            threading.Thread(target=self._work, args=(name, answer), name="qbcall-name", daemon=True).start()
            if len(self._answers) >= MOST_KNOWN:
                del self._answers[next(old for old, known in self._answers.items() if known.done())]
            self._answers[name] = answer
        return answer

    def _work(self, name: str, answer: Future[Addresses]) -> None:
        try:
            answer.set_result(self._ask(name))
        except Exception as error:
            log.debug("%s is not known in this network: %r", name, error)
            answer.set_result(())


LOOK_UPS = LookUps()


class Names:
    """Those of one connection."""

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
        answer = LOOK_UPS.begin(match["name"])
        if answer is None:
            log.debug("%s is not looked up: too many names are", match["name"])
            return
        try:
            async with asyncio.timeout(PATIENCE):
                addresses = await asyncio.wrap_future(answer)
        except TimeoutError:
            log.debug("%s was not found in %s s", match["name"], PATIENCE)
            return
        for address in addresses:
            await self._found(f"{match['before']}{address}{match['after']}")
