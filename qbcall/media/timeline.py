"""Puts the frames of one user on one time line, whatever the clocks of its streams do. Pure.

Time stamps of RTP begin anywhere and say nothing about other streams. What ties them together: the least time that
frames needed until here is about the same for all, since they take the same path; and a peer that sends reports says
how its streams belong together (RFC 3550, section 6.4.1), which is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qbcall.core.model import MediaKind
from qbcall.media.delay import LeastDelay
from qbcall.media.encoded import EncodedFrame

JUMP = 0.3
"""Seconds by which a time may be wrong before it is set right at once, and not little by little."""
PACE = 0.1
"""Seconds per second, little by little."""
MOST_SKEW = 1.0
"""Seconds by which a report may differ from what is seen; more: it is nonsense."""


class Timeline:
    """Tells when each frame was made, in seconds of the clock of its arrival."""

    def __init__(self) -> None:
        self._streams: dict[MediaKind, _Stream] = {}
        self._shared = LeastDelay()
        self._reported: set[MediaKind] = set()

    def place(self, frame: EncodedFrame) -> float | None:
        """When it was made; None: it is of a stream that another one replaced."""
        stream = self._streams.get(frame.kind)
        if stream is None or frame.stream > stream.number:
            stream = self._streams[frame.kind] = _Stream(frame)
            self._shared = LeastDelay()
            self._reported.clear()
        elif frame.stream < stream.number:
            return None
        return stream.place(frame, self._offset(frame, stream.made(frame)))

    def _offset(self, frame: EncodedFrame, made: float) -> float | None:
        """What the peer's reports add to the time of a stream; None: they do not tell."""
        if frame.captured is None:
            return None
        self._reported.add(frame.kind)
        self._shared.add(frame.arrival, frame.arrival - frame.captured)
        return frame.captured - made + self._shared.least if len(self._reported) == len(MediaKind) else None


@dataclass(slots=True)
class _Stream:
    """One clock."""

    first: EncodedFrame
    _ticks: int = 0
    _offset: float | None = None
    _before: float = 0.0
    _delay: LeastDelay = field(default_factory=LeastDelay)

    @property
    def number(self) -> int:
        return self.first.stream

    def made(self, frame: EncodedFrame) -> float:
        """Seconds since the first one, by its own clock."""
        step = (frame.timestamp - self.first.timestamp - self._ticks + 2**31) % 2**32 - 2**31
        self._ticks += step
        return self._ticks / frame.clock_rate

    def place(self, frame: EncodedFrame, reported: float | None) -> float:
        made = self._ticks / frame.clock_rate
        self._delay.add(frame.arrival, frame.arrival - made)
        seen = self._delay.least
        target = seen if reported is None or abs(reported - seen) > MOST_SKEW else reported
        if self._offset is None or abs(target - self._offset) > JUMP:
            self._offset = target
        most = PACE * max(made - self._before, 0.0)
        self._offset += min(max(target - self._offset, -most), most)
        self._before = made
        return made + self._offset
