"""The sink `verify`: reads test cards and measures tones, and so tells whether what was sent arrived."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from time import time

import av
import numpy as np
import numpy.typing as npt

from qbcall.core.model import MediaKind, User
from qbcall.media.blocks import samples_of
from qbcall.media.frames import Frame
from qbcall.media.testcard import read, short_name
from qbcall.media.tone import pitch, pitch_of

TOLERANCE = 5.0
"""Hertz by which a tone may be off."""
MEASURED = 0.2
"""Seconds of sound in one measurement."""
MOST_KEPT = 500
"""Measurements that the median is taken of: the newest."""


@dataclass
class Finding:
    """What came from one user."""

    expected: str
    """The name that its cards must have."""
    tone_expected: int
    video_frames: int = 0
    cards: int = 0
    out_of_order: int = 0
    name: str | None = None
    counter: int = -1
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    audio_frames: int = 0
    sound: list[npt.NDArray[np.int16]] = field(default_factory=list)
    rate: int = 0
    tones: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))

    def see(self, frame: av.VideoFrame, now: float) -> None:
        """Read a card."""
        self.video_frames += 1
        card = read(frame)
        if card is None:
            return
        self.cards += 1
        if card.name == self.name and card.counter < self.counter:
            self.out_of_order += 1
        self.name, self.counter = card.name, card.counter
        self.delays.append(now - card.timestamp / 1000)

    def hear(self, frame: av.AudioFrame) -> None:
        """Collect sound; measure it when there is enough."""
        self.audio_frames += 1
        self.rate = frame.sample_rate
        self.sound.append(samples_of(frame)[:, 0])
        if sum(map(len, self.sound)) >= MEASURED * self.rate:
            found = pitch(np.concatenate(self.sound), self.rate)
            self.sound.clear()
            if found is not None:
                self.tones.append(found)

    def report(self) -> dict[str, object]:
        """The finding, for programs."""
        tone = round(median(self.tones), 1) if self.tones else None
        return {
            "video_frames": self.video_frames,
            "cards": self.cards,
            "out_of_order": self.out_of_order,
            "name": self.name,
            "name_expected": self.expected,
            "name_ok": self.name == self.expected,
            "delay": round(median(self.delays), 4) if self.delays else None,
            "audio_frames": self.audio_frames,
            "tone": tone,
            "tone_expected": self.tone_expected,
            "tone_ok": tone is not None and abs(tone - self.tone_expected) <= TOLERANCE,
        }


class Verifier:
    """Checks that each user sends the test source under the local part of its JID."""

    kinds = tuple(MediaKind)

    def __init__(self, tones: Mapping[str, int] | None = None) -> None:
        """Make one.

        Args:
            tones: the pitch of users by local part, in hertz, where it is not the one that belongs to the name.
        """
        self._tones = tones or {}
        self._findings: dict[User, Finding] = {}

    def write(self, peer: User, frame: Frame) -> None:
        """Look at a frame, or listen to it."""
        finding = self._findings.get(peer)
        if finding is None:
            name = peer.partition("@")[0]
            finding = Finding(short_name(name), self._tones.get(name, pitch_of(name)))
            self._findings[peer] = finding
        if isinstance(frame, av.VideoFrame):
            finding.see(frame, time())
        else:
            finding.hear(frame)

    def report(self, peer: User) -> dict[str, object] | None:
        """What came from a user; None: nothing did.

        Frames, readable cards, cards out of order, the name seen and expected; `delay` from drawing to reading in
        seconds (if both clocks agree); the tone in hertz, measured and expected.
        """
        finding = self._findings.get(peer)
        return None if finding is None else finding.report()

    async def close(self) -> None:
        """Nothing is held."""
