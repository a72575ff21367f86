"""Packets in the order in which they were sent."""

from __future__ import annotations

from aiortc.rtp import RtpPacket

FAR = 1000
"""Packets; one that is farther away belongs to a stream that began again (RFC 3550, appendix A.1: MAX_DROPOUT)."""
STRAYS = 3
"""Packets far behind, one after the other, that show that the numbers began again and not that one was late."""


class Sequence:
    """Gives packets out in order; those behind a gap are held, a few of them, until the missing ones came."""

    def __init__(self, most_held: int) -> None:
        self._most_held = most_held
        self._next: int | None = None
        self._held: dict[int, RtpPacket] = {}
        self._strays = 0

    @property
    def holds(self) -> bool:
        """Whether some wait."""
        return bool(self._held)

    def add(self, packet: RtpPacket) -> list[RtpPacket]:
        """Those that are next, now that this one came."""
        number = packet.sequence_number
        if self._next is None:
            self._next = number
        ahead = distance(number, self._next)
        if abs(ahead) > FAR:
            return self._stray(packet)
        self._strays = 0
        if ahead >= 0:
            self._held[number] = packet
        ready = self._ready()
        while len(self._held) > self._most_held:
            ready += self.skip()
        return ready

    def skip(self) -> list[RtpPacket]:
        """Wait no more for what is missing before the first that is held: those that are next then."""
        if not self._held:
            return []
        assert self._next is not None, "a packet was added"
        start = self._next
        self._next = min(self._held, key=lambda number: distance(number, start))
        return self._ready()

    def _ready(self) -> list[RtpPacket]:
        ready: list[RtpPacket] = []
        assert self._next is not None, "a packet was added"
        while (packet := self._held.pop(self._next, None)) is not None:
            ready.append(packet)
            self._next = (self._next + 1) % 2**16
        return ready

    def _stray(self, packet: RtpPacket) -> list[RtpPacket]:
        self._strays += 1
        if self._strays < STRAYS:
            return []
        self._strays, self._next, rest = 0, packet.sequence_number, self._held
        self._held = {}
        start = min(rest, default=0)
        left = [rest[number] for number in sorted(rest, key=lambda number: distance(number, start))]
        return [*left, *self.add(packet)]


def distance(one: int, other: int) -> int:
    """How far a sequence number is ahead of another; negative: behind (RFC 3550, section 5.1: they wrap)."""
    return (one - other + 2**15) % 2**16 - 2**15
