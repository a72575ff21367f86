"""Messages of the application ride QuickBlox's update: they arrive as they are, or are refused."""

from __future__ import annotations

import json
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbcall.core.model import Info
from qbcall.core.signals import Accept, Invite, Message, Receipt, Signal, Update
from qbcall.dialects.message_text import (
    MAX_DATA_BYTES,
    MAX_PARTICIPANT_DATA,
    MAX_TYPE,
    TooLong,
    check_message,
    check_participant_data,
)
from qbcall.dialects.quickblox_message import MAX_MESSAGE_ID, MAX_SEQ
from qbcall.dialects.xml import MESSAGE_KEYS, RECEIPT_KEY, check_info
from qbcall.errors import InvalidArgument, Malformed
from tests.dialects.stanzas import CALL, HEAD, NUMERIC, SDP, B, call_with, stanza
from tests.dialects.transcripts import fields, over_the_wire


def message(type: str = "chat", data: str = "hi", id: str = "m1", seq: int | None = 1, ack: bool = False) -> Message:
    return Message(call=CALL, type=type, data=data, id=id, seq=seq, ack=ack)


def written(signal: Signal) -> dict[str, object]:
    return fields(over_the_wire(NUMERIC.encode(B, HEAD, signal)))


def received(info: Info, stanza_id: str = "s1") -> Signal | None:
    """What becomes of an update of a JavaScript application."""
    arrived = over_the_wire(stanza("update", "<userInfo/>"))
    arrived.set("id", stanza_id)
    user_info = next(item for item in arrived.iter() if item.tag.endswith("userInfo"))
    for key, value in info.items():
        user_info.append(user_info.makeelement(key, {}))
        user_info[-1].text = value
    return NUMERIC.decode(over_the_wire(arrived))


