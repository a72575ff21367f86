"""Sound of one peer: put in order and decoded while somebody listens, and counted otherwise.

A block of Opus is decoded in less time than it takes to hand it to a thread.
"""

from __future__ import annotations

import asyncio

from aiortc.rtp import RtpPacket

from qbcall.adapters.rtc_blocks import Blocks
from qbcall.adapters.rtc_format import Format
from qbcall.adapters.rtc_jitter import data_of
from qbcall.adapters.rtc_sequence import Sequence, distance
from qbcall.adapters.rtc_tap import Tap
from qbcall.adapters.rtc_viewer import Received

HOLD = 0.03
"""Seconds that packets wait for one before them; nobody repeats it, but it may come another way."""
LEVELS = tuple(10 ** (-level / 20) for level in range(128))
"""Loudness, 0 to 1, by what packets say (RFC 6464, section 3)."""
MOST_HELD = 3
"""Packets that wait for one before them, at most."""


class Sound:
    """Stands where aiortc's receiver has its buffer."""

    def __init__(self, received: Received, format: Format) -> None:
        self._received = received
        self._format = format
        self._sequence: Sequence | None = None
        self._blocks: Blocks | None = None
        """The decoder, while somebody listens."""
        self._tap: Tap | None = None
        """While somebody records."""
        self._last: int | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """A packet came; see aiortc's buffer: nothing is to be asked for, and nothing to be decoded there."""
        told = packet.extensions.audio_level
        self._received.level = None if told is None else LEVELS[told[1]]
        if not data_of(packet):
            return False, None
        wanted, recorded = self._received.wanted, self._received.recorded
        if not wanted:
            self._received.pass_by()
        self._listen(packet.ssrc, decode=wanted, record=recorded)
        if self._sequence is not None:
            self._play(self._sequence.add(packet))
        return False, None

    def wake(self) -> None:
        """Somebody may want to listen: the next packet is for him."""

    def close(self) -> None:
        """Deliver nothing more."""
        self._listen(0, decode=False, record=False)

    # -- details -----------------------------------------------------------------------------------------------------

    def _listen(self, ssrc: int, *, decode: bool, record: bool) -> None:
        if not (decode or record):
            self._sequence = None
            self._cancel()
        elif self._sequence is None:
            self._sequence, self._last = Sequence(MOST_HELD), None
        if decode != (self._blocks is not None):
            self._blocks = Blocks() if decode else None
        if not record:
            self._tap = None
        elif self._tap is None or self._tap.ssrc != ssrc:
            self._tap = Tap(self._received, self._format, ssrc)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _play(self, packets: list[RtpPacket]) -> None:
        if packets:
            self._cancel()
        for packet in packets:
            if self._tap is not None:
                self._tap.take(packet.payload_type, packet.timestamp, data_of(packet))
            self._note(packet)
        if self._timer is None and self._sequence is not None and self._sequence.holds:
            self._timer = self._loop.call_later(HOLD, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self._sequence is not None:
            self._play(self._sequence.skip())

    def _note(self, packet: RtpPacket) -> None:
        lost = self._last is not None and distance(packet.sequence_number, self._last) != 1
        self._last = packet.sequence_number
        if self._blocks is not None:
            self._decode(self._blocks, packet, lost=lost)

    def _decode(self, decoder: Blocks, packet: RtpPacket, *, lost: bool) -> None:
        codec, stamp = self._format.codecs[packet.payload_type], self._format.origin(packet.timestamp)
        blocks, made_up = decoder.decode(codec, data_of(packet), stamp, lost=lost)
        for place, block in enumerate(blocks):
            self._received.hand_over(block, made_up=place < made_up)
