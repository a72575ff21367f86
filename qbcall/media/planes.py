"""Planes of video frames as numpy arrays, without copying, and frames of one colour."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt

PLANAR_LUMA = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"})
"""Pixel formats whose first plane is 8-bit luma."""
BLACK = (16, 128, 128)
"""Y, U, V in the range of television (ITU-R BT.601)."""

Plane = npt.NDArray[np.uint8]


def plane(frame: av.VideoFrame, index: int) -> Plane:
    """A plane of 8-bit samples as an array of shape (height, width); writing to it writes to the frame."""
    part = frame.planes[index]
    return np.frombuffer(part, np.uint8).reshape(-1, part.line_size)[: part.height, : part.width]


def luma(frame: av.VideoFrame) -> Plane:
    """The brightness of a frame of any format, shape (height, width)."""
    return plane(frame if frame.format.name in PLANAR_LUMA else frame.reformat(format="gray"), 0)


def plain(width: int, height: int, colour: tuple[int, int, int] = BLACK) -> av.VideoFrame:
    """A yuv420p frame of one colour, given as Y, U, V."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, shade in enumerate(colour):
        plane(frame, index)[:] = shade
    return frame
