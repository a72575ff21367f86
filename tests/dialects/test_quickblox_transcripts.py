"""Every recorded stanza of the real SDK is understood, and ours in its place has the same fields."""

from __future__ import annotations

import pytest

from qbcall.core.model import CallHead, CallId, CallMedia, DeclineReason, User
from qbcall.core.signals import (
    Accept,
    Candidates,
    Decline,
    End,
    Invite,
    RestartAnswer,
    RestartOffer,
    Signal,
    Update,
)
from qbcall.dialects.quickblox import QuickBlox
from qbcall.errors import Malformed
from tests.dialects.transcripts import APP, FOLDER, NAMES, Line, fields, lines, over_the_wire

DIALECT = QuickBlox(User(f"1001{APP}"))

ECHOED = {"sdp", "userInfo"}
"""What the SDK's automatic busy reject sends back of the caller's own; ours says `reject=busy` instead."""


def told(line: Line) -> str:
    """One line about a received stanza: who sent it to whom, and what it says."""
    message = line.message
    ends = [message.get(name, "").partition("-")[0] for name in ("from", "to")]
    try:
        signal = DIALECT.decode(message)
    except Malformed as error:
        return f"{'>'.join(ends)} malformed {str(error).partition(':')[0]}"
    return f"{'>'.join(ends)} {'nothing' if signal is None else said(signal)}"


def said(signal: Signal) -> str:
    match signal:
        case Invite(head=head, info=info):
            callees = ",".join(short(user) for user in head.callees)
            text = f"call {short(head.caller)}:{callees} {head.media.value} {info}"
        case Accept(info=info):
            text = f"accept {info}"
        case Decline(reason=reason, info=info):
            text = f"{reason.value} {info}"
        case End(info=info):
            text = f"end {info}"
        case Candidates(candidates=candidates):
            text = f"candidates {len(candidates)} {sorted({(item.mid, item.line) for item in candidates})}"
        case Update(info=info):
            text = f"update {info}"
        case RestartOffer(offer_id=offer_id):
            text = f"offer {offer_id}"
        case RestartAnswer(offer_id=offer_id):
            text = f"answer {offer_id}"
    return text


def short(user: User) -> str:
    return user.removesuffix(APP)


def received(name: str) -> list[Line]:
    return [line for line in lines(name) if line.direction == "in"]


def readable(name: str) -> list[tuple[Line, Signal]]:
    """The received stanzas that carry a signal, with the signal."""
    found = []
    for line in received(name):
        try:
            signal = DIALECT.decode(line.message)
        except Malformed:
            continue
        if signal is not None:
            found.append((line, signal))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_received_stanza_decodes_to_expected_signal(name: str) -> None:
    """QB-040, QB-049: who calls whom with what; nonsense is named."""
    expected = (FOLDER / f"{name}.expected").read_text(encoding="utf-8").splitlines()
    assert [told(line) for line in received(name)] == expected


@pytest.mark.parametrize("name", NAMES)
def test_received_signal_carries_texts_of_stanza(name: str) -> None:
    for line, signal in readable(name):
        there = fields(line.message)
        assert signal.call == there["sessionID"]
        match signal:
            case Invite(offer=description) | Accept(answer=description):
                assert description.sdp == there["sdp"]
            case RestartOffer(offer=description) | RestartAnswer(answer=description):
                assert isinstance(there["sessionDescription"], dict)
                assert description.sdp == there["sessionDescription"]["sdp"]
            case Candidates(candidates=candidates):
                assert [
                    {"candidate": item.candidate, "sdpMid": item.mid, "sdpMLineIndex": str(item.line)}
                    for item in candidates
                ] == there["iceCandidates"]
            case _:
                pass


@pytest.mark.parametrize("name", NAMES)
def test_sent_stanza_decodes_like_received_one(name: str) -> None:
    received_as = {line.message.get("id"): signal for line, signal in readable(name)}
    compared = 0
    for line in lines(name):
        twin = received_as.get(line.message.get("id"))
        if line.direction == "out" and twin is not None:
            assert DIALECT.decode(line.message) == twin
            compared += 1
    assert compared == len(received_as)


@pytest.mark.parametrize("name", NAMES)
def test_our_stanza_has_same_fields(name: str) -> None:
    for line, signal in readable(name):
        theirs = fields(line.message)
        ours = over_the_wire(DIALECT.encode(User(line.message.get("to", "")), head_of(theirs), signal))
        assert ours.get("to") == line.message.get("to")
        assert ours.get("type") == "headline"
        found = fields(ours)
        assert found.pop("platform") == "python"
        assert theirs.pop("platform") in {"web", "python"}
        if isinstance(signal, Decline) and signal.reason is DeclineReason.BUSY:
            theirs = {key: value for key, value in theirs.items() if key not in ECHOED}
            assert found.pop("userInfo") == {"reject": "busy"}
        assert found == theirs


@pytest.mark.parametrize("name", NAMES)
def test_our_stanza_decodes_to_same_signal(name: str) -> None:
    for line, signal in readable(name):
        ours = over_the_wire(DIALECT.encode(User(f"1002{APP}"), head_of(fields(line.message)), signal))
        expected = signal
        if isinstance(signal, Decline) and signal.reason is DeclineReason.BUSY:
            expected = Decline(call=signal.call, reason=signal.reason, info={"reject": "busy"})
        assert DIALECT.decode(ours) == expected


def head_of(found: dict[str, object]) -> CallHead:
    """The head, read without the dialect."""
    opponents = found["opponentsIDs"]
    assert isinstance(opponents, list)
    return CallHead(
        call=CallId(str(found["sessionID"])),
        caller=User(f"{found['callerID']}{APP}"),
        callees=tuple(User(f"{opponent.strip()}{APP}") for opponent in opponents),
        media=CallMedia.AUDIO if found["callType"] == "2" else CallMedia.VIDEO,
    )


def test_restart_offer_that_was_lost_decodes() -> None:
    """The only stanza of the transcripts that was sent and never delivered."""
    sent = [line for line in lines("disconnect_timeout") if line.direction == "out"][-1]
    signal = DIALECT.decode(sent.message)
    assert isinstance(signal, RestartOffer)
    assert signal.offer_id == "a469a6b4-cfff-45b0-9c97-fa576e8c41cd"
    assert signal.offer.sdp.startswith("v=0\n")
