"""How much a peer may send, by the times at which its packets left and came. Pure.

It tells what aiortc tells (draft-ietf-rmcat-gcc-02, section 5), and takes a fifth of its time: 5 us for a packet.
What follows for the rate is aiortc's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from aiortc.rate import AimdRateControl, BandwidthUsage

from qbcall.adapters.rtc_queueing import OVERUSING, Queueing

WINDOW = 1000
"""Milliseconds over which the bit rate is told."""
REPORT_INTERVAL = 500
"""Milliseconds between two estimates, unless it is high time."""
CLOCK = 2**18
"""Ticks per second of the time that is sent with a packet (webrtc.org/experiments/rtp-hdrext/abs-send-time)."""
TURN = 2**24
"""Ticks until it begins again."""
GROUP = CLOCK * 5 // 1000
"""Ticks: packets that were sent in this time belong together."""
BURST = 5
"""Milliseconds; packets that come in this time, and sooner than they were sent, waited for the same thing."""


class Rate:
    """Bits per second over the last second."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, int]] = deque()
        """When, in milliseconds, and how many bytes."""
        self._bytes = 0
        self._since: int | None = None

    def add(self, value: int, now_ms: int) -> None:
        """So many bytes came."""
        if self._since is None:
            self._since = now_ms
        self._forget(now_ms)
        self._parts.append((now_ms, value))
        self._bytes += value

    def rate(self, now_ms: int) -> int | None:
        """None: nothing came, or all at once."""
        if self._since is None:
            return None
        self._forget(now_ms)
        window = now_ms - self._since + 1
        return round(8000 * self._bytes / window) if self._parts and window > 1 else None

    def reset(self) -> None:
        """Begin again."""
        self._parts.clear()
        self._bytes, self._since = 0, None

    def _forget(self, now_ms: int) -> None:
        start = now_ms - WINDOW + 1
        if self._since is not None and self._since < start:
            self._since = start
        while self._parts and self._parts[0][0] < start:
            self._bytes -= self._parts.popleft()[1]


@dataclass(slots=True)
class Group:
    """Packets that were sent at one time."""

    first: int
    """When the first was sent."""
    last: int
    """When the last was sent."""
    came: int
    """When the last came, in milliseconds."""
    size: int
    """Bytes."""

    def waited_with(self, sent: int, now: int) -> bool:
        """Whether a packet came with the latest of these, though it was sent later."""
        later = round((sent - self.last) % TURN * 1000 / CLOCK)
        return later == 0 or (now - self.came < later and now - self.came <= BURST)


class Estimate:
    """Of the bits per second that one peer may send."""

    def __init__(self) -> None:
        self._rate = Rate()
        self._counts = True
        self._queueing = Queueing()
        self._control = AimdRateControl()
        self._ssrcs: dict[int, None] = {}
        self._told_at: int | None = None
        self._group: Group | None = None
        self._before: Group | None = None

    @property
    def usage(self) -> BandwidthUsage:
        """Of the path, as it was last seen."""
        return self._queueing.usage

    def add(self, sent: int, now: int, size: int, ssrc: int) -> tuple[int, list[int]] | None:
        """A packet came; maybe what the peer is to be told now: bits per second, and for which streams.

        Args:
            sent: when it left, in ticks of `CLOCK`.
            now: milliseconds.
            size: bytes.
            ssrc: its stream.
        """
        self._ssrcs[ssrc] = None
        if self._rate.rate(now) is not None:
            self._counts = True
        elif self._counts:
            self._rate.reset()
            self._counts = False
        self._rate.add(size, now)
        self._note(sent, now, size)
        if self._told_at is not None and now - self._told_at <= REPORT_INTERVAL and self.usage is not OVERUSING:
            return None
        bits = self._control.update(self.usage, self._rate.rate(now), now)
        if bits is None:
            return None
        self._told_at = now
        return bits, list(self._ssrcs)

    def _note(self, sent: int, now: int, size: int) -> None:
        group = self._group
        if group is None:
            self._group = Group(sent, sent, now, size)
            return
        since = (sent - group.first) % TURN
        if since >= TURN // 2:
            return  # it was sent before the first of this group
        if since > GROUP and not group.waited_with(sent, now):
            before = self._before
            if before is not None:
                later = (group.last - before.last) % TURN * 1000 / CLOCK
                self._queueing.note(group.came - before.came, later, group.size - before.size, now)
            self._before, self._group = group, Group(sent, sent, now, size)
            return
        if 0 < (sent - group.last) % TURN < TURN // 2:
            group.last = sent
        group.size += size
        group.came = now
