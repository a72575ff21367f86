"""The QuickBlox dialect writes what the SDKs understand, and what it can read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qbcall.core.model import (
    CallHead,
    CallMedia,
    Candidate,
    DeclineReason,
    Description,
    Info,
    MediaKind,
    Reception,
    User,
)
from qbcall.core.signals import (
    Accept,
    Candidates,
    Decline,
    EarlyAnswer,
    EarlyOffer,
    End,
    Invite,
    Message,
    NotKnown,
    Probe,
    Receipt,
    ReceptionReport,
    RestartAnswer,
    RestartOffer,
    Signal,
    Update,
)
from qbcall.dialects import Dialect
from qbcall.dialects.xml import write
from qbcall.errors import InvalidArgument
from tests.dialects.stanzas import (
    CALL,
    CANDIDATE,
    HEAD,
    NAMED,
    NUMERIC,
    SDP,
    A,
    B,
)
from tests.dialects.transcripts import fields, over_the_wire

SIGNALS: list[Signal] = [
    Invite(head=HEAD, offer=SDP, info={"topic": "hello", "bandwidth": "0"}),
    Accept(call=CALL, answer=SDP, info={"device": "x"}),
    Decline(call=CALL, info={"why": "no"}),
    End(call=CALL),
    Candidates(call=CALL, candidates=(CANDIDATE, Candidate(candidate="candidate:2"))),
    Update(call=CALL, info={"mic": "off"}),
    Invite(head=HEAD, offer=SDP, early=True),
    Accept(call=CALL, answer=SDP, early="o1"),
    EarlyOffer(call=CALL, offer_id="o1", offer=SDP),
    EarlyAnswer(call=CALL, offer_id="o1", answer=SDP),
    RestartOffer(call=CALL, offer_id="o1", offer=SDP),
    RestartAnswer(call=CALL, offer_id="o1", answer=SDP),
    RestartAnswer(call=CALL, offer_id="o1", answer=SDP, anew=True),
    Probe(call=CALL),
    NotKnown(call=CALL),
    Message(call=CALL, type="chat", data="hi", id="m1", seq=1),
    Receipt(call=CALL, seq=1),
    ReceptionReport(
        call=CALL,
        received={
            A: {MediaKind.AUDIO: Reception.FLOWING, MediaKind.VIDEO: Reception.SILENT},
            B: {MediaKind.AUDIO: Reception.STALLED, MediaKind.VIDEO: Reception.LOST},
            User("o=dd@host"): {MediaKind.VIDEO: Reception.FLOWING},
        },
    ),
]


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: type(signal).__name__)
def test_signal_comes_back_as_it_was(signal: Signal) -> None:
    if isinstance(signal, (RestartOffer, Probe)):
        signal = replace(signal, head=HEAD)
    assert NUMERIC.decode(over_the_wire(NUMERIC.encode(B, HEAD, signal))) == signal


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: type(signal).__name__)
def test_stanza_has_all_common_fields_and_no_white_space(signal: Signal) -> None:
    message = NUMERIC.encode(B, HEAD, signal)
    text = write(message)
    assert message.tag == "{jabber:client}message"
    assert message.get("to") == B
    assert len(bytes.fromhex(message.get("id", ""))) == 12
    assert "xmlns" not in text, "the stream has it"
    assert not any(element.tail or (len(element) and element.text) for element in message.iter())
    common = {"moduleIdentifier", "signalType", "sessionID", "callType", "platform", "callerID", "opponentsIDs"}
    assert common <= set(fields(message))


@pytest.mark.parametrize(
    "signal", [signal for signal in SIGNALS if isinstance(signal, (Message, Receipt, ReceptionReport))]
)
def test_brief_stanza_has_what_cannot_be_known_only(signal: Message | Receipt | ReceptionReport) -> None:
    message = NUMERIC.encode(B, HEAD, replace(signal, brief=True))
    assert NUMERIC.decode(over_the_wire(message)) == signal
    assert set(fields(message)) == {"moduleIdentifier", "signalType", "sessionID", "userInfo"}


def test_every_stanza_has_its_own_id() -> None:
    assert len({NUMERIC.encode(B, HEAD, SIGNALS[0]).get("id") for _ in range(100)}) == 100


@pytest.mark.parametrize("info", [{}, {"empty": ""}])
def test_empty_info_is_not_written_but_empty_value_is(info: Info) -> None:
    """QB-032, QB-034, QB-072."""
    written = fields(over_the_wire(NUMERIC.encode(B, HEAD, End(call=CALL, info=info))))
    assert written.get("userInfo", {}) == info
    assert ("userInfo" in written) == bool(info)


QB_034 = {
    "text": "Grüße, 你好, مرحبا",
    "marks": "<&>\"' ]]> <!-- --> &amp; &#13;",
    "wide": "😀\U0010fffd",
    "empty": "",
    "space": "  a\tb\n c\n",
    "blank": " \n\t ",
    "next_line": "a\x85b\u2028c\x7f",
    "key.with-signs_1": "x",
    "ключ": "x",
    "sdp": "not the sdp",
    "signalType": "hangUp",
    "moduleIdentifier": "x",
}


@pytest.mark.parametrize("dialect", [NUMERIC, NAMED])
def test_info_arrives_exactly(dialect: Dialect) -> None:
    """QB-034, also with keys that are names of fields."""
    signal = Accept(call=CALL, answer=SDP, info=QB_034)
    assert dialect.decode(over_the_wire(dialect.encode(B, HEAD, signal))) == signal


def test_fields_come_before_info() -> None:
    """QuickBlox's SDK takes the first element of a name, also within userInfo."""
    message = NUMERIC.encode(B, HEAD, Accept(call=CALL, answer=SDP, info=QB_034))
    names = [element.tag.rpartition("}")[2] for element in message[0]]
    assert names[-1] == "userInfo"


