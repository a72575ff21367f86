"""Files, pipes, standard input and output, read and written by threads: a file descriptor may block at any time."""

from __future__ import annotations

import errno
import os
import select
import threading
from collections import deque
from pathlib import Path
from time import monotonic

STANDARD = "-"
"""Standard input or output, in place of a path."""
LINGER = 1.0
"""Seconds that a reader of ours may take for the rest at the end."""
LOOK = 0.1
"""Seconds between two looks whether that is over."""
AT_ONCE = select.PIPE_BUF
"""Bytes that a pipe takes without blocking when it says that it takes any (POSIX, `write`)."""


def open_to_read(path: str) -> int:
    """A file descriptor of a file or pipe; it does not wait for somebody who writes to the pipe.

    Raises:
        OSError: it cannot be opened, or is a terminal.
    """
    number = os.dup(0) if path == STANDARD else os.open(Path(path).expanduser(), os.O_RDONLY | os.O_NONBLOCK)
    return _no_terminal(number)


def open_to_write(path: str) -> int:
    """A file descriptor of a file, which begins anew, or of a pipe.

    Raises:
        OSError: it cannot be opened, is a terminal, or nobody reads the pipe.
    """
    if path == STANDARD:
        return _no_terminal(os.dup(1))
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK
        return _no_terminal(os.open(Path(path).expanduser(), flags, 0o644))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError("nobody reads this pipe; start its reader first") from error
        raise


def _no_terminal(number: int) -> int:
    if os.isatty(number):
        os.close(number)
        raise OSError("it is a terminal, and no file or pipe")
    return number


class Reader:
    """Reads in a thread of the caller; `stop` from any other ends the wait."""

    def __init__(self, number: int) -> None:
        """The file descriptor belongs to this object."""
        self._number = number
        self._wake, self._waker = os.pipe()
        self._poll = select.poll()
        self._poll.register(number, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def read(self, most: int) -> bytes:
        """At least one byte; none: it is over, or was stopped.

        Raises:
            OSError: it cannot be read.
        """
        while True:
            ready = [number for number, _ in self._poll.poll()]
            if self._wake in ready:
                return b""
            try:
                return os.read(self._number, most)
            except BlockingIOError:  # somebody else who reads the pipe was faster
                continue

    def stop(self) -> None:
        """Read no more."""
        os.write(self._waker, b".")

    def close(self) -> None:
        """Let go of it; nobody reads any more."""
        for number in (self._number, self._wake, self._waker):
            os.close(number)


class Writer:
    """Writes in a thread of its own; what is not taken in time is dropped, the oldest first."""

    def __init__(self, number: int, most: int) -> None:
        """The file descriptor belongs to this object.

        Args:
            number: the file descriptor.
            most: blocks that may wait.
        """
        self.error: OSError | None = None
        """What ended it."""
        self.dropped = 0
        """Blocks that were lost because nobody took them in time."""
        self._number = number
        self._blocks: deque[bytes] = deque(maxlen=most)
        self._news = threading.Condition()
        self._over_at: float | None = None
        self._thread = threading.Thread(target=self._work, name="qbcall-write", daemon=True)
        self._thread.start()

    def put(self, block: bytes) -> None:
        """One more block, to be written as a whole."""
        with self._news:
            self.dropped += len(self._blocks) == self._blocks.maxlen
            self._blocks.append(block)
            self._news.notify()

    def close(self) -> None:
        """Write the rest, if it is taken soon, and let go of the file; blocks until then."""
        with self._news:
            self._over_at = monotonic() + LINGER
            self._news.notify()
        self._thread.join()

    def _work(self) -> None:
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        try:
            while (block := self._next()) is not None:
                left = memoryview(block)
                while left and self._takes(poll):
                    try:
                        left = left[os.write(self._number, left[:AT_ONCE]) :]
                    except BlockingIOError:
                        continue
        except OSError as error:
            self.error = error
        finally:
            os.close(self._number)

    def _next(self) -> bytes | None:
        with self._news:
            while not self._blocks and self._over_at is None:
                self._news.wait()
            return self._blocks.popleft() if self._blocks and not self._late else None

    def _takes(self, poll: select.poll) -> bool:
        while not self._late:
            if poll.poll(LOOK * 1000):
                return True
        return False

    @property
    def _late(self) -> bool:
        return self._over_at is not None and monotonic() > self._over_at
