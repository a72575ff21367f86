"""Two networks of their own that are joined by a cable, and faults of it: Linux network namespaces, `ip-netns(8)`.

A silent cut gives both ends a wrong hardware address of the other: packets leave, and nobody takes them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType
from typing import Self

ME = os.getpid()
"""Names contain it: two runs on one machine do not disturb each other."""
MAC = ("02:71:62:01:00:01", "02:71:62:01:00:02")
NOBODY = "02:71:62:01:00:99"
NAMES = (f"qbcall-{ME}-a", f"qbcall-{ME}-b")
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

    def __enter__(self) -> Self:
        try:
            for side, name in enumerate(NAMES):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
                if side:
                    ip(
                        *("link", "add", CARDS[0], "address", MAC[0], "netns", NAMES[0], "type", "veth"),
                        *("peer", "name", CARDS[1], "address", MAC[1], "netns", NAMES[1]),
                    )
            for side in (0, 1):
                self._address("add", side)
                ip("-n", NAMES[side], "link", "set", CARDS[side], "addrgenmode", "none")
                self.plug(side)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in NAMES:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def cut(self) -> None:
        """From now on nothing arrives, and no card changes its state."""
        self._neighbours((NOBODY, NOBODY))

    def heal(self) -> None:
        """Packets arrive again."""
        self._neighbours((MAC[1], MAC[0]))

    def unplug(self, side: int) -> None:
        """The card of this side goes down."""
        ip("-n", NAMES[side], "link", "set", CARDS[side], "down")

    def plug(self, side: int) -> None:
        """It goes up."""
        ip("-n", NAMES[side], "link", "set", CARDS[side], "up")

    def move(self, side: int) -> None:
        """This side has another address from now on."""
        self._address("delete", side)
        self._last += 1
        self.addresses[side] = f"10.214.7.{self._last}"
        self._address("add", side)

    def _address(self, what: str, side: int) -> None:
        ip("-n", NAMES[side], "address", what, f"{self.addresses[side]}/24", "dev", CARDS[side])

    def _neighbours(self, of: tuple[str, str]) -> None:
        for side, mac in enumerate(of):
            words = (self.addresses[1 - side], "lladdr", mac, "dev", CARDS[side], "nud", "permanent")
            ip("-n", NAMES[side], "neigh", "replace", *words)
