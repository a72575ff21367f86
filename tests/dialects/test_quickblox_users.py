"""Users of the QuickBlox dialect: ids, JIDs, and who leads."""

from __future__ import annotations

from typing import cast

import pytest

from qbcall.core.model import CallHead, CallMedia, User
from qbcall.core.signals import Invite
from qbcall.dialects import Dialect
from qbcall.errors import InvalidArgument, Malformed
from tests.dialects.stanzas import (
    ALICE,
    BOB,
    CALL,
    NAMED,
    NUMERIC,
    SDP,
    A,
    B,
    C,
    call_with,
    invited,
    opponents,
)
from tests.dialects.transcripts import fields, over_the_wire


@pytest.mark.parametrize(
    ("text", "user"), [("1002", "1002-77@localhost"), ("0", "0-77@localhost"), ("Bob@Example.org", "bob@example.org")]
)
def test_user_of_numeric_account_is_completed(text: str, user: str) -> None:
    assert NUMERIC.user(text) == user


@pytest.mark.parametrize("text", ["alice", "-1", "1.5", "", "٣", "1002-77", "1" * 20, "a@b/c"])
def test_user_that_is_neither_id_nor_jid_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="user"):
        NUMERIC.user(text)


def test_number_on_account_without_app_is_refused_with_reason() -> None:
    with pytest.raises(InvalidArgument, match="'1002': this account is not <userId>-<appId>@domain"):
        NAMED.user("1002")


def test_user_that_is_no_text_is_type_error() -> None:
    with pytest.raises(TypeError, match="user must be text, not 1002"):
        NUMERIC.user(cast(str, 1002))


@pytest.mark.parametrize(
    ("dialect", "high", "low"),
    [
        (NUMERIC, "1000-77@localhost", "999-77@localhost"),
        (NAMED, "999-77@localhost", "1000-77@localhost"),
        (NUMERIC, "999-78@localhost", "1000-77@localhost"),
        (NUMERIC, "bob@example.org", "1000-77@localhost"),
        (NAMED, "bob@example.org", "alice@example.org"),
        (NAMED, "é@example.org", "z@example.org"),
    ],
)
def test_higher_user_leads(dialect: Dialect, high: str, low: str) -> None:
    """Two ids of the own app compare as numbers, everything else by its bytes."""
    assert dialect.leads(User(high), User(low))
    assert not dialect.leads(User(low), User(high))
    assert not dialect.leads(User(high), User(high))


def test_users_of_named_account_are_written_as_jids() -> None:
    head = CallHead(call=CALL, caller=ALICE, callees=(BOB,), media=CallMedia.AUDIO)
    written = NAMED.encode(BOB, head, Invite(head=head, offer=SDP))
    assert fields(over_the_wire(written))["callerID"] == "alice@example.org"
    assert invited(NAMED, over_the_wire(written)).head == head


@pytest.mark.parametrize("stranger", ["bob@example.org", "1002-88@localhost", "007-77@localhost"])
def test_user_outside_the_app_is_written_as_jid(stranger: str) -> None:
    head = CallHead(call=CALL, caller=A, callees=(B, User(stranger)), media=CallMedia.VIDEO)
    written = over_the_wire(NUMERIC.encode(B, head, Invite(head=head, offer=SDP)))
    assert invited(NUMERIC, written).head == head
    assert fields(written)["opponentsIDs"] == sorted(["1002", stranger])


@pytest.mark.parametrize(
    ("dialect", "field", "xml"),
    [
        (NAMED, "callerID", "<callerID>1001</callerID>"),
        (NAMED, "callerID", f"<callerID>{'9' * 5000}</callerID>"),
        (NUMERIC, "callerID", "<callerID>alice</callerID>"),
        (NUMERIC, "callerID", "<callerID>NaN</callerID>"),
        (NUMERIC, "callerID", "<callerID/>"),
        (NUMERIC, "callerID", "<callerID>bob@example.org/phone</callerID>"),
        (NUMERIC, "callerID", f"<callerID>{'9' * 5000}</callerID>"),
        (NUMERIC, "opponentsIDs", opponents("alice")),
        (NUMERIC, "opponentsIDs", opponents(1002, "")),
        (NUMERIC, "opponentsIDs", opponents()),
        (NUMERIC, "opponentsIDs", opponents(1001)),
        (NUMERIC, "opponentsIDs", "<opponentsIDs>1002</opponentsIDs>"),
    ],
)
def test_call_with_unreadable_users_is_malformed(dialect: Dialect, field: str, xml: str) -> None:
    """QB-049."""
    with pytest.raises(Malformed, match=f"^{field}: ") as error:
        dialect.decode(call_with(**{field: xml}))
    assert len(str(error.value)) < 500


def test_users_named_twice_and_caller_among_opponents_are_read_once() -> None:
    xml = opponents(1002, " 1003 ", "01002", 1001)
    assert invited(NUMERIC, call_with(opponentsIDs=xml)).head.callees == (B, C)
