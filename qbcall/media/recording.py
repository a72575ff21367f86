"""One recording: sound and picture of one user in one Matroska file.

Matroska, because a file that was cut short still plays; H.264 and Opus, because everything plays them. Times are
those of arrival, so that sound and picture stay together whatever the peers' clocks do.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from qbcall.core.model import MediaKind
from qbcall.media.blocks import LAYOUT, Blocks, audio_frame
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE, Frame
from qbcall.media.planes import letterbox

PATIENCE = 1.5
"""Seconds that the first kind waits for the other before the file is begun."""
GAP = 0.2
"""Seconds by which sound may be late before silence is filled in."""
MOST_GAP = 60.0
"""Seconds of silence that are filled in at most."""
TICKS = 1000
"""Ticks per second of video: Matroska counts milliseconds."""
X264 = {"preset": "superfast", "tune": "zerolatency", "crf": "23"}
SILENCE = np.zeros((AUDIO_BLOCK, 2), np.int16)


class Recording:
    """Frames go in as they arrive; used from one thread."""

    def __init__(self, next_path: Callable[[], Path]) -> None:
        """Make one; nothing is written before the first frames came.

        Args:
            next_path: where to write. Asked again when a kind of media comes late: files cannot get another stream.
        """
        self._next_path = next_path
        self._first: dict[MediaKind, tuple[float, Frame]] = {}
        self._waiting: list[tuple[float, Frame]] = []
        self._file: _File | None = None

    def write(self, frame: Frame, time: float) -> None:
        """A frame that arrived at this second.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        kind = MediaKind.VIDEO if isinstance(frame, av.VideoFrame) else MediaKind.AUDIO
        if self._file is not None and kind not in self._file.kinds:
            self._file.close()
            self._file = None
        if self._file is not None:
            self._file.write(frame, time)
            return
        self._first.setdefault(kind, (time, frame))
        self._waiting.append((time, frame))
        if len(self._first) == 2 or time - self._waiting[0][0] > PATIENCE:
            self._begin()

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        if self._file is None and self._waiting:
            self._begin()
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        start = self._waiting[0][0]
        video = self._first.get(MediaKind.VIDEO)
        size = (video[1].width, video[1].height) if video and isinstance(video[1], av.VideoFrame) else None
        self._file = _File(self._next_path(), start, size, MediaKind.AUDIO in self._first)
        for time, frame in self._waiting:
            self._file.write(frame, time)
        self._waiting.clear()


class _File:
    def __init__(self, path: Path, start: float, size: tuple[int, int] | None, audio: bool) -> None:
        self._start = start
        self._container: OutputContainer = av.open(path, "w", format="matroska")
        self._video = self._add_video(size) if size is not None else None
        self._audio = self._add_audio() if audio else None
        self._blocks = Blocks()
        self._samples = 0
        self._last_tick = -1

    @property
    def kinds(self) -> tuple[MediaKind, ...]:
        streams = ((MediaKind.VIDEO, self._video), (MediaKind.AUDIO, self._audio))
        return tuple(kind for kind, stream in streams if stream is not None)

    def write(self, frame: Frame, time: float) -> None:
        if isinstance(frame, av.VideoFrame):
            self._write_video(frame, time - self._start)
        else:
            self._write_audio(frame, time - self._start)

    def close(self) -> None:
        try:
            for stream in (self._video, self._audio):
                if stream is not None:
                    self._container.mux(stream.encode(None))
        finally:
            self._container.close()

    def _add_video(self, size: tuple[int, int]) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=30, options=X264)
        stream.width, stream.height = max(2, size[0] & ~1), max(2, size[1] & ~1)
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        return stream

    def _add_audio(self) -> AudioStream:
        stream = self._container.add_stream("libopus", rate=AUDIO_RATE, layout=LAYOUT)
        stream.bit_rate = 96_000
        return stream

    def _write_video(self, frame: av.VideoFrame, time: float) -> None:
        assert self._video is not None, "asked for its kinds before"
        picture = letterbox(frame, self._video.width, self._video.height)
        picture.pts = self._last_tick = max(round(time * TICKS), self._last_tick + 1)
        picture.time_base = Fraction(1, TICKS)
        self._container.mux(self._video.encode(picture))

    def _write_audio(self, frame: av.AudioFrame, time: float) -> None:
        missing = min(time - self._samples / AUDIO_RATE, MOST_GAP)
        if missing > GAP:
            for _ in range(int(missing * AUDIO_RATE / AUDIO_BLOCK)):
                self._encode_block(SILENCE)
        self._blocks.push(frame)
        while (block := self._blocks.pull()) is not None:
            self._encode_block(block)

    def _encode_block(self, samples: np.typing.NDArray[np.int16]) -> None:
        assert self._audio is not None, "asked for its kinds before"
        block = audio_frame(samples)
        block.pts, block.time_base = self._samples, Fraction(1, AUDIO_RATE)
        self._samples += AUDIO_BLOCK
        self._container.mux(self._audio.encode(block))
