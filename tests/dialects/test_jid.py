"""Bare JIDs as people write them."""

from __future__ import annotations

import pytest

from qbcall.dialects.jid import MAX_PART_BYTES, bare_jid
from qbcall.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("alice@example.org", "alice@example.org"),
        ("Alice@Example.ORG", "alice@example.org"),
        ("1001-77@localhost", "1001-77@localhost"),
        ("jürgen@bücher.example", "jürgen@bücher.example"),
        ("a.b+c=d@[::1]", "a.b+c=d@[::1]"),
        ("a" * MAX_PART_BYTES + "@x", "a" * MAX_PART_BYTES + "@x"),
    ],
)
def test_jid_is_kept_in_lower_case(text: str, user: str) -> None:
    assert bare_jid(text) == user


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no '@'"),
        ("alice", "no '@'"),
        ("@localhost", "name before '@' is empty"),
        ("alice@", "domain after '@' is empty"),
        ("alice@localhost/phone", "names one device"),
        ("alice@local@host", "domain after '@' has '@'"),
        ("al ice@localhost", "name before '@' has ' '"),
        ("al/ice@localhost", "name before '@' has '/'"),
        ("alice@local host", "domain after '@' has ' '"),
        ("alice@localhost\n", "domain after '@' has '\\n'"),
        ("ali\x00ce@localhost", "name before '@' has '\\x00'"),
        ("ali\ud800ce@localhost", "name before '@' has '\\ud800'"),
        ("a" * (MAX_PART_BYTES + 1) + "@x", f"1024 bytes, at most {MAX_PART_BYTES}"),
        ("a@" + "é" * 512, f"1024 bytes, at most {MAX_PART_BYTES}"),
    ],
)
def test_wrong_jid_is_refused_with_its_fault(text: str, problem: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        bare_jid(text)
    assert problem in str(refused.value)
    assert len(str(refused.value)) < 500
