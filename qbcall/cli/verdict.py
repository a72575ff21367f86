"""The exit code that a call leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qbcall.cli.exit_codes import CODES_OF_OUTCOMES, ExitCode, Outcome
from qbcall.cli.output import Output
from qbcall.cli.summary import outcome

if TYPE_CHECKING:
    from qbcall.call import Call


@dataclass(frozen=True, slots=True)
class Expectation:
    """What `--expect` names."""

    outcome: Outcome | None = None
    """None: the outcome decides the exit code by itself."""


def verdict(call: Call, expected: Expectation, output: Output) -> ExitCode:
    """The exit code for a call that is over."""
    found = outcome(call)
    if call.sink_errors:
        output.say("received media was not kept to the end")
        return ExitCode.MISSING
    if expected.outcome is None:
        return CODES_OF_OUTCOMES[found]
    if found is not expected.outcome:
        output.say(f"expected {expected.outcome.value}, but the call was {found.value}")
        return ExitCode.EXPECTATION
    return ExitCode.OK