def test_sdp_with_carriage_returns_arrives_with_line_feeds() -> None:
    signal = Accept(call=CALL, answer=Description(SDP.sdp.replace("\n", "\r\n")))
    message = NUMERIC.encode(B, HEAD, signal)
    assert "\r" not in write(message)
    assert NUMERIC.decode(over_the_wire(message)) == Accept(call=CALL, answer=SDP)


@pytest.mark.parametrize(
    ("reason", "info", "written"),
    [
        (DeclineReason.DECLINED, {}, {}),
        (DeclineReason.BUSY, {}, {"reject": "busy"}),
        (DeclineReason.BUSY, {"busy": "true"}, {"busy": "true"}),
        (DeclineReason.BUSY, {"reject": "later"}, {"reject": "later", "busy": "true"}),
        (DeclineReason.BUSY, {"reject": "a", "busy": "b"}, {"reject": "a", "busy": "b"}),
        (DeclineReason.UNSUPPORTED, {"k": "v"}, {"k": "v", "not_supported": "1"}),
    ],
)
def test_reject_is_marked_with_its_reason(reason: DeclineReason, info: Info, written: Info) -> None:
    message = NUMERIC.encode(B, HEAD, Decline(call=CALL, reason=reason, info=info))
    assert fields(over_the_wire(message)).get("userInfo", {}) == written


@pytest.mark.parametrize(
    ("head", "signal"),
    [
        (CallHead(call=CALL, caller=A, callees=(), media=CallMedia.VIDEO), End(call=CALL)),
        (HEAD, Candidates(call=CALL, candidates=())),
        (HEAD, Update(call=CALL, info={"a b": "c"})),
        (HEAD, Decline(call=CALL, info={"a": "\x00"})),
    ],
)
def test_stanza_that_would_do_harm_is_refused(head: CallHead, signal: Signal) -> None:
    with pytest.raises(InvalidArgument):
        NUMERIC.encode(B, head, signal)
