"""What waited on its way is judged by its age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element, SubElement

import pytest

from qbcall.adapters.xmpp_delay import DELAY, too_late
from qbcall.core.model import Description
from qbcall.core.signals import Accept, End, Invite, Signal
from tests.adapters.xmpp_room import HEAD

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INVITE = Invite(head=HEAD, offer=Description("v=0\n"))
END = End(call=HEAD.call)


def delayed(*stamps: str | None) -> Element:
    message = Element("message")
    for stamp in stamps:
        SubElement(message, DELAY, {} if stamp is None else {"stamp": stamp})
    return message


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("signal", [INVITE, END])
def test_message_without_a_stamp_is_of_now(signal: Signal) -> None:
    assert not too_late(delayed(), signal)


@pytest.mark.parametrize(
    ("signal", "age", "late"),
    [
        (INVITE, 0, False),
        (INVITE, 60, False),
        (INVITE, 80, True),
        (END, 80, False),
        (END, 600, False),
        (END, 620, True),
        (Accept(call=HEAD.call, answer=Description("v=0\n")), 80, False),
        (END, -5, False),
        (END, -20, True),
        (INVITE, -20, True),
    ],
)
def test_age_decides(signal: Signal, age: float, late: bool) -> None:
    assert too_late(delayed(ago(age)), signal, NOW) is late


def test_oldest_stamp_counts() -> None:
    assert too_late(delayed(ago(1), ago(1000)), END, NOW)
    assert too_late(delayed(ago(1000), ago(1)), END, NOW)
    assert not too_late(delayed(ago(2), ago(1)), END, NOW)


def test_stamp_within_the_signal_counts() -> None:
    message = Element("message")
    message.append(delayed(ago(1000)))
    assert too_late(message, END, NOW)


@pytest.mark.parametrize(
    "stamp", ["2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:04Z"]
)
def test_stamp_in_every_form_of_xep_0082_is_read(stamp: str) -> None:
    assert not too_late(delayed(stamp), INVITE, NOW)


@pytest.mark.parametrize(
    "stamp", [None, "", "x", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "0001-01-01T00:00:00+23:59"]
)
def test_stamp_that_cannot_be_read_is_too_late(stamp: str | None) -> None:
    assert too_late(delayed(stamp), END, NOW)


def test_clock_of_this_machine_is_used() -> None:
    stamp = datetime.now(UTC).isoformat()
    assert not too_late(delayed(stamp), INVITE)
