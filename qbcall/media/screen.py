"""The screen of an X11 display, through FFmpeg's x11grab."""

from __future__ import annotations

import os
from collections.abc import Iterator

import av

from qbcall.errors import SourceError
from qbcall.media.decoding import fit
from qbcall.media.frames import VideoFormat
from qbcall.media.live import LiveSource, open_device


class Screen:
    """An opened display; used from one thread."""

    def __init__(self, spec: str, format: VideoFormat) -> None:
        """Open the display that DISPLAY names.

        Raises:
            SourceError: there is no display.
        """
        display = os.environ.get("DISPLAY", "")
        if not display:
            raise SourceError(f"{spec}: there is no X11 display (DISPLAY is not set)")
        try:
            options = {"framerate": str(format.fps), "draw_mouse": "1"}
            self._container = av.open(display, format="x11grab", options=options)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"{spec}: the display {display} cannot be read: {error}") from error
        self._format = format
        self._frames: Iterator[av.VideoFrame] = self._container.decode(video=0)

    def grab(self) -> av.VideoFrame:
        """The next picture, no larger than was asked for."""
        return fit(next(self._frames), self._format)

    def close(self) -> None:
        """Let go of the display."""
        self._container.close()


async def open_screen(spec: str, format: VideoFormat) -> LiveSource:
    """The screen as a source.

    Raises:
        SourceError: there is no display.
    """
    return await open_device(spec, lambda: Screen(spec, format))