DATA = {
    "emoji": "😀 🇺🇳 e\u0301",
    "marks": "<&>\"' ]]> <!-- --> &amp; &#13;",
    "carriage_return": "\r",
    "line_ends": "a\r\nb\rc\nd\r\n",
    "quoted_line_ends": '"a\\r"\r\n',
    "tab": "\ta\tb\t",
    "newline": "\na\n\nb\n",
    "spaces": "  a  b  ",
    "blank": " \t\n ",
    "empty": "",
    "json": '{"a": [1, "é"]}',
    "controls_of_unicode": "a\x85b\u2028c\x7fd\ufeff",
    "longest": "x" * MAX_DATA_BYTES,
    "longest_in_bytes": "é" * (MAX_DATA_BYTES // 2),
    "longest_escaped": '\r"' * (MAX_DATA_BYTES // 2),
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_data_arrives_character_for_character(data: str) -> None:
    """VS-007, VS-009, VS-010."""
    said = message(data=data)
    assert NUMERIC.decode(over_the_wire(NUMERIC.encode(B, HEAD, said))) == said


@pytest.mark.parametrize("type", ["", "Aa0-_~", "t" * MAX_TYPE])
@pytest.mark.parametrize("seq", [None, 1, MAX_SEQ])
@pytest.mark.parametrize("ack", [True, False])
def test_type_and_number_arrive(type: str, seq: int | None, ack: bool) -> None:
    """VS-005, VS-011, VS-013."""
    said = message(type=type, seq=seq, ack=ack)
    assert NUMERIC.decode(over_the_wire(NUMERIC.encode(B, HEAD, said))) == said


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20), st.text("ab~\r\n é", max_size=200))
def test_whatever_is_not_refused_arrives_as_it_is(type: str, data: str) -> None:
    """VS-010."""
    for said in (message(data=data), message(type=type), message(data=type)):
        try:
            check_message(said.type, said.data)
        except InvalidArgument:
            continue
        assert NUMERIC.decode(over_the_wire(NUMERIC.encode(B, HEAD, said))) == said


def test_message_is_plain_text_for_javascript() -> None:
    said = written(message())
    assert said["signalType"] == "update"
    assert said["userInfo"] == {"sigType": "chat", "sigData": "hi", "sigId": "m1", "sigSeq": "1"}
    assert written(message(ack=True))["userInfo"] == {**said["userInfo"], "sigReceipt": "1"}
    assert written(message(data="", seq=None))["userInfo"] == {"sigType": "chat", "sigData": "", "sigId": "m1"}


def test_data_with_carriage_return_is_json_for_javascript() -> None:
    """Prosody and others would write it as a line feed."""
    info = written(message(data="é\r\n"))["userInfo"]
    assert isinstance(info, dict)
    assert info["sigEncoding"] == "json"
    assert json.loads(info["sigData"]) == "é\r\n"
    assert "\r" not in info["sigData"]


@pytest.mark.parametrize("seq", [0, 1, 7, MAX_SEQ])
@pytest.mark.parametrize(("again", "more"), [(False, {}), (True, {"sigAgain": "1"})])
def test_receipt_arrives(seq: int, again: bool, more: Info) -> None:
    receipt = Receipt(call=CALL, seq=seq, again=again)
    assert NUMERIC.decode(over_the_wire(NUMERIC.encode(B, HEAD, receipt))) == receipt
    assert written(receipt)["userInfo"] == {"sigAck": str(seq)} | dict(more)


@pytest.mark.parametrize(
    ("info", "type", "data"),
    [
        ({"sigType": "chat", "sigData": "hi"}, "chat", "hi"),
        ({"sigType": "chat"}, "chat", ""),
        ({"sigData": "hi"}, "", "hi"),
        ({"sigType": "", "sigData": "", "more": "x"}, "", ""),
        ({"sigType": "chat", "sigData": '"a\\r"', "sigEncoding": "json"}, "chat", "a\r"),
        ({"sigType": "chat", "sigData": '"a\\r"', "sigEncoding": "other"}, "chat", '"a\\r"'),
    ],
)
def test_update_of_javascript_is_message_with_the_id_of_the_stanza(info: Info, type: str, data: str) -> None:
    """VS-005, VS-006."""
    assert received(info) == message(type=type, data=data, id="s1", seq=None)


@pytest.mark.parametrize("info", [{}, {"mic": "off"}, {"sigtype": "chat"}, {"sigEncoding": "json"}])
def test_update_without_keys_of_a_message_is_update(info: Info) -> None:
    assert received(info) == Update(call=CALL, info=info)


@pytest.mark.parametrize(
    ("field", "info"),
    [
        ("sigType", {"sigType": "t" * (MAX_TYPE + 1)}),
        ("sigType", {"sigType": "a b"}),
        ("sigType", {"sigType": "<" * 10_000}),
        ("sigData", {"sigData": "x" * (MAX_DATA_BYTES + 1)}),
        ("sigData", {"sigData": "é" * (MAX_DATA_BYTES // 2 + 1)}),
        ("sigData", {"sigData": "x", "sigEncoding": "json"}),
        ("sigData", {"sigData": "7", "sigEncoding": "json"}),
        ("sigData", {"sigData": "[" * 5000, "sigEncoding": "json"}),
        ("sigData", {"sigData": '"\\u0000"', "sigEncoding": "json"}),
        ("sigData", {"sigData": '"\\ud800"', "sigEncoding": "json"}),
        ("sigId", {"sigId": "x" * (MAX_MESSAGE_ID + 1)}),
        *[("sigSeq", {"sigSeq": wrong}) for wrong in ("", "0", "-1", "1.0", "٣", str(MAX_SEQ + 1), "9" * 5000)],
        *[("sigAck", {"sigAck": wrong}) for wrong in ("", "-1", "x", "00", str(MAX_SEQ + 1))],
    ],
)
def test_message_that_breaks_the_rules_is_malformed(field: str, info: Info) -> None:
    with pytest.raises(Malformed, match=f"^{field}: ") as error:
        received(info)
    assert len(str(error.value)) < 500


def test_message_without_any_id_is_malformed() -> None:
    with pytest.raises(Malformed, match=r"^sigId: missing"):
        received({"sigType": "chat"}, stanza_id="")


# -- before sending --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["x" * (MAX_DATA_BYTES + 1), "é" * (MAX_DATA_BYTES // 2 + 1)])
def test_data_that_is_too_long_is_refused(data: str) -> None:
    """VS-008, VS-009."""
    with pytest.raises(TooLong, match=f"data has 819[34] bytes in UTF-8, at most {MAX_DATA_BYTES}"):
        check_message("", data)


def test_type_that_is_too_long_is_refused() -> None:
    """VS-011."""
    with pytest.raises(TooLong, match="type has 129 characters, at most 128"):
        check_message("t" * (MAX_TYPE + 1), "")


@pytest.mark.parametrize("type", ["a b", "é", "a:b", "a/b", "a.b", "a\n", "٣"])
def test_type_with_other_characters_is_refused(type: str) -> None:
    """VS-012, VS-014."""
    with pytest.raises(InvalidArgument, match=r"^type ") as refused:
        check_message(type, "")
    assert not isinstance(refused.value, TooLong)


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_data_that_xml_cannot_carry_is_refused(character: str) -> None:
    """VS-010."""
    with pytest.raises(InvalidArgument, match="data has ") as refused:
        check_message("", f"a{character}b")
    assert repr(character) in str(refused.value)
    with pytest.raises(InvalidArgument):
        NUMERIC.encode(B, HEAD, message(data=character))


def test_data_is_judged_before_type() -> None:
    """VS-017."""
    with pytest.raises(InvalidArgument, match=r"^data"):
        check_message("a b", "\x00")
    with pytest.raises(TooLong, match=r"^data"):
        check_message("a b", "x" * (MAX_DATA_BYTES + 1))


@pytest.mark.parametrize("wrong", [None, 7, b"x", {"a": "b"}])
def test_what_is_no_text_is_type_error(wrong: object) -> None:
    """VS-018."""
    for type, data, field in (("", wrong, "data"), (wrong, "", "type")):
        with pytest.raises(TypeError, match=f"{field} must be text"):
            check_message(cast(str, type), cast(str, data))
    with pytest.raises(TypeError):
        check_participant_data(cast(str, wrong))


@pytest.mark.parametrize("key", [*MESSAGE_KEYS, RECEIPT_KEY])
def test_info_cannot_pass_for_a_message(key: str) -> None:
    with pytest.raises(InvalidArgument, match=f"'{key}' is reserved"):
        check_info({key: "1"})


# -- what a participant says about itself ----------------------------------------------------------------------------

PARTICIPANTS = ["", "name=Zoë", " <&>\t\n😀 ", "é" * MAX_PARTICIPANT_DATA]


@pytest.mark.parametrize("receipts", [False, True])
@pytest.mark.parametrize("data", PARTICIPANTS)
def test_participant_is_introduced_in_call_and_accept(data: str, receipts: bool) -> None:
    """VC-003."""
    signals: list[Signal] = [
        Invite(head=HEAD, offer=SDP, data=data, receipts=receipts),
        Accept(call=CALL, answer=SDP, data=data, receipts=receipts, info={"participantData": "x", "receipts": "0"}),
    ]
    for signal in signals:
        assert NUMERIC.decode(over_the_wire(NUMERIC.encode(B, HEAD, signal))) == signal
        said = written(signal)
        assert ("participantData" in said, "receipts" in said) == (bool(data), receipts)


@pytest.mark.parametrize("text", ["0", "", "true", "<a/>"])
def test_other_receipts_mean_none(text: str) -> None:
    signal = NUMERIC.decode(call_with(receipts=f"<receipts>{text}</receipts>"))
    assert isinstance(signal, Invite)
    assert not signal.receipts


def test_participant_data_has_a_limit() -> None:
    """VC-003."""
    with pytest.raises(TooLong, match="1001 characters, at most 1000"):
        check_participant_data("x" * (MAX_PARTICIPANT_DATA + 1))
    with pytest.raises(Malformed, match=r"^participantData: 1001 characters"):
        NUMERIC.decode(call_with(data=f"<participantData>{'x' * 1001}</participantData>"))


@pytest.mark.parametrize("data", ["\r", "\x00", "\ud800"])
def test_participant_data_that_does_not_survive_is_refused(data: str) -> None:
    with pytest.raises(InvalidArgument, match="participant data has"):
        check_participant_data(data)
    with pytest.raises(InvalidArgument):
        NUMERIC.encode(B, HEAD, Accept(call=CALL, answer=SDP, data=data))
