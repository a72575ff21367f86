"""Packets are written and read here as aiortc writes and reads them."""

from __future__ import annotations

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import RTP_HISTORY_SIZE, HeaderExtensionsMap, RtpPacket
from hypothesis import example, given
from hypothesis import strategies as st

from qbcall.adapters import rtc_packets
from qbcall.adapters.rtc_packets import History, Writer, read

MID, SENT, LEVEL, OFFSET = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "urn:ietf:params:rtp-hdrext:toffset",
)
numbers = st.integers(0, 2**16 - 1)
stamps = st.integers(0, 2**32 - 1)
times = st.integers(0, 2**24 - 1)
maps = st.lists(st.sampled_from([MID, SENT, LEVEL]), unique=True).flatmap(
    lambda uris: st.lists(st.integers(1, 20), min_size=len(uris), max_size=len(uris), unique=True).map(
        lambda ids: extensions(**dict(zip(uris, ids, strict=True)))
    )
)


def extensions(**ids: int) -> HeaderExtensionsMap:
    made = HeaderExtensionsMap()
    named = [RTCRtpHeaderExtensionParameters(id=number, uri=uri) for uri, number in ids.items()]
    made.configure(RTCRtpParameters(headerExtensions=named))
    return made


def shown(packet: RtpPacket) -> dict[str, object]:
    """All that matters of it."""
    told = vars(packet) | {"sent": packet.extensions.abs_send_time, "level": packet.extensions.audio_level}
    del told["extensions"]
    return told


def test_inside_of_aiortc_is_known() -> None:
    assert rtc_packets.KNOWN


@st.composite
def packets(draw: st.DrawFn) -> RtpPacket:
    packet = RtpPacket(97, draw(st.integers(0, 1)), draw(numbers), draw(stamps), 4711, draw(st.binary(max_size=40)))
    packet.extensions.mid = draw(st.none() | st.text("01ab", min_size=1, max_size=20))
    packet.extensions.abs_send_time = draw(times)
    level = draw(st.none() | st.integers(0, 127))
    packet.extensions.audio_level = None if level is None else (False, level)
    return packet


def write(writer: Writer, packet: RtpPacket) -> bytes:
    sent, told = packet.extensions.abs_send_time, packet.extensions.audio_level
    assert sent is not None
    return writer.write(
        *(packet.sequence_number, packet.timestamp, packet.payload),
        last=bool(packet.marker),
        sent=sent,
        level=None if told is None else told[1],
    )


@given(maps, st.lists(packets(), min_size=1, max_size=4))
def test_what_is_written_is_what_aiortc_writes(extensions: HeaderExtensionsMap, some: list[RtpPacket]) -> None:
    writer = Writer(97, 4711, some[0].extensions.mid, extensions)
    for packet in some * 2:
        packet.extensions.mid = some[0].extensions.mid
        written = write(writer, packet)
        assert written == packet.serialize(extensions)
        assert shown(read(written, extensions)) == shown(RtpPacket.parse(written, extensions))


USUAL = RtpPacket(97, 1, 7, 9, 4711, b"abc")
USUAL.extensions.abs_send_time = 1234
ALL = extensions(**{MID: 1, SENT: 2, LEVEL: 3})


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda first, ending: bytes([0x90, first]) + bytes(10) + ending, st.integers(0, 255), st.binary(max_size=40)
    )
    | st.builds(
        lambda words, body: bytes([0x90]) + bytes(11) + b"\xbe\xde\0" + bytes([words]) + body,
        st.integers(0, 6),
        st.binary(max_size=40),
    )
)
@example(USUAL.serialize(ALL))
@example(b"\x90" + bytes(11) + b"\xbe\xde\0\1" + b"\x21\0\0\0")  # a time of two bytes
@example(b"\x90" + bytes(11) + b"\xbe\xde\0\1" + b"\x31\0\0\0")  # a loudness of two
@example(b"\x90" + bytes(11) + b"\xbe\xde\0\1" + b"\x4f\0\0\0")  # one that is cut off
@example(b"\x90" + bytes(11) + b"\xbe\xde\0\1" + b"\0\x05\0\0")  # padding, and one that has no number
@example(b"\xb0" + bytes(11) + b"\xbe\xde\0\1" + b"\0\0\0\0\0\2")  # padded
def test_what_is_read_is_what_aiortc_reads(data: bytes) -> None:
    try:
        expected = RtpPacket.parse(data, ALL)
    except Exception as error:
        with pytest.raises(type(error)):
            read(data, ALL)
        return
    assert shown(read(data, ALL)) == shown(expected)


def test_history_gives_the_packet_that_was_sent() -> None:
    history = History(ALL)
    writer = Writer(97, 4711, "0", ALL)
    for number in range(2**16 - 3, 2**16 + RTP_HISTORY_SIZE):
        history.keep(number % 2**16, writer.write(number % 2**16, 9, b"x", last=True, sent=5, level=None))
    packet = history.get(4)
    assert packet is not None
    assert (packet.sequence_number, packet.payload, packet.extensions.mid) == (4, b"x", "0")
    assert packet.serialize(ALL) == writer.write(4, 9, b"x", last=True, sent=5, level=None)
    assert History(ALL).get(4) is None


def test_reading_keeps_up_with_a_map_that_changes() -> None:
    """A renegotiation may name extensions that were not named before."""
    known = HeaderExtensionsMap()
    data = USUAL.serialize(ALL)
    assert read(data, known).extensions.abs_send_time is None
    known.configure(RTCRtpParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(id=2, uri=SENT)]))
    assert read(data, known).extensions.abs_send_time == 1234
