"""The sink `snapshot:DIR[,every=S]`: the newest picture of each user as a PNG file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
from PIL import Image

from qbcall.core.model import MediaKind, User
from qbcall.errors import SinkError
from qbcall.media.frames import Frame
from qbcall.media.peer_files import make_directory, safe_name


class Snapshots:
    """Writes `<user>.png`, over and over, and at the end."""

    kinds = (MediaKind.VIDEO,)

    def __init__(self, spec: str, directory: Path, every: float | None) -> None:
        self._spec = spec
        self._directory = directory
        self._every = every
        self._newest: dict[User, av.VideoFrame] = {}
        self._saved_at: dict[User, float] = {}
        self._saving: dict[User, asyncio.Task[None]] = {}

    def write(self, peer: User, frame: Frame) -> None:
        """Keep a picture.

        Raises:
            SinkError: the one before could not be written.
        """
        if not isinstance(frame, av.VideoFrame):
            return
        self._newest[peer] = frame
        now = asyncio.get_running_loop().time()
        if self._every is None or now - self._saved_at.get(peer, -self._every) < self._every:
            return
        saving = self._saving.get(peer)
        if saving is None or saving.done():
            if saving is not None:
                saving.result()
            self._saved_at[peer] = now
            self._saving[peer] = asyncio.get_running_loop().create_task(self._save(peer, frame))

    async def close(self) -> None:
        """Write the newest picture of everybody.

        Raises:
            SinkError: one cannot be written.
        """
        if self._saving:
            await asyncio.wait(self._saving.values())
        for peer, frame in self._newest.items():
            await self._save(peer, frame)

    async def _save(self, peer: User, frame: av.VideoFrame) -> None:
        path = self._directory / f"{safe_name(peer)}.png"
        try:
            await asyncio.to_thread(save_png, frame, path)
        except OSError as error:
            raise SinkError(f"{self._spec}: {path} cannot be written: {error}") from error


def save_png(frame: av.VideoFrame, path: Path) -> None:
    """Write a picture; whoever reads the file meanwhile gets the old one or the new one, never half of it.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        Image.fromarray(frame.to_ndarray(format="rgb24")).save(part, format="PNG", compress_level=1)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


async def open_snapshots(spec: str, directory: str, every: float | None) -> Snapshots:
    """Write pictures into a directory, made if it is missing.

    Args:
        spec: what to call it in messages.
        directory: where.
        every: seconds between two pictures of one user; None: only the last one.

    Raises:
        SinkError: it cannot be written.
    """
    return Snapshots(spec, await asyncio.to_thread(make_directory, spec, directory), every)
