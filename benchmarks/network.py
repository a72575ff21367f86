"""Two networks of their own that are joined by a cable, and faults of it: Linux network namespaces, `ip-netns(8)`.

A silent cut gives both ends a wrong hardware address of the other: packets leave, and nobody takes them.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

PREFIX = "qbpath-"
ME = os.getpid()
"""Names contain it: two runs on one machine do not disturb each other."""
_numbers = itertools.count()
MAC = ("02:71:62:01:00:01", "02:71:62:01:00:02")
NOBODY = "02:71:62:01:00:99"
CARDS = (f"qp{ME}a", f"qp{ME}b")


def unavailable() -> str:
    """Why there can be no such networks on this machine; empty: there can."""
    if shutil.which("ip") is None:
        return "ip is not installed: apt-get install iproute2"
    if os.geteuid() != 0:
        return "making a network namespace needs root"
    return ""


def ip(*words: str) -> None:
    """Run `ip`.

    Raises:
        OSError: it failed.
    """
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Cable:
    """Joins side 0 and side 1; each has one address."""

    def __init__(self) -> None:
        self.addresses = ["10.214.7.1", "10.214.7.2"]
        self._last = 2
        number = next(_numbers)
        self.names = (f"{PREFIX}{ME}-{number}a", f"{PREFIX}{ME}-{number}b")
        """Of the networks; the kernel takes a moment to remove one, so that none is used again."""

    def __enter__(self) -> Self:
        for name in _abandoned():
            _delete(name)
        try:
            for side, name in enumerate(self.names):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
                if side:
                    ip(
                        *("link", "add", CARDS[0], "address", MAC[0], "netns", self.names[0], "type", "veth"),
                        *("peer", "name", CARDS[1], "address", MAC[1], "netns", self.names[1]),
                    )
            for side in (0, 1):
                self._address("add", side)
                ip("-n", self.names[side], "link", "set", CARDS[side], "addrgenmode", "none")
                self.plug(side)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self.names:
            _delete(name)

    def cut(self) -> None:
        """From now on nothing arrives, and no card changes its state."""
        self._neighbours((NOBODY, NOBODY))

    def heal(self) -> None:
        """Packets arrive again."""
        self._neighbours((MAC[1], MAC[0]))

    def unplug(self, side: int) -> None:
        """The card of this side goes down."""
        ip("-n", self.names[side], "link", "set", CARDS[side], "down")

    def plug(self, side: int) -> None:
        """It goes up."""
        ip("-n", self.names[side], "link", "set", CARDS[side], "up")

    def move(self, side: int) -> None:
        """This side has another address from now on."""
        self._address("delete", side)
        self._last += 1
        self.addresses[side] = f"10.214.7.{self._last}"
        self._address("add", side)

    def _address(self, what: str, side: int) -> None:
        ip("-n", self.names[side], "address", what, f"{self.addresses[side]}/24", "dev", CARDS[side])

    def _neighbours(self, of: tuple[str, str]) -> None:
        for side, mac in enumerate(of):
            words = (self.addresses[1 - side], "lladdr", mac, "dev", CARDS[side], "nud", "permanent")
            ip("-n", self.names[side], "neigh", "replace", *words)


def _abandoned() -> list[str]:
    """Networks of runs that were killed."""
    names = [path.name for path in Path("/run/netns").glob(f"{PREFIX}*")]
    return [name for name in names if not Path("/proc", name.split("-")[1]).exists()]


def _delete(name: str) -> None:
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
