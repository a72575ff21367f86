"""A camera, through OpenCV: the only file that needs it besides the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from qbcall.errors import SourceError
from qbcall.media.frames import VideoFormat
from qbcall.media.live import LiveSource, open_device

if TYPE_CHECKING:
    import cv2

REMEDY = "install it with: pip install 'qbcall[camera]' (and libgl1 on Debian)"


class Camera:
    """An opened camera; used from one thread."""

    def __init__(self, spec: str, number: int, format: VideoFormat) -> None:
        """Open it; the size and rate are wishes that the camera may not follow.

        Raises:
            SourceError: OpenCV or the camera is missing.
        """
        try:
            import cv2  # noqa: PLC0415 - slow to import, and missing on many machines
        except ImportError as error:
            raise SourceError(f"{spec}: OpenCV cannot be imported ({error}); {REMEDY}") from error
        self._capture: cv2.VideoCapture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(f"{spec}: camera {number} cannot be opened; `qbcall devices` shows what there is")
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, format.width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, format.height)
        self._capture.set(cv2.CAP_PROP_FPS, format.fps)

    def grab(self) -> av.VideoFrame:
        """The next picture.

        Raises:
            OSError: the camera gives none, e.g. because it was unplugged.
        """
        good, picture = self._capture.read()
        if not good:
            raise OSError("the camera gives no picture")
        # Made sendable here, in the thread of the camera: it takes milliseconds.
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24").reformat(format="yuv420p")

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()


async def open_camera(spec: str, number: int, format: VideoFormat) -> LiveSource:
    """A camera as a source.

    Raises:
        SourceError: OpenCV or the camera is missing.
    """
    return await open_device(spec, lambda: Camera(spec, number, format))
