"""Pictures that need none before them: what a receiver begins with, at the start and after a gap."""

from __future__ import annotations

import inspect

from aiortc import RTCRtpSender

PARAMETER_SETS_AND_IDR = (5, 7)
"""Types of units of H264 that only such pictures have (RFC 6184, section 5.2)."""


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether an encoded picture is one (VP8: RFC 6386, section 9.1); of an unknown codec, any may be."""
    if codec == "VP8":
        return len(data) > 5 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    units = data.split(b"\x00\x00\x01")[1:]
    return codec != "H264" or any(unit and unit[0] & 31 in PARAMETER_SETS_AND_IDR for unit in units)


def send_keyframe(sender: RTCRtpSender) -> None:
    """Make the next picture that is sent one, as if the peer had asked for it (RFC 4585, section 6.3.1)."""
    sender._send_keyframe()


if list(inspect.signature(RTCRtpSender._send_keyframe).parameters) != ["self"]:
    raise ImportError("aiortc sends otherwise than in aiortc 1.16: pictures would come back late after a gap")
