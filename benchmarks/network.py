"""Networks of their own for some participants and a server, joined by a switch, and faults of it: `ip-netns(8)`.

A silent cut gives both ends a wrong hardware address of the other: packets leave, nobody takes them, and no card
changes its state. The server is this process; its address at the switch is the only one that participants share.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

PREFIX = "qbpath-"
ME = os.getpid()
"""Names and addresses contain it: two runs on one machine do not disturb each other."""
NOBODY = "02:71:62:01:00:99"
LAST_ADDRESS = 250
_numbers = itertools.count()


def unavailable(*programs: str) -> str:
    """Why there can be no such networks on this machine, or none with these programs; empty: there can."""
    packages = {"ip": "iproute2", "nft": "nftables", "turnserver": "coturn", "prosody": "prosody"}
    for program in ("ip", *programs):
        if shutil.which(program, path=f"{os.defpath}:/usr/sbin:/sbin") is None:
            return f"{program} is not installed: apt-get install {packages[program]}"
    if os.geteuid() != 0:
        return "making a network namespace needs root"
    return ""


def execute(*words: str) -> None:
    """Run a program.

    Raises:
        OSError: it failed.
    """
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


def ip(*words: str) -> None:
    """Run `ip`; see `execute`."""
    execute("ip", *words)


class Switch:
    """Joins participants 0, 1, ...; each has a network and an address of its own.

    With `nat`, each is behind a router that gives every connection another port (RFC 4787: address and port dependent
    mapping): two of them can only meet through a relay.
    """

    def __init__(self, size: int, *, nat: bool = False) -> None:
        number = next(_numbers)
        self._size = size
        self._nat = nat
        self._bridge = f"qp{ME}s{number}"
        self._net = f"10.214.{(ME + number) % 256}"
        self._last = size
        self._stack = ExitStack()
        self.server = f"{self._net}.254"
        """Address of this process at the switch."""
        self.names = [f"{PREFIX}{ME}-{number}-{one}" for one in range(size)]
        """Of the networks; the kernel takes a moment to remove one, so that none is used again."""
        self.addresses = [f"{self._net}.{one + 1}" for one in range(size)]
        """Of the participants; those of their routers with `nat`."""
        self._cards = [f"qp{ME}n{number}c{one}" for one in range(size)]
        self._places = list(self.names)
        """Networks that have these cards."""
        self._cut: set[frozenset[str]] = set()

    def __enter__(self) -> Self:
        _clear_up()
        with ExitStack() as stack:
            ip("link", "add", self._bridge, "type", "bridge")
            stack.callback(_try, "link", "delete", self._bridge)
            ip("address", "add", f"{self.server}/24", "dev", self._bridge)
            ip("link", "set", self._bridge, "up")
            for one, name in enumerate(self.names):
                self._places[one] = self._router(stack, one, name) if self._nat else self._network(stack, name)
                self._join(stack, one)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def cut(self, one: int, other: int | None = None) -> None:
        """From now on nothing arrives between two; without the second one, between the first, all others and us."""
        for far in self._others(one, other):
            self._cut.add(frozenset((self.addresses[one], far)))
            self._between(self.addresses[one], far)

    def heal(self, one: int, other: int | None = None) -> None:
        """Packets arrive again."""
        for far in self._others(one, other):
            self._cut.discard(frozenset((self.addresses[one], far)))
            self._between(self.addresses[one], far)

    def unplug(self, one: int) -> None:
        """The card of this participant goes down."""
        ip("-n", self._places[one], "link", "set", self._cards[one], "down")

    def plug(self, one: int) -> None:
        """It goes up."""
        ip("-n", self._places[one], "link", "set", self._cards[one], "up")

    def move(self, one: int) -> None:
        """This participant has another address from now on."""
        self._address("delete", one)
        self._last = self._last % LAST_ADDRESS + 1
        while f"{self._net}.{self._last}" in self.addresses:
            self._last = self._last % LAST_ADDRESS + 1
        self.addresses[one] = f"{self._net}.{self._last}"
        self._address("add", one)

    # -- details -----------------------------------------------------------------------------------------------------

    def _network(self, stack: ExitStack, name: str) -> str:
        ip("netns", "add", name)
        stack.callback(_delete, name)
        ip("-n", name, "link", "set", "lo", "up")
        return name

    def _router(self, stack: ExitStack, one: int, name: str) -> str:
        """A network between this one and the switch; it has the card at the switch."""
        self._network(stack, name)
        router = self._network(stack, f"{name}-nat")
        near, far = f"qp{ME}p{one}", f"qp{ME}r{one}"
        ip("link", "add", near, "netns", name, "type", "veth", "peer", "name", far, "netns", router)
        for where, card, end in ((name, near, 2), (router, far, 1)):
            ip("-n", where, "address", "add", f"192.168.{one + 1}.{end}/24", "dev", card)
            ip("-n", where, "link", "set", card, "up")
        ip("-n", name, "route", "add", "default", "via", f"192.168.{one + 1}.1")
        execute("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        rules = "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }"
        execute("ip", "netns", "exec", router, "nft", f"{rules}; add rule ip nat out oifname {self._cards[one]} "
            "masquerade fully-random")  # fmt: skip
        return router

    def _join(self, stack: ExitStack, one: int) -> None:
        """Plug the card of a network into the switch."""
        where, card, socket = self._places[one], self._cards[one], f"{self._cards[one]}x"
        ip("link", "add", socket, "type", "veth", "peer", "name", card, "netns", where)
        stack.callback(_try, "link", "delete", socket)
        ip("link", "set", socket, "master", self._bridge, "up")
        ip("-n", where, "address", "add", f"{self.addresses[one]}/24", "dev", card)
        ip("-n", where, "link", "set", card, "addrgenmode", "none")
        ip("-n", where, "link", "set", card, "up")

    def _others(self, one: int, other: int | None) -> Iterator[str]:
        if other is not None:
            yield self.addresses[other]
        else:
            yield self.server
            yield from (self.addresses[far] for far in range(self._size) if far != one)

    def _between(self, near: str, far: str) -> None:
        cut = frozenset((near, far)) in self._cut
        for here, there in ((near, far), (far, near)):
            where = [] if here == self.server else ["-n", self._places[self.addresses.index(here)]]
            card = self._bridge if here == self.server else self._cards[self.addresses.index(here)]
            if cut:
                ip(*where, "neigh", "replace", there, "lladdr", NOBODY, "dev", card, "nud", "permanent")
            else:
                _try(*where, "neigh", "delete", there, "dev", card)

    def _address(self, what: str, one: int) -> None:
        ip("-n", self._places[one], "address", what, f"{self.addresses[one]}/24", "dev", self._cards[one])


def _clear_up() -> None:
    """Remove what runs left that were killed."""
    for path in Path("/run/netns").glob(f"{PREFIX}*"):
        if not Path("/proc", path.name.split("-")[1]).exists():
            _delete(path.name)
    for path in Path("/sys/class/net").glob("qp*s*"):
        if not Path("/proc", path.name[2:].partition("s")[0]).exists():
            _try("link", "delete", path.name)


def _try(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, check=False)


def _delete(name: str) -> None:
    _try("netns", "delete", name)
