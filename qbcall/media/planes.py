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
    samples: Plane = np.frombuffer(part, np.uint8)  # type: ignore[call-overload]  # planes are buffers, untold
    return samples.reshape(-1, part.line_size)[: part.height, : part.width]


def luma(frame: av.VideoFrame) -> Plane:
    """The brightness of a frame of any format, shape (height, width)."""
    return plane(frame if frame.format.name in PLANAR_LUMA else frame.reformat(format="gray"), 0)


def plain(width: int, height: int, colour: tuple[int, int, int] = BLACK) -> av.VideoFrame:
    """A yuv420p frame of one colour, given as Y, U, V."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, shade in enumerate(colour):
        plane(frame, index)[:] = shade
    return frame


def sendable(frame: av.VideoFrame) -> av.VideoFrame:
    """A copy that encoders take: yuv420p, width and height even (the last odd line or column is cut off).

    A copy, because time stamps are written to it, and because a decoded key frame would ask for a key frame again.

    Raises:
        ValueError: it is smaller than 2x2 pixels.
    """
    width, height = frame.width & ~1, frame.height & ~1
    if not width or not height:
        raise ValueError(f"a picture must have at least 2x2 pixels, not {frame.width}x{frame.height}")
    given = frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")
    copy = av.VideoFrame(width, height, "yuv420p")
    for index, scale in enumerate((1, 2, 2)):
        plane(copy, index)[:] = plane(given, index)[: height // scale, : width // scale]
    return copy


def is_sendable(frame: av.VideoFrame) -> bool:
    """Whether encoders take it as it is."""
    return frame.format.name == "yuv420p" and not (frame.width | frame.height) & 1


def letterbox(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """A yuv420p picture of just this even size: the whole frame with its proportions kept, on black."""
    if (frame.width, frame.height) == (width, height):
        return sendable(frame)
    scale = min(width / frame.width, height / frame.height)
    wide, tall = (
        min(most, max(2, round(side * scale / 2) * 2))
        for side, most in ((frame.width, width), (frame.height, height))
    )
    small = frame.reformat(width=wide, height=tall, format="yuv420p")
    made = plain(width, height)
    left, top = (width - wide) // 4 * 2, (height - tall) // 4 * 2
    for index, part in enumerate((1, 2, 2)):
        x, y = left // part, top // part
        plane(made, index)[y : y + tall // part, x : x + wide // part] = plane(small, index)
    return made
