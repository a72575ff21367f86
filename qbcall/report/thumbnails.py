"""Small pictures of what is seen."""

from __future__ import annotations

import base64
import io

import av
from PIL import Image

from qbcall.report.document import Picture

WIDTH, MOST_HEIGHT = 160, 160
"""Pixels."""
QUALITY = 60
"""Of JPEG, 1 to 95; a picture of 160x120 has 3 to 5 kB."""


def thumbnail(frame: av.VideoFrame, at: float) -> Picture | None:
    """A small picture of a frame; None: it is of a kind that cannot be shown. Never raises.

    Args:
        frame: as it was decoded; of any size.
        at: when, in seconds since the call was made.
    """
    try:
        scale = min(WIDTH / frame.width, MOST_HEIGHT / frame.height)
        width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        small = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        written = io.BytesIO()
        Image.fromarray(small).save(written, "JPEG", quality=QUALITY)
    except Exception:  # a frame of whatever a peer sent
        return None
    return Picture(at=at, width=width, height=height, jpeg=base64.b64encode(written.getvalue()).decode("ascii"))
