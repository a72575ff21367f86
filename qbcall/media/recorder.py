"""The sink `record:DIR`: one file for each user, encoded in a thread."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from pathlib import Path
from time import monotonic

import av

from qbcall.core.model import MediaKind, User
from qbcall.errors import SinkError
from qbcall.media.frames import Frame
from qbcall.media.peer_files import free_path, make_directory
from qbcall.media.recording import Recording

log = logging.getLogger("qbcall.media.recorder")

MOST_WAITING = 300
"""Frames that may wait for the encoder; more are left out of the recording."""

Item = tuple[User, float, Frame]


class Recorder:
    """Records what is received, into `<user>.mkv`."""

    kinds = tuple(MediaKind)

    def __init__(self, spec: str, directory: Path) -> None:
        self.error: Exception | None = None
        """What the recording broke with, e.g. a full disk."""
        self.dropped = 0
        """Frames that were left out, because the machine was too slow."""
        self._spec = spec
        self._directory = directory
        self._items: queue.Queue[Item | None] = queue.Queue()
        self._recordings: dict[User, Recording] = {}
        self._told = False
        self._thread = threading.Thread(target=self._work, name="qbcall-record", daemon=True)
        self._thread.start()

    def write(self, peer: User, frame: Frame) -> None:
        """Take a frame.

        Raises:
            SinkError: the recording broke.
        """
        if self.error is not None:
            self._tell()
        if self._items.qsize() < MOST_WAITING:
            self._items.put((peer, monotonic(), frame))
            return
        self.dropped += 1
        if self.dropped == 1:
            log.warning("%s: the machine is too slow; frames are left out of the recording", self._spec)

    async def close(self) -> None:
        """Finish all files.

        Raises:
            SinkError: the recording broke, and `write` did not tell.
        """
        self._items.put(None)
        await asyncio.to_thread(self._thread.join)
        if self.error is not None and not self._told:
            self._tell()

    def _tell(self) -> None:
        self._told = True
        raise SinkError(f"{self._spec}: the recording broke: {self.error}") from self.error

    def _work(self) -> None:
        while (item := self._items.get()) is not None:
            if self.error is None:
                self._attempt(item)
        for recording in self._recordings.values():
            try:
                recording.close()
            except (OSError, av.FFmpegError, ValueError) as error:
                self.error = self.error or error

    def _attempt(self, item: Item) -> None:
        peer, time, frame = item
        if peer not in self._recordings:
            self._recordings[peer] = Recording(lambda: free_path(self._directory, peer, ".mkv"))
        try:
            self._recordings[peer].write(frame, time)
        except (OSError, av.FFmpegError, ValueError) as error:
            self.error = error


async def open_recorder(spec: str, directory: str) -> Recorder:
    """Record into a directory, made if it is missing.

    Raises:
        SinkError: it cannot be written.
    """
    return Recorder(spec, await asyncio.to_thread(make_directory, spec, directory))
