"""The sink `record:DIR`: one file for each user, written as it came; on request one with all, which is encoded."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path
from time import monotonic

from qbcall.core.model import MediaKind, User
from qbcall.errors import SinkError
from qbcall.media.copy_recording import CopyRecording
from qbcall.media.encoded import EncodedFrame, EncodedSink
from qbcall.media.file_thread import FileThread
from qbcall.media.frames import Frame
from qbcall.media.mixed_recording import MixedRecording
from qbcall.media.peer_files import free_path, make_directory

MOST_BYTES = 32_000_000
"""That may wait for the disk; a minute at 4 Mbit/s."""
MOST_DECODED = 100_000_000
"""Bytes of decoded frames that may wait for the encoder of the file with all; 3 s of 1280x720 at 25 pictures/s."""
OVERHEAD = 200
"""Bytes that a frame takes besides its data."""
MIXED = User("mixed")
"""The name of the file with all; users have an `@`."""


class Recorder(EncodedSink):
    """Records what is received: each user into `<user>.mkv`, and with `mix` all into `mixed.mkv`."""

    encoded_kinds = tuple(MediaKind)

    def __init__(self, spec: str, directory: Path, *, mix: bool = False) -> None:
        self._spec = spec
        self._directory = directory
        self._recordings: dict[User, CopyRecording] = {}
        self._begun: set[User] = set()
        """Users of whom the latest picture was taken, so that the next one can follow it."""
        self._mixed = MixedRecording(lambda: free_path(directory, MIXED, ".mkv")) if mix else None
        self._copies = FileThread(spec, self._copy, self._finish, MOST_BYTES)
        self._mixing = FileThread(spec, self._mix, self._finish_mixed, MOST_DECODED)
        self._told = False

    @property
    def kinds(self) -> Collection[MediaKind]:
        """What it takes decoded: nothing, but for the file with all."""
        return () if self._mixed is None else tuple(MediaKind)

    @property
    def error(self) -> Exception | None:
        """What the recording broke with, e.g. a full disk."""
        return self._copies.error or self._mixing.error

    @property
    def dropped(self) -> int:
        """Frames that were left out, because the disk or the machine was too slow."""
        return self._copies.dropped + self._mixing.dropped

    def write_encoded(self, peer: User, frame: EncodedFrame) -> bool:
        """Take a frame as it came; see `EncodedSink`.

        Raises:
            SinkError: the recording broke.
        """
        self._check()
        size = len(frame.data) + OVERHEAD
        if frame.kind is MediaKind.AUDIO:
            self._copies.put((peer, frame), size)
            return False
        if (frame.keyframe or peer in self._begun) and self._copies.put((peer, frame), size):
            self._begun.add(peer)
            recording = self._recordings.get(peer)
            return recording is not None and recording.needs_picture
        self._begun.discard(peer)
        return True

    def write(self, peer: User, frame: Frame) -> None:
        """Take a decoded frame.

        Raises:
            SinkError: the recording broke.
        """
        self._check()
        size = sum(plane.buffer_size for plane in frame.planes) + OVERHEAD
        self._mixing.put((peer, monotonic(), frame), size)

    async def close(self) -> None:
        """Finish all files.

        Raises:
            SinkError: the recording broke, and nobody was told.
        """
        await asyncio.gather(self._copies.close(), self._mixing.close())
        if not self._told:
            self._check()

    # -- details -----------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.error is not None:
            self._told = True
            raise SinkError(f"{self._spec}: the recording broke: {self.error}") from self.error

    def _copy(self, item: tuple[User, EncodedFrame]) -> None:
        peer, frame = item
        if peer not in self._recordings:
            self._recordings[peer] = CopyRecording(lambda: free_path(self._directory, peer, ".mkv"))
        self._recordings[peer].write(frame)

    def _mix(self, item: tuple[User, float, Frame]) -> None:
        if self._mixed is not None:
            self._mixed.write(*item)

    def _finish(self) -> None:
        _close_all(self._recordings.values())

    def _finish_mixed(self) -> None:
        if self._mixed is not None:
            self._mixed.close()


def _close_all(recordings: Iterable[CopyRecording]) -> None:
    """Finish each, whatever becomes of the others; raises what the last one broke with."""
    broken: Exception | None = None
    for recording in recordings:
        try:
            recording.close()
        except Exception as error:
            broken = error
    if broken is not None:
        raise broken


async def open_recorder(spec: str, directory: str, *, mix: bool = False) -> Recorder:
    """Record into a directory, made if it is missing.

    Raises:
        SinkError: it cannot be written.
    """
    return Recorder(spec, await asyncio.to_thread(make_directory, spec, directory), mix=mix)
