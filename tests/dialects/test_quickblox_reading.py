"""The QuickBlox dialect reads leniently, within limits."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

import pytest

from qbcall.core.model import CallHead, CallMedia, Candidate, DeclineReason, Description, Info
from qbcall.core.signals import (
    Candidates,
    Decline,
    End,
    Invite,
    Update,
)
from qbcall.dialects.quickblox import (
    MAX_CANDIDATE_BYTES,
    MAX_CANDIDATES,
    MAX_ID_LENGTH,
    MAX_OPPONENTS,
    MAX_SDP_BYTES,
)
from qbcall.dialects.quickblox_info import MAX_INFO_BYTES, MAX_INFO_KEYS
from qbcall.errors import Malformed
from tests.dialects.stanzas import (
    CALL,
    NUMERIC,
    RESTART,
    A,
    B,
    call_with,
    candidates,
    invited,
    opponents,
    stanza,
)


@pytest.mark.parametrize("kind", ["", "chat", "error", "normal", "groupchat"])
def test_message_that_is_not_headline_is_ignored(kind: str) -> None:
    message = call_with()
    message.set("type", kind)
    assert NUMERIC.decode(message) is None


@pytest.mark.parametrize(
    "xml",
    [
        "<message type='headline'/>",
        "<message type='headline'><body>hi</body></message>",
        "<message type='headline'><extraParams/></message>",
        "<message type='headline'><extraParams><moduleIdentifier>System</moduleIdentifier></extraParams></message>",
        "<iq type='headline'><extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier></extraParams></iq>",
    ],
)
def test_message_that_is_no_call_signal_is_ignored(xml: str) -> None:
    assert NUMERIC.decode(fromstring(xml)) is None


def test_delayed_signal_is_read() -> None:
    """Whether it is too late is judged where the time is known."""
    message = call_with()
    message.append(fromstring("<delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/>"))
    assert NUMERIC.decode(message) == NUMERIC.decode(call_with())


@pytest.mark.parametrize("kind", ["", "CALL", "iceRestart", "hangup"])
def test_unknown_signal_type_is_ignored(kind: str) -> None:
    """QB-049."""
    assert NUMERIC.decode(stanza(kind)) is None
    assert NUMERIC.decode(stanza(kind, call="")) is None


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("sessionID", stanza("hangUp", call="")),
        ("sessionID", stanza("hangUp", call="<sessionID> </sessionID>")),
        ("sessionID", stanza("hangUp", call=f"<sessionID>{'x' * (MAX_ID_LENGTH + 1)}</sessionID>")),
        ("sdp", call_with(sdp="")),
        ("sdp", call_with(sdp="<sdp> \n</sdp>")),
        ("sdp", call_with(sdp=f"<sdp>{'x' * (MAX_SDP_BYTES + 1)}</sdp>")),
        ("sdp", call_with(sdp=f"<sdp>{'é' * (MAX_SDP_BYTES // 2)}x</sdp>")),
        ("sdp", stanza("accept")),
        ("callerID", call_with(callerID="")),
        ("opponentsIDs", call_with(opponentsIDs="")),
        ("opponentsIDs", call_with(opponentsIDs=opponents(*range(MAX_OPPONENTS + 1)))),
        ("callType", call_with(callType="")),
        ("callType", call_with(callType="<callType>3</callType>")),
        ("iceCandidates", stanza("iceCandidates")),
        ("iceCandidates", stanza("iceCandidates", candidates())),
        ("iceCandidates", stanza("iceCandidates", candidates("<sdpMid>0</sdpMid>"))),
        ("iceCandidates", stanza("iceCandidates", candidates(*["<candidate>c</candidate>"] * (MAX_CANDIDATES + 1)))),
        (
            "candidate",
            stanza("iceCandidates", candidates(f"<candidate>{'x' * (MAX_CANDIDATE_BYTES + 1)}</candidate>")),
        ),
        (
            "sdpMLineIndex",
            stanza("iceCandidates", candidates("<candidate>c</candidate><sdpMLineIndex>x</sdpMLineIndex>")),
        ),
        ("sdpMid", stanza("iceCandidates", candidates(f"<candidate>c</candidate><sdpMid>{'x' * 257}</sdpMid>"))),
        ("sessionDescription", stanza("update", "<reason>reconnect</reason>")),
        ("offerId", stanza("update", RESTART.format("<sdp>v=0</sdp><type>offer</type>"))),
        ("sdp", stanza("update", RESTART.format("<offerId>o</offerId><type>offer</type>"))),
        (
            "sessionDescription",
            stanza("update", RESTART.format("<offerId>o</offerId><sdp>v</sdp><type>pranswer</type>")),
        ),
        ("userInfo", stanza("hangUp", f"<userInfo>{'<a/>' * (MAX_INFO_KEYS + 1)}</userInfo>")),
        ("userInfo", stanza("hangUp", f"<userInfo>{'<a>' * 3000}{'</a>' * 3000}</userInfo>")),
        ("userInfo", stanza("hangUp", f"<userInfo><a>{'x' * MAX_INFO_BYTES}</a></userInfo>")),
    ],
)
def test_malformed_signal_names_the_field(field: str, message: Element) -> None:
    """QB-049."""
    with pytest.raises(Malformed, match=f"^{field}: "):
        NUMERIC.decode(message)


def test_signal_at_every_limit_is_read() -> None:
    ids = [*range(2000, 2000 + MAX_OPPONENTS)]
    info = "".join(f"<k{n}/>" for n in range(MAX_INFO_KEYS))
    message = stanza(
        "call",
        f"<callType>2</callType><callerID>1001</callerID>{opponents(*ids)}<sdp>{'x' * MAX_SDP_BYTES}</sdp>"
        f"<userInfo>{info}</userInfo>",
        call=f"<sessionID>{'x' * MAX_ID_LENGTH}</sessionID>",
    )
    signal = invited(NUMERIC, message)
    assert len(signal.head.callees) == MAX_OPPONENTS
    assert len(signal.info) == MAX_INFO_KEYS
    many = NUMERIC.decode(stanza("iceCandidates", candidates(*["<candidate>c</candidate>"] * MAX_CANDIDATES)))
    assert isinstance(many, Candidates)
    assert len(many.candidates) == MAX_CANDIDATES


# -- lenient reading -------------------------------------------------------------------------------------------------


def test_signal_in_other_namespaces_and_order_is_read() -> None:
    """As QuickBlox's .NET clients write it: no namespace, a body, unknown fields."""
    message = fromstring(
        "<message xmlns='jabber:client' type='headline'><body>call</body><extraParams xmlns=''>"
        "<newField><a/></newField><userInfo><k>v</k></userInfo><opponentsIDs><opponentID>1002</opponentID></opponentsIDs>"
        "<sdp>v=0</sdp><platform>Android</platform><callerID>1001</callerID><callType>1</callType><sessionID>c1</sessionID>"
        "<signalType>call</signalType><moduleIdentifier>WebRTCVideoChat</moduleIdentifier></extraParams></message>"
    )
    head = CallHead(call=CALL, caller=A, callees=(B,), media=CallMedia.VIDEO)
    assert NUMERIC.decode(message) == Invite(head=head, offer=Description("v=0"), info={"k": "v"})


