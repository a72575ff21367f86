"""Passwords that no server can take are told from others."""

from __future__ import annotations

import pytest

from qbcall.adapters.xmpp_password import fault_of


@pytest.mark.parametrize("password", ["", "a b", "ß€ \u00a0", "\u05d0\u05d1", "p\u2103", "pass\N{GRINNING FACE}"])
def test_others_are_taken(password: str) -> None:
    """Non-ASCII spaces and compatibility characters are replaced (RFC 4013, sections 2.1 and 2.2)."""
    assert fault_of(password) == ""


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("top\nsecret", "character 4, U+000A,"),
        ("secret\x7f", "character 7, U+007F,"),
        ("secret\u0085", "character 7, U+0085,"),
        ("\ue000secret", "character 1, U+E000,"),
        ("secret\ud800", "character 7, U+D800,"),
        ("secret\u202e", "character 7, U+202E,"),
        ("secret\u05d0", "mixes letters"),
    ],
)
def test_what_is_forbidden_is_named_and_the_rest_not_shown(password: str, told: str) -> None:
    assert fault_of(password).startswith(told)
    assert "secret" not in fault_of(password)
