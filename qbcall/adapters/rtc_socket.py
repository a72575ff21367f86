"""A UDP socket that reads many datagrams in a row while many come, and tells when the kernel got each of them.

asyncio's own wakes the loop for every datagram: three peers send 300 in a second. Here the socket is read whenever
something comes, as usual; but while media flows it is read on the beat, with those of the other peers. Times are the
kernel's, so that whoever estimates the network from them sees nothing of that; without them there is no beat.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from qbcall.media.beat import beat

log = logging.getLogger("qbcall.adapters.rtc")

SO_TIMESTAMPNS = 35
"""Option, and kind of the note that comes with a datagram (asm-generic/socket.h; Python has no name for it)."""
TIMESPEC = struct.Struct("@ll")
NOTE_SPACE = socket.CMSG_SPACE(TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0
LARGEST = 65_535
"""Bytes of a datagram at most."""
AT_ONCE = 256
"""Datagrams that are read in a row, at most: others are to have their turn."""
MANY = 40.0
"""Datagrams per second from which on a socket is read on the beat; sound alone is 50."""
WINDOW = 1.0
"""Seconds over which they are counted; a connection that begins is over the worst by then."""
QUIET = 0.1
"""Seconds without a datagram after which a socket is read as soon as there is one."""
MOST_UNSENT = 1024
"""Datagrams that wait for the machine to send them; the oldest is lost, as in any network."""

KNOWN = sys.platform == "linux"
"""Whether the kernel tells times in this way."""


class Owner(Protocol):
    """Whose socket it is; see `asyncio.DatagramProtocol`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""

    def error_received(self, exc: Exception) -> None:
        """See `asyncio.DatagramProtocol`."""

    def received(self, data: bytes, addr: tuple[Any, ...], came: float) -> None:
        """A datagram came, at this time in seconds since 1970. It must not raise."""


class MediaSocket(asyncio.DatagramTransport):
    """One of this machine's addresses, with a port of its own."""

    def __init__(self, address: str, owner: Owner) -> None:
        """Bind it.

        Raises:
            OSError: the address cannot be used.
        """
        family, kind, protocol, _, name = socket.getaddrinfo(
            address, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.setblocking(False)
            self._socket.bind(name)
        except OSError:
            self._socket.close()
            raise
        super().__init__({"socket": self._socket, "sockname": self._socket.getsockname()})
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._dates = _has_dates(self._socket)
        self._count, self._since, self._last = 0, self._loop.time(), 0.0
        self._unsent: deque[tuple[bytes, Any]] = deque(maxlen=MOST_UNSENT)
        self._closing = False
        owner.connection_made(self)
        self._loop.add_reader(self._socket, self._on_readable)

    def sendto(self, data: Any, addr: Any = None) -> None:
        """See `asyncio.DatagramTransport`."""
        if self._closing:
            return
        if not self._unsent:
            try:
                self._socket.sendto(data, addr)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._socket, self._send_on)
            except OSError as error:
                self._owner.error_received(error)
                return
            else:
                return
        self._unsent.append((bytes(data), addr))

    def close(self) -> None:
        """See `asyncio.BaseTransport`."""
        if self._closing:
            return
        self._closing = True
        self._unsent.clear()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        beat().leave(self._on_beat)
        self._loop.call_soon(self._end)

    def abort(self) -> None:
        """See `asyncio.DatagramTransport`."""
        self.close()

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self._closing

    # -- details -----------------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        self._count += self._read(1)
        now = self._loop.time()
        if now < self._since + WINDOW:
            return
        many = self._count >= MANY * (now - self._since)
        self._count, self._since = 0, now
        if many and self._dates and not self._closing:
            self._last = now
            self._loop.remove_reader(self._socket)
            beat().join(self._on_beat)

    def _on_beat(self) -> None:
        now = self._loop.time()
        if self._read(AT_ONCE):
            self._last = now
        elif now > self._last + QUIET:
            beat().leave(self._on_beat)
            self._count, self._since = 0, now
            self._loop.add_reader(self._socket, self._on_readable)

    def _read(self, most: int) -> int:
        """How many datagrams there were."""
        count = 0
        while count < most and not self._closing:
            try:
                data, notes, _, sender = self._socket.recvmsg(LARGEST, NOTE_SPACE)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._owner.error_received(error)
                break
            count += 1
            self._owner.received(data, sender, _time_of(notes))
        return count

    def _send_on(self) -> None:
        while self._unsent:
            try:
                self._socket.sendto(*self._unsent[0])
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._owner.error_received(error)
            if self._unsent:  # else the owner closed it
                self._unsent.popleft()
        self._loop.remove_writer(self._socket)

    def _end(self) -> None:
        self._owner.connection_lost(None)
        self._socket.close()


def _has_dates(datagrams: socket.socket) -> bool:
    """Have the kernel tell when each datagram came; some sandboxes have no such kernel."""
    try:
        datagrams.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError as error:
        log.debug("the kernel does not tell when datagrams come: %s", error)
        return False
    return True


def _time_of(notes: Iterable[tuple[int, int, bytes]]) -> float:
    """When a datagram came, in seconds since 1970."""
    for level, kind, note in notes:
        if kind == SO_TIMESTAMPNS and level == socket.SOL_SOCKET and len(note) >= TIMESPEC.size:
            seconds, nanoseconds = TIMESPEC.unpack_from(note)
            since: float = seconds + nanoseconds / 1e9
            return since
    return time.time()
