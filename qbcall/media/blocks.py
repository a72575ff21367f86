"""Sound of any rate, layout and format, cut into the blocks that are sent: 960 samples, 48 kHz, s16, stereo."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt

from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE

Samples = npt.NDArray[np.int16]
"""Shape (samples, 2)."""

LAYOUT = "stereo"
"""One layout for all that is sent, whatever the sources are: an Opus encoder takes no other in the middle."""


class Blocks:
    """A queue of sound: frames go in, blocks come out."""

    def __init__(self) -> None:
        self._resampler: av.AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._pieces: list[Samples] = []
        self._size = 0

    def __len__(self) -> int:
        """How many whole blocks are in it."""
        return self._size // AUDIO_BLOCK

    def push(self, frame: av.AudioFrame) -> None:
        """Add sound.

        Raises:
            ValueError, av.FFmpegError: it cannot be converted.
        """
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            ready = form[0] == "s16" and form[1] in ("mono", LAYOUT) and form[2] == AUDIO_RATE
            self._resampler = None if ready else av.AudioResampler("s16", LAYOUT, AUDIO_RATE)
            self._form = form
        if self._resampler is None:
            self._add(samples_of(frame))
            return
        frame.pts = None  # the resampler would fill gaps between time stamps; here they do not matter
        for part in self._resampler.resample(frame):
            self._add(samples_of(part))

    def pull(self) -> Samples | None:
        """The next block; None while there is no whole one."""
        if self._size < AUDIO_BLOCK:
            return None
        whole = np.concatenate(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
        self._pieces = [whole[AUDIO_BLOCK:]]
        self._size -= AUDIO_BLOCK
        return whole[:AUDIO_BLOCK]

    def clear(self) -> None:
        """Forget what is in it."""
        self._pieces.clear()
        self._size = 0

    def _add(self, samples: Samples) -> None:
        stereo = samples if samples.shape[1] == 2 else np.repeat(samples, 2, axis=1)
        self._pieces.append(stereo)
        self._size += len(stereo)


def samples_of(frame: av.AudioFrame) -> npt.NDArray[np.int16]:
    """The samples of a frame, shape (samples, channels), int16, at the rate of the frame."""
    if frame.format.name == "s16":
        return frame.to_ndarray().reshape(frame.samples, -1).astype(np.int16, copy=False)
    resampler = av.AudioResampler("s16", frame.layout.name, frame.sample_rate)
    parts = [part.to_ndarray().reshape(part.samples, -1) for part in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.int16, copy=False)


def audio_frame(samples: Samples, rate: int = AUDIO_RATE) -> av.AudioFrame:
    """A frame of s16 samples, shape (samples, 1 or 2)."""
    size, channels = samples.shape
    frame = av.AudioFrame(format="s16", layout="mono" if channels == 1 else LAYOUT, samples=size)
    frame.planes[0].update(np.ascontiguousarray(samples, np.int16))  # type: ignore[arg-type]  # any buffer
    frame.sample_rate = rate
    return frame
