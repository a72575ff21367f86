"""Microphone and loudspeaker, through sounddevice (PortAudio): the only file that needs it.

PortAudio calls back on a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from functools import partial
from types import ModuleType
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt

from qbcall.core.model import MediaKind, User
from qbcall.errors import MediaError, SinkError, SourceError
from qbcall.media.blocks import Blocks, audio_frame
from qbcall.media.frames import AUDIO_BLOCK, AUDIO_RATE, Frame
from qbcall.media.waiting import WaitingFrames

REMEDY = "install it with: pip install 'qbcall[sound]' (and libportaudio2 on Debian)"
MOST_BLOCKS = 10
"""Blocks of one peer that may wait for the loudspeaker: 200 ms; older ones are dropped."""


class _Stream(Protocol):
    def start(self) -> None: ...

    def close(self) -> None: ...


def library(spec: str, error: type[MediaError]) -> ModuleType:
    """The module `sounddevice`.

    Raises:
        SourceError, SinkError: whichever was asked for: it, or PortAudio, is missing.
    """
    try:
        import sounddevice  # noqa: PLC0415 - optional, and missing on many machines
    except (ImportError, OSError) as problem:
        raise error(f"{spec}: sounddevice cannot be imported ({problem}); {REMEDY}") from problem
    assert isinstance(sounddevice, ModuleType), "imports are modules"
    return sounddevice


class Microphone:
    """The default microphone as a source."""

    def __init__(self, spec: str, loop: asyncio.AbstractEventLoop) -> None:
        """Open it; blocks. What it hears is read on this event loop.

        Raises:
            SourceError: sounddevice or the microphone is missing.
        """
        self._loop = loop
        self._frames = WaitingFrames(MOST_BLOCKS)
        sounddevice = library(spec, SourceError)
        try:
            self._stream: _Stream = sounddevice.InputStream(
                samplerate=AUDIO_RATE, blocksize=AUDIO_BLOCK, channels=1, dtype="int16", callback=self._heard
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise SourceError(f"{spec}: the microphone cannot be opened: {error}") from error

    async def read(self) -> Frame:
        """The next 20 ms."""
        return await self._frames.get()

    async def close(self) -> None:
        """Let go of the microphone."""
        await asyncio.to_thread(self._stream.close)

    def _heard(self, samples: npt.NDArray[np.int16], count: int, time: object, status: object) -> None:
        frame = audio_frame(samples.copy())
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(partial(self._frames.put, frame))


async def open_microphone(spec: str) -> Microphone:
    """The default microphone as a source.

    Raises:
        SourceError: sounddevice or the microphone is missing.
    """
    return await asyncio.to_thread(Microphone, spec, asyncio.get_running_loop())


class Speaker:
    """The default loudspeaker as a sink: all peers are heard together."""

    kinds = (MediaKind.AUDIO,)

    def __init__(self, spec: str) -> None:
        """Open it; blocks.

        Raises:
            SinkError: sounddevice or the loudspeaker is missing.
        """
        self._peers: defaultdict[User, Blocks] = defaultdict(Blocks)
        self._lock = threading.Lock()
        sounddevice = library(spec, SinkError)
        try:
            self._stream: _Stream = sounddevice.OutputStream(
                samplerate=AUDIO_RATE, blocksize=AUDIO_BLOCK, channels=2, dtype="int16", callback=self._play
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise SinkError(f"{spec}: the loudspeaker cannot be opened: {error}") from error

    def write(self, peer: User, frame: Frame) -> None:
        """Play sound."""
        if isinstance(frame, av.AudioFrame):
            with self._lock:
                blocks = self._peers[peer]
                blocks.push(frame)
                while len(blocks) > MOST_BLOCKS:
                    blocks.pull()

    async def close(self) -> None:
        """Let go of the loudspeaker."""
        await asyncio.to_thread(self._stream.close)

    def _play(self, out: npt.NDArray[np.int16], count: int, time: object, status: object) -> None:
        with self._lock:
            parts = [blocks.pull() for blocks in self._peers.values()]
        out[:] = mix(parts)


def mix(parts: list[npt.NDArray[np.int16] | None]) -> npt.NDArray[np.int16]:
    """One block of all that is heard at once, shape (960, 2); what is too loud is clipped."""
    total = np.zeros((AUDIO_BLOCK, 2), np.int32)
    for part in parts:
        if part is not None:
            total += part
    return total.clip(-32768, 32767).astype(np.int16)
