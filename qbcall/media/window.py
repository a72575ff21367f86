"""The sink `window`: the pictures of all users side by side, through OpenCV."""

from __future__ import annotations

import asyncio
import os
import threading
from types import ModuleType

import av
import numpy as np
import numpy.typing as npt

from qbcall.core.model import MediaKind, User
from qbcall.errors import SinkError
from qbcall.media.camera import REMEDY
from qbcall.media.frames import Frame
from qbcall.media.planes import letterbox

TILE = (480, 360)
"""Width and height of one user's picture."""
TITLE = "qbcall"
REFRESH_MS = 33


class Window:
    """A window that shows everybody; a thread of its own draws it."""

    kinds = (MediaKind.VIDEO,)

    def __init__(self, spec: str, cv2: ModuleType) -> None:
        self._spec = spec
        self._cv2 = cv2
        self._newest: dict[User, av.VideoFrame] = {}
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="qbcall-window", daemon=True)
        self._thread.start()

    def write(self, peer: User, frame: Frame) -> None:
        """Show a picture.

        Raises:
            SinkError: the window broke.
        """
        if self._error is not None:
            raise SinkError(f"{self._spec}: the window broke: {self._error}") from self._error
        if isinstance(frame, av.VideoFrame):
            self._newest[peer] = frame

    async def close(self) -> None:
        """Close the window."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 2.0)

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                if pictures := tuple(self._newest.values()):
                    self._cv2.imshow(TITLE, tiles(pictures))
                self._cv2.waitKey(REFRESH_MS)
            self._cv2.destroyAllWindows()
        except Exception as error:  # cv2.error, which is known only when OpenCV is there
            self._error = error


def tiles(pictures: tuple[av.VideoFrame, ...]) -> npt.NDArray[np.uint8]:
    """All pictures in one: as many columns as rows, or one more; BGR, shape (height, width, 3)."""
    columns = int(np.ceil(np.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    whole = np.zeros((rows * TILE[1], columns * TILE[0], 3), np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // columns * TILE[1], index % columns * TILE[0]
        whole[top : top + TILE[1], left : left + TILE[0]] = letterbox(picture, *TILE).to_ndarray(format="bgr24")
    return whole


async def open_window(spec: str) -> Window:
    """A window on the display.

    Raises:
        SinkError: OpenCV or the display is missing.
    """
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        raise SinkError(f"{spec}: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)")
    return Window(spec, await asyncio.to_thread(_library, spec))


def _library(spec: str) -> ModuleType:
    try:
        import cv2  # noqa: PLC0415 - slow to import, and missing on many machines
    except ImportError as error:
        raise SinkError(f"{spec}: OpenCV cannot be imported ({error}); {REMEDY}") from error
    assert isinstance(cv2, ModuleType), "imports are modules"
    return cv2
