"""Packets in the order in which they were sent."""

from __future__ import annotations

from aiortc.rtp import RtpPacket

FAR = 1000
"""Packets; one that is farther away belongs to a stream that began again (RFC 3550, appendix A.1: MAX_DROPOUT)."""
STRAYS = 3
"""Packets far away, one after the other, that show that the numbers began again and not that one is odd."""
LATE = 100
"""The same for packets that are behind by less: so many are not late."""


class Strays:
    """Tells packets that do not belong to the stream from a stream that began again."""

    def __init__(self) -> None:
        self._far = self._behind = 0

    def hold(self, ahead: int) -> bool:
        """Whether a packet so far ahead is to be left out; `begins_again` says if that is once too often."""
        far, behind = abs(ahead) > FAR, ahead < 0
        self._far = self._far + 1 if far else 0
        self._behind = self._behind + 1 if behind else 0
        return far or behind

    @property
    def begins_again(self) -> bool:
        """Whether the latest packet is the first of a stream that began again, or one of its first."""
        return self._far >= STRAYS or self._behind >= LATE

    def clear(self) -> None:
        """It began again."""
        self._far = self._behind = 0


class Sequence:
    """Gives packets out in order; those behind a gap are held, a few of them, until the missing ones came."""

    def __init__(self, most_held: int) -> None:
        self._most_held = most_held
        self._next: int | None = None
        self._held: dict[int, RtpPacket] = {}
        self._strays = Strays()

    @property
    def holds(self) -> bool:
        """Whether some wait."""
        return bool(self._held)

    def add(self, packet: RtpPacket) -> list[RtpPacket]:
        """Those that are next, now that this one came."""
        number = packet.sequence_number
        if self._next is None:
            self._next = number
        if self._strays.hold(distance(number, self._next)):
            return self._begin_again(packet) if self._strays.begins_again else []
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

    def _begin_again(self, packet: RtpPacket) -> list[RtpPacket]:
        left = self.skip()
        while self._held:
            left += self.skip()
        self._strays.clear()
        self._next = packet.sequence_number
        return [*left, *self.add(packet)]


def distance(one: int, other: int) -> int:
    """How far a sequence number is ahead of another; negative: behind (RFC 3550, section 5.1: they wrap)."""
    return (one - other + 2**15) % 2**16 - 2**15
