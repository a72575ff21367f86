"""What aiortc's sender does with an encoded frame, in one step: it never waits, and need not be waited for.

aiortc has a task for each peer and kind of media that waits for frames: in a call of four, six tasks are woken for
what was made twice. Packets that may have to be repeated, and the counters of the reports, stay where aiortc looks.
"""

from __future__ import annotations

import time

from aiortc import RTCDtlsTransport, RTCRtpCodecParameters, RTCRtpSender
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpsender import RTCEncodedFrame, random_sequence_number
from aiortc.rtp import HeaderExtensionsMap
from aiortc.utils import random32

from qbcall.adapters.rtc_arrival import MediaPath
from qbcall.adapters.rtc_packets import History, Writer
from qbcall.adapters.rtc_settled import settled
from qbcall.media.delay import LeastDelay

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905, section 6)."""


class Departure:
    """Sends the frames of one sender."""

    def __init__(self, sender: RTCRtpSender, codec: RTCRtpCodecParameters) -> None:
        assert codec.payloadType is not None, "it was agreed on"
        known = vars(sender)
        self._sender = sender
        self._known = known
        extensions: HeaderExtensionsMap = known[_EXTENSIONS]
        self._writer = Writer(codec.payloadType, sender._ssrc, known[_MID], extensions)
        self._history = known[HISTORY] = History(extensions)
        path = sender.transport.transport._connection
        self._path = path if KNOWN and isinstance(path, MediaPath) else None
        self._number = random_sequence_number()
        self._origin = random32()
        self._clock_rate = codec.clockRate
        self._delay = LeastDelay()

    def send(self, frame: RTCEncodedFrame) -> None:
        """Send the packets of a frame.

        Raises:
            ConnectionError: nothing can be sent any more.
        """
        stamp = (self._origin + frame.timestamp) % 2**32
        level: int | None = frame.audio_level
        level = level if level is None else -level
        known, left = self._known, len(frame.payloads)
        for payload in frame.payloads:
            left -= 1
            # Of each packet: peers take a packet that comes later than it was sent for a sign of a full path.
            sent = (time.time_ns() << 18) // 10**9
            data = self._writer.write(self._number, stamp, payload, last=not left, sent=sent, level=level)
            self._history.keep(self._number, data)
            self._send(data)
            known[_OCTETS] += len(payload)
            known[_PACKETS] += 1
            self._number = (self._number + 1) % 2**16
        known[_NTP_STAMP] = int((NTP_EPOCH + self._made_at(frame)) * 2**32)
        known[_RTP_STAMP] = stamp

    def _made_at(self, frame: RTCEncodedFrame) -> float:
        """When it was made: what took long to encode was not made later, and belongs to the sound of before."""
        made, now = frame.timestamp / self._clock_rate, time.time()
        self._delay.add(now, now - made)
        return made + self._delay.least

    def _send(self, data: bytes) -> None:
        transport = self._sender.transport
        if self._path is None:
            settled(transport._send_rtp(data))
            return
        if transport._state is not State.CONNECTED:
            raise ConnectionError("it is not connected")
        encrypted = transport._tx_srtp.protect(data)
        self._path.send_now(encrypted)
        counters = vars(transport)
        counters[_SENT_BYTES] += len(encrypted)
        counters[_SENT_PACKETS] += 1


_MID, HISTORY, _EXTENSIONS, _OCTETS, _PACKETS, _NTP_STAMP, _RTP_STAMP = NAMES = [
    f"_RTCRtpSender__{name}"
    for name in (
        *("mid", "rtp_history", "rtp_header_extensions_map"),
        *("octet_count", "packet_count", "ntp_timestamp", "rtp_timestamp"),
    )
]
"""What aiortc's own way uses of a sender, and this one too; `rtc_sender` looks whether it does."""
_SENT_BYTES, _SENT_PACKETS = "_RTCDtlsTransport__tx_bytes", "_RTCDtlsTransport__tx_packets"
KNOWN = {_SENT_BYTES, _SENT_PACKETS, "_state", "_tx_srtp", "protect"} <= set(
    RTCDtlsTransport._send_rtp.__code__.co_names
)
"""Whether packets can be encrypted here; else aiortc does it in its own way."""
