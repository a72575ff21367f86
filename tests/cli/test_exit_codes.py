"""Outcomes and errors as exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qbcall import errors
from qbcall.cli.exit_codes import CODES_OF_OUTCOMES, ExitCode, Outcome, code_of_error, outcome_of
from qbcall.core.model import EndReason
from qbcall.errors import ProgramMissing
from qbcall.media.sinks import SINKS
from qbcall.media.sources import SOURCES

DOCS = Path(__file__).parent.parent.parent / "docs" / "cli.md"


@pytest.mark.parametrize(
    ("reason", "connected", "outcome", "code"),
    [
        (EndReason.HUNG_UP, True, Outcome.ANSWERED, 0),
        (EndReason.REMOTE_HUNG_UP, True, Outcome.ANSWERED, 0),
        (EndReason.NO_ANSWER, True, Outcome.ANSWERED, 0),
        (EndReason.REJECTED, True, Outcome.ANSWERED, 0),
        (EndReason.DISCONNECT_TIMEOUT, True, Outcome.LOST, 10),
        (EndReason.SECURITY, True, Outcome.SECURITY, 8),
        (EndReason.MEDIA_FAILED, True, Outcome.MEDIA_FAILED, 9),
        (EndReason.HUNG_UP, False, Outcome.CANCELLED, 7),
        (EndReason.REMOTE_HUNG_UP, False, Outcome.MEDIA_FAILED, 9),
        (EndReason.CANCELLED, False, Outcome.CANCELLED, 7),
        (EndReason.DECLINED, False, Outcome.DECLINED, 0),
        (EndReason.REJECTED, False, Outcome.REJECTED, 6),
        (EndReason.BUSY, False, Outcome.BUSY, 6),
        (EndReason.NO_ANSWER, False, Outcome.NO_ANSWER, 7),
        (EndReason.MISSED, False, Outcome.MISSED, 7),
        (EndReason.MEDIA_FAILED, False, Outcome.MEDIA_FAILED, 9),
    ],
)
def test_end_of_a_call_has_an_outcome_and_a_code(
    reason: EndReason, connected: bool, outcome: Outcome, code: int
) -> None:
    assert outcome_of(reason, connected) is outcome
    assert CODES_OF_OUTCOMES[outcome] == code


def test_no_call_that_was_never_connected_counts_as_answered() -> None:
    assert all(outcome_of(reason, False) is not Outcome.ANSWERED for reason in EndReason)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("x"), 1),
        (errors.InvalidArgument("x"), 2),
        (errors.InvalidState("x"), 2),
        (errors.ConfigError([]), 3),
        (errors.AuthError("x"), 4),
        (errors.ServerUnreachable("x"), 5),
        (errors.LinkDown("x"), 5),
        (errors.Busy("x"), 6),
        (errors.NoAnswer("x"), 7),
        (errors.InsecureLink("x"), 8),
        (errors.NegotiationError("x"), 9),
        (errors.CallLost("x"), 10),
        (errors.PeerNotTrusted("x"), 8),
        (errors.SignalFailed(404, "x"), 13),
        (errors.SourceError("x"), 12),
        (errors.SinkError("x"), 12),
        (ProgramMissing("x"), 12),
        (ExceptionGroup("x", [RuntimeError("x"), ExceptionGroup("y", [errors.AuthError("x")])]), 4),
        (ExceptionGroup("x", [RuntimeError("x")]), 1),
    ],
)
def test_error_has_the_code_of_its_class(error: Exception, code: int) -> None:
    assert code_of_error(error) == code


def test_every_exit_code_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"| {code.value} |" in text
    for outcome in Outcome:
        assert f"`{outcome.value}`" in text


@pytest.mark.parametrize("name", [*SOURCES, *SINKS])
def test_every_source_and_sink_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}[`\[:]", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
