"""Reports of what is received: brief, between qbcalls; nonsense is refused as one."""

from __future__ import annotations

import pytest

from qbcall.core.model import MediaKind, Reception
from qbcall.core.signals import ReceptionReport, Signal, Update
from qbcall.dialects.xml import RECEPTION_KEY, check_info
from qbcall.errors import InvalidArgument, Malformed
from tests.dialects.stanzas import CALL, HEAD, NUMERIC, A, B
from tests.dialects.transcripts import fields, over_the_wire


def read(text: str) -> Signal | None:
    """The signal of an update with this value."""
    message = NUMERIC.encode(B, HEAD, Update(call=CALL, info={"key": text}))
    (element,) = [element for element in message.iter() if element.tag.endswith("key")]
    element.tag = element.tag.replace("key", RECEPTION_KEY)
    return NUMERIC.decode(over_the_wire(message))


def test_report_is_one_word_for_each_user() -> None:
    states = {MediaKind.AUDIO: Reception.FLOWING, MediaKind.VIDEO: Reception.STALLED}
    report = ReceptionReport(call=CALL, received={A: states, B: {MediaKind.AUDIO: Reception.LOST}}, brief=True)
    assert fields(NUMERIC.encode(B, HEAD, report))["userInfo"] == {RECEPTION_KEY: f"{A}=ft {B}=l-"}


@pytest.mark.parametrize("text", ["", " "])
def test_report_without_users_says_that_nothing_is_to_come(text: str) -> None:
    assert read(text) == ReceptionReport(call=CALL, received={})


@pytest.mark.parametrize(
    "text",
    [f"{A}", f"{A}=f", f"{A}=fff", f"{A}=xf", "=ff", "@=ff", f"{A}/x=ff", " ".join(f"u{n}@h=ff" for n in range(17))],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match=RECEPTION_KEY):
        read(text)


def test_application_cannot_say_one() -> None:
    with pytest.raises(InvalidArgument, match=RECEPTION_KEY):
        check_info({RECEPTION_KEY: ""})
