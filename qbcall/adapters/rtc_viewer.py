"""Who takes what is received from one user, and what was received of one kind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time

import av

from qbcall.adapters.rtc_clock import SenderClock
from qbcall.adapters.rtc_thread import MediaThread, Worker
from qbcall.adapters.rtc_tracks import Asked, FrameCount
from qbcall.core.freezes import Freezes
from qbcall.core.model import MediaKind
from qbcall.media.encoded import EncodedFrame
from qbcall.media.frames import Frame
from qbcall.media.testcard import read, short_name

CLOCK_STEP = -0.002
"""Seconds that a card may come from the future: it is drawn to the millisecond."""
MOST_DELAY = 60.0
"""Seconds; a card that is older was drawn by another clock."""

log = logging.getLogger("qbcall.adapters.rtc")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Takes what one user sends."""

    deliver: Callable[[Frame], None]
    wants: Callable[[MediaKind], bool] = lambda _: True
    """Whether frames of this kind are to be decoded now."""
    passed: Callable[[MediaKind], None] = lambda _: None
    """Told of each frame that was received and not decoded, because nobody wants it."""
    thread: Worker = field(default_factory=lambda: MediaThread("qbcall-decode"))
    """Where pictures are decoded."""
    name: str = ""
    """What the test cards of the user say, if the source `test` is sent as it is."""
    records: Callable[[MediaKind], bool] = lambda _: False
    """Whether frames of this kind are to be handed over as they came."""
    record: Callable[[EncodedFrame], bool] = lambda _: False
    """Takes a frame as it came; tells whether a complete picture is needed."""


class Received(FrameCount):
    """Counts the frames of one kind that come from one user, and hands them over."""

    def __init__(self, kind: MediaKind, viewer: Viewer) -> None:
        super().__init__()
        self.kind = kind
        self.decoded = 0
        """How many of them were decoded."""
        self.made_up = 0
        """How many more there were in place of lost ones."""
        self.size: tuple[int, int] | None = None
        """Width and height of the newest picture that told."""
        self.level: float | None = None
        """Loudness of the newest sound as the peer says (RFC 6464), 0 to 1; None: it does not say."""
        self.dropped = 0
        """Pictures that came and were not decoded, though somebody looked."""
        self.freezes = Freezes()
        self.asked: Asked | None = None
        """What the user was asked for; None: nobody counts."""
        self._came_at = 0.0
        self.clock = SenderClock()
        """Of the peer."""
        self._viewer = viewer
        self._complained = False

    @property
    def wanted(self) -> bool:
        """Whether anybody looks or listens."""
        return self._viewer.wants(self.kind)

    @property
    def recorded(self) -> bool:
        """Whether anybody takes frames as they came."""
        return self._viewer.records(self.kind)

    def record(self, frame: EncodedFrame) -> bool:
        """One came, and somebody takes it as it is; whether he needs a complete picture."""
        try:
            return self._viewer.record(frame)
        except Exception:
            self._complain("recorded")
            return False

    def pass_by(self) -> None:
        """One came that nobody wants."""
        self.frames += 1
        self.latest = None
        self.freezes.pause()
        self._viewer.passed(self.kind)

    def drop(self, pictures: int = 1) -> None:
        """Some came that could not be decoded."""
        self.dropped += pictures

    def delay(self) -> float | None:
        """Seconds from the drawing to the decoding of the newest picture, if the user's clock is this machine's.

        None: it is no test card that the user drew (an echo bot sends those of others).
        """
        card = read(self.latest) if isinstance(self.latest, av.VideoFrame) else None
        if card is None or card.name != short_name(self._viewer.name):
            return None
        seconds = self._came_at - card.timestamp / 1000
        return max(seconds, 0.0) if CLOCK_STEP < seconds < MOST_DELAY else None

    def hand_over(self, frame: Frame, *, made_up: bool = False) -> None:
        """One came, and was decoded; or did not come, and was made up."""
        if made_up:
            self.made_up += 1
        else:
            self.add(frame)
            self.decoded += 1
            self._came_at = time()
            if self.kind is MediaKind.VIDEO:
                self.freezes.show(monotonic())
        try:
            self._viewer.deliver(frame)
        except Exception:
            self._complain("delivered")

    def _complain(self, what: str) -> None:
        if not self._complained:
            log.exception("a received %s frame could not be %s (told once)", self.kind.value, what)
        self._complained = True
