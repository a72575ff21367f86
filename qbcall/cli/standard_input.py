"""Standard input, line by line, while an event loop runs."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress
from typing import BinaryIO

from qbcall.errors import InvalidArgument


class LineTooLong(InvalidArgument):
    """A line that is longer than what is taken."""


class Lines:
    """The lines of a stream. Each is read when it is asked for, so a writer that is too fast has to wait.

    A thread reads: event loops cannot wait for files, and must not change the mode of a terminal. It is left behind
    when nobody asks any more, so the stream is one of its own: Python takes the lock of `sys.stdin` when it ends.
    """

    def __init__(self, limit: int, stream: BinaryIO | None = None) -> None:
        """`limit`: most bytes of a line; `stream`: default: standard input."""
        self._limit = limit
        self._stream = stream or open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115 - nothing to close

    async def next(self) -> str | None:
        """The next line without its line feed; None: there is none.

        Raises:
            LineTooLong: it has more bytes than the limit; names both. The one after it comes next.
            InvalidArgument: it is not UTF-8. The one after it comes next.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[bytes, int]] = loop.create_future()

        def read() -> None:
            found = self._read()
            with suppress(RuntimeError):  # the event loop ended meanwhile
                loop.call_soon_threadsafe(_finish, done, found)

        threading.Thread(target=read, daemon=True).start()
        line, size = await done
        if not line:
            return None
        if size > self._limit:
            raise LineTooLong(f"data has {size} bytes in UTF-8, at most {self._limit}")
        return text_of(line.removesuffix(b"\n"))

    def _read(self) -> tuple[bytes, int]:
        """A line, which is complete if it is not too long, and how many bytes it has without its line feed."""
        line = piece = self._stream.readline(self._limit + 1)
        size = len(line)
        while piece and not piece.endswith(b"\n"):
            piece = self._stream.readline(self._limit + 1)
            size += len(piece)
        return line, size - piece.endswith(b"\n")


def text_of(data: bytes) -> str:
    """The text in these bytes.

    Raises:
        InvalidArgument: they are not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"data is not UTF-8: {error.reason} at byte {error.start}") from None


def _finish(done: asyncio.Future[tuple[bytes, int]], found: tuple[bytes, int]) -> None:
    if not done.done():
        done.set_result(found)
