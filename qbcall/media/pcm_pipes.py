"""Plain samples from and to files and pipes: little-endian, 16 bits, mono, no header."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np

from qbcall.core.model import MediaKind, User
from qbcall.errors import InvalidState, SinkError, SourceError
from qbcall.media.frames import Frame
from qbcall.media.listening import MonoBlocks
from qbcall.media.mono import Mono
from qbcall.media.pipes import Reader, Writer, open_to_read, open_to_write
from qbcall.media.speaking import PIECES, PcmSource

log = logging.getLogger("qbcall.media.pcm")

MOST_WAITING = 50
"""Blocks that may wait for a slow reader: 1 s."""
MOST_AHEAD = 3
"""Blocks of one user that wait for those of others, to be heard with them: 60 ms."""


class PipedSource(PcmSource):
    """Says what is read; at its end the source is over."""

    def __init__(self, reader: Reader, rate: int, *, live: bool) -> None:
        """Begin to read.

        Args:
            reader: belongs to this object.
            rate: samples per second.
            live: never wait: what is not sent in time is left out. Else the writer waits.
        """
        super().__init__(rate)
        self._reader = reader
        self._live = live
        self._threads = ThreadPoolExecutor(1, "qbcall-read")
        self._reading = asyncio.get_running_loop().create_task(self._read(), name="qbcall-read-pcm")
        self._error: OSError | None = None

    def pull(self) -> Mono | None:
        """See `PulledSource`.

        Raises:
            SourceError: it cannot be read.
        """
        if self._error is not None:
            raise SourceError(f"cannot be read: {self._error}")
        return super().pull()

    async def close(self) -> None:
        """Let go of the file."""
        await super().close()
        self._reader.stop()
        await asyncio.wait([self._reading])
        self._threads.shutdown(wait=False)
        self._reader.close()

    async def _read(self) -> None:
        loop, size, odd = asyncio.get_running_loop(), 2 * (self.rate // PIECES), b""
        with contextlib.suppress(InvalidState):  # the call is over
            try:
                while data := await loop.run_in_executor(self._threads, self._reader.read, size):
                    whole = odd + data
                    odd = whole[len(whole) & ~1 :]
                    await self._say(whole[: len(whole) & ~1])
            except OSError as error:
                self._error = error
            self.end()

    async def _say(self, data: bytes) -> None:
        if self._live:
            self.push(data)
        else:
            await self.write(data)


async def open_pcm(spec: str, path: str, rate: int, *, live: bool) -> PcmSource:
    """A file, pipe or standard input as a source.

    Raises:
        SourceError: it cannot be opened; names it, and why.
    """
    try:
        return PipedSource(Reader(await asyncio.to_thread(open_to_read, path)), rate, live=live)
    except OSError as error:
        raise SourceError(f"{spec}: cannot be read: {error.strerror or error}") from error


class Mixer:
    """Adds up the blocks of several users; one alone never waits for others."""

    def __init__(self) -> None:
        self._waiting: defaultdict[User, deque[Mono]] = defaultdict(deque)

    def add(self, user: User, block: Mono) -> list[Mono]:
        """One more block; what is complete with it.

        A user who is silent for longer than `MOST_AHEAD` is not waited for until it is heard again.
        """
        self._waiting[user].append(block)
        done: list[Mono] = []
        while self._waiting and (all(self._waiting.values()) or len(self._waiting[user]) > MOST_AHEAD):
            self._waiting = defaultdict(deque, {one: some for one, some in self._waiting.items() if some})
            done.append(_sum([some.popleft() for some in self._waiting.values()]))
        return done


def _sum(blocks: list[Mono]) -> Mono:
    """All at once; what is too loud is clipped."""
    total = np.sum(blocks, axis=0, dtype=np.int32)
    mixed: Mono = total.clip(-32768, 32767).astype(np.int16)
    return mixed


class PipedSink:
    """Writes what is heard of all users together, as it comes."""

    kinds = (MediaKind.AUDIO,)

    def __init__(self, spec: str, writer: Writer, rate: int) -> None:
        """`writer` belongs to this object; `rate` is in samples per second."""
        self._spec = spec
        self._writer = writer
        self._blocks: defaultdict[User, MonoBlocks] = defaultdict(lambda: MonoBlocks(rate, rate // PIECES))
        self._mixer = Mixer()
        self._warned = False

    def write(self, peer: User, frame: Frame) -> None:
        """Take sound.

        Raises:
            SinkError: it cannot be written any more.
        """
        if self._writer.error is not None:
            raise SinkError(f"{self._spec}: cannot be written: {self._writer.error.strerror}")
        if isinstance(frame, av.AudioFrame):
            for block in self._blocks[peer].push(frame):
                for mixed in self._mixer.add(peer, block):
                    self._writer.put(mixed.astype("<i2", copy=False).tobytes())
        if self._writer.dropped and not self._warned:
            self._warned = True
            log.warning("%s: its reader is too slow: sound is left out (told once)", self._spec)

    async def close(self) -> None:
        """Write the rest."""
        await asyncio.to_thread(self._writer.close)


async def open_pcm_sink(spec: str, path: str, rate: int) -> PipedSink:
    """A file, pipe or standard output as a sink.

    Raises:
        SinkError: it cannot be opened; names it, and why.
    """
    try:
        return PipedSink(spec, Writer(await asyncio.to_thread(open_to_write, path), MOST_WAITING), rate)
    except OSError as error:
        raise SinkError(f"{spec}: cannot be written: {error.strerror or error}") from error
