"""What a check found."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.Enum):
    """How a check went."""

    PASS = "pass"  # noqa: S105 - no password
    """As it should be."""
    WARNING = "warning"
    """Calls work, but not everywhere, or less well."""
    FAILURE = "failure"
    """Calls do not work, or what is configured for them does not."""
    SKIPPED = "skipped"
    """It could not run, or there is nothing to check; `detail` says why."""


def milliseconds(seconds: float) -> str:
    """For people."""
    ms = seconds * 1000
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the report."""

    check: str
    """Name of the check; stable."""
    status: Status
    subject: str = ""
    """What was checked where there are several, e.g. the URL of a server."""
    detail: str
    """What was found; what is wrong; why it was skipped."""
    remedy: str = ""
    """What to do about a warning or failure."""
    ms: float | None = None
    """What it took, if a time is what the check is about."""
    error: Exception | None = None
    """What a program would raise here; with a failure."""
