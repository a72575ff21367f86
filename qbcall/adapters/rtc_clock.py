"""When frames were made, by the clock of the peer (RFC 3550, section 6.4.1)."""

from __future__ import annotations

from aiortc.rtp import RtcpSrPacket


class SenderClock:
    """The clock of one peer as the latest report on one kind of media tells it."""

    def __init__(self) -> None:
        self._report: RtcpSrPacket | None = None

    def note(self, report: RtcpSrPacket) -> None:
        """A report came; one of a peer that has no clock says 0."""
        self._report = report if report.sender_info.ntp_timestamp else None

    def at(self, ssrc: int, timestamp: int, clock_rate: int) -> float | None:
        """Seconds of the peer's clock; None: it did not tell about this stream."""
        if self._report is None or self._report.ssrc != ssrc:
            return None
        told = self._report.sender_info
        since = (timestamp - told.rtp_timestamp + 2**31) % 2**32 - 2**31
        return told.ntp_timestamp / 2**32 + since / clock_rate
