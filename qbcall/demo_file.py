"""A media file that the demo plays, to compare with what arrived of it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qbcall.errors import SourceError

GRID = (16, 12)
"""Width and height of the small grey pictures that are compared."""
SIMILAR = 10.0
"""Mean difference of two of them, of 255, below which they show the same; a codec makes one below 4."""


class Original:
    """The beginning of a media file."""

    def __init__(self, path: str, seconds: float) -> None:
        """Read it.

        Args:
            path: the file.
            seconds: how much of it is compared with.

        Raises:
            SourceError: missing, unreadable or not media.
        """
        self._pictures: list[NDArray[np.float32]] = []
        try:
            with av.open(path) as container:
                self.has_sound = bool(container.streams.audio)
                self.has_picture = bool(container.streams.video)
                if self.has_picture:
                    self._read(container, seconds)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(f"file:{path}: {error}") from error

    def distance(self, picture: Path) -> float | None:
        """Mean difference, of 255, to the most similar picture of the file; None: there is nothing to compare."""
        if not self._pictures or not picture.exists():
            return None
        with Image.open(picture) as image:
            seen = _small(image)
        return min(float(np.abs(seen - own).mean()) for own in self._pictures)

    def _read(self, container: av.container.InputContainer, seconds: float) -> None:
        for frame in container.decode(video=0):
            if frame.pts is not None and frame.time > seconds:
                return
            self._pictures.append(_small(Image.fromarray(frame.to_ndarray(format="gray"))))


def _small(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image.convert("L").resize(GRID, Image.Resampling.BOX), np.float32)
