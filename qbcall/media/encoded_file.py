"""A Matroska file of frames that are encoded here: H.264 and Opus, because everything plays them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from qbcall.media.blocks import LAYOUT, Samples, audio_frame
from qbcall.media.frames import AUDIO_RATE
from qbcall.media.matroska import OPTIONS, TICK

X264 = {"preset": "superfast", "tune": "zerolatency", "crf": "23", "g": "150"}


class EncodedFile:
    """Pictures of one size, and sound."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        """Create it.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        self._container: OutputContainer = av.open(path, "w", format="matroska", container_options=OPTIONS)
        self._video = self._container.add_stream("libx264", rate=30, options=X264)
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        self._video.thread_count = 1
        self._video.time_base = self._video.codec_context.time_base = TICK
        self._audio = self._container.add_stream("libopus", rate=AUDIO_RATE, layout=LAYOUT)
        self._audio.bit_rate = 96_000

    def write_picture(self, picture: av.VideoFrame, time: float) -> None:
        """A picture at this second of the file; takes the frame over."""
        picture.pts, picture.time_base = round(time / TICK), TICK
        self._container.mux(self._video.encode(picture))

    def write_sound(self, samples: Samples, begin: int) -> None:
        """Sound that begins with this sample of the file; what is left out is silence that takes no room."""
        block = audio_frame(samples)
        block.pts, block.time_base = begin, Fraction(1, AUDIO_RATE)
        self._container.mux(self._audio.encode(block))

    def close(self) -> None:
        """Finish it.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        try:
            for stream in (self._video, self._audio):
                self._container.mux(stream.encode(None))
        finally:
            self._container.close()