@pytest.mark.parametrize(
    ("body", "info"),
    [
        ("", {}),
        ("<userInfo/>", {}),
        ("<userInfo>text</userInfo>", {}),
        ("<userInfo><a> b </a><c/></userInfo>", {"a": " b ", "c": ""}),
        ("<userInfo><a><b>1</b></a></userInfo>", {"a": '{"b": "1"}'}),
        ("<userInfo><a><b><c>é</c><d/></b></a></userInfo>", {"a": '{"b": {"c": "é", "d": ""}}'}),
        ("<userInfo><a>1</a><a>2</a></userInfo>", {"a": "2"}),
        ("<userInfo xmlns='x:y'><a>1</a></userInfo>", {"a": "1"}),
    ],
)
def test_info_is_flat_whatever_was_sent(body: str, info: Info) -> None:
    """QB-032, QB-072: no info and an empty one are the same."""
    assert NUMERIC.decode(stanza("hangUp", body)) == End(call=CALL, info=info)


def test_candidate_is_read_by_name() -> None:
    """Order of "Signaling v1.0", names of m-lines as older clients write them, an end of candidates in between."""
    message = stanza(
        "iceCandidates",
        candidates(
            "<sdpMLineIndex>1</sdpMLineIndex><sdpMid>video</sdpMid><candidate>candidate:1</candidate>",
            "<candidate/><sdpMid>0</sdpMid>",
            "<candidate>a=candidate:2</candidate>",
        ),
    )
    expected = (Candidate(candidate="candidate:1", mid="video", line=1), Candidate(candidate="candidate:2"))
    assert NUMERIC.decode(message) == Candidates(call=CALL, candidates=expected)


@pytest.mark.parametrize(
    ("body", "reason", "info"),
    [
        ("", DeclineReason.DECLINED, {}),
        ("<userInfo><why>no</why></userInfo>", DeclineReason.DECLINED, {"why": "no"}),
        ("<userInfo><reject>busy</reject></userInfo>", DeclineReason.BUSY, {"reject": "busy"}),
        ("<userInfo><busy>true</busy></userInfo>", DeclineReason.BUSY, {"busy": "true"}),
        ("<userInfo><busy>false</busy></userInfo>", DeclineReason.DECLINED, {"busy": "false"}),
        ("<userInfo><not_supported>1</not_supported></userInfo>", DeclineReason.UNSUPPORTED, {"not_supported": "1"}),
        ("<sdp>v=0</sdp><userInfo><mine>x</mine></userInfo>", DeclineReason.BUSY, {}),
    ],
)
def test_reject_tells_its_reason(body: str, reason: DeclineReason, info: Info) -> None:
    assert NUMERIC.decode(stanza("reject", body)) == Decline(call=CALL, reason=reason, info=info)


@pytest.mark.parametrize(
    "body", ["", "<reason>other</reason>", "<sessionDescription><type>offer</type></sessionDescription>"]
)
def test_update_that_is_no_restart_is_application_data(body: str) -> None:
    assert NUMERIC.decode(stanza("update", body)) == Update(call=CALL, info={})
