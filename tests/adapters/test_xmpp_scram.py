"""SCRAM as slixmpp does it is fast, limited and unpredictable."""

from __future__ import annotations

import base64
import random

import pytest
from slixmpp.util.sasl.mechanisms import SCRAM

from qbcall.adapters.xmpp_scram import salted_password
from qbcall.errors import InsecureLink


def scram(name: str) -> SCRAM:
    security = {"encrypted": True, "unencrypted_scram": False, "binding_proposed": False, "tls_version": None}
    return SCRAM(name, {"username": b"user", "password": b"pencil", "authzid": b""}, security)  # type: ignore[no-untyped-call]  # is none


@pytest.mark.parametrize(
    ("name", "salt", "expected"),
    [
        # RFC 5802, section 5, and RFC 7677, section 3.
        ("SCRAM-SHA-1", "QSXCR+Q6sek8bf92", "1d96ee3a529b5a5f9e47c01f229a2cb8a6e15f7d"),
        (
            "SCRAM-SHA-256",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d",
        ),
    ],
)
def test_salted_password_is_that_of_the_rfc(name: str, salt: str, expected: str) -> None:
    assert salted_password(scram(name), "pencil", base64.b64decode(salt), 4096).hex() == expected


def test_salted_password_has_a_limit() -> None:
    with pytest.raises(InsecureLink, match="200001 iterations"):
        salted_password(scram("SCRAM-SHA-1"), b"pencil", b"salt", 200_001)


def test_slixmpp_uses_the_fast_function() -> None:
    assert vars(SCRAM)["Hi"] is salted_password


def test_nonce_cannot_be_predicted() -> None:
    first = []
    for _ in range(2):
        random.seed(1)
        first.append(scram("SCRAM-SHA-1").process())
    assert first[0] != first[1]
