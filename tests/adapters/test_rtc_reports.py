"""Round trips are those of the network, however late a report is read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import RTCRtpReceiver, RTCRtpSender, rtcrtpreceiver, rtcrtpsender
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket

from qbcall.adapters import rtc_reports
from qbcall.adapters.rtc_reports import _HEARD, _SENT, read

PEER, OURS, STAMP = 7, 8, 0x1234_5678
SENT, CAME, READ = 1000.0, 1000.08, 1000.13
"""When a report was sent, when the answer came, and when it is read."""
AWAY = 0.05
"""Seconds that the peer kept it."""


def routed(recipient: object) -> Any:
    return SimpleNamespace(_rtp_router=SimpleNamespace(route_rtcp=lambda packet: [recipient]))


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the time at which reports are read."""
    clock = SimpleNamespace(time=lambda: READ)
    for module in (rtc_reports, rtcrtpreceiver, rtcrtpsender):
        monkeypatch.setattr(module, "time", clock)


@pytest.mark.usefixtures("late")
def test_round_trip_ends_when_the_answer_came() -> None:
    async def whole() -> None:
        sender = RTCRtpSender("audio", SimpleNamespace(state="connected", _stats_id="x"))  # type: ignore[arg-type]
        vars(sender)[_SENT], vars(sender)["_RTCRtpSender__lsr"] = SENT, STAMP
        sender._ssrc = OURS
        info = RtcpReceiverInfo(OURS, 0, 0, 0, 0, lsr=STAMP, dlsr=int(AWAY * 65536))
        read(routed(sender), bytes(RtcpRrPacket(ssrc=PEER, reports=[info])), CAME)
        assert vars(sender)["_RTCRtpSender__rtt"] == pytest.approx(CAME - SENT - AWAY, abs=1e-4)
        assert vars(sender)[_SENT] == SENT

    asyncio.run(whole())


@pytest.mark.usefixtures("late")
def test_report_is_kept_since_it_came() -> None:
    async def whole() -> None:
        receiver = RTCRtpReceiver("audio", SimpleNamespace(state="connected", _stats_id="x"))  # type: ignore[arg-type]
        read(routed(receiver), bytes(RtcpSrPacket(PEER, RtcpSenderInfo(STAMP << 16, 0, 0, 0))), CAME)
        assert vars(receiver)[_HEARD] == {PEER: CAME}

    asyncio.run(whole())


@pytest.mark.usefixtures("late")
def test_what_aiortc_cannot_read_changes_no_time() -> None:
    async def broken(packet: object) -> None:
        raise ValueError("nonsense")

    sender = SimpleNamespace(_handle_rtcp_packet=broken, **{_SENT: SENT})
    with pytest.raises(ValueError, match="nonsense"):
        read(routed(sender), bytes(RtcpRrPacket(ssrc=PEER)), CAME)
    assert vars(sender)[_SENT] == SENT


def test_reports_of_another_aiortc_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def handle(data: bytes) -> None:
        seen.append(data)

    monkeypatch.setattr(rtc_reports, "KNOWN", False)
    transport: Any = SimpleNamespace(_handle_rtcp_data=handle)
    read(transport, b"any", CAME)
    assert seen == [b"any"]
