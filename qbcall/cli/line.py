"""What each line that programs read has in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Line(BaseModel):
    """One line."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    v: Literal[1] = 1
    """Version of the lines: another number when a program that reads them has to change."""
    t: str
    """When, RFC 3339, UTC, to the millisecond."""
    mono: float
    """When, in seconds on a clock that never jumps and starts anywhere."""
    type: str
    """What is told."""


def stamp(mono: float) -> dict[str, object]:
    """The fields that say when: now; `mono` is the time on the event loop's clock."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"t": now.replace("+00:00", "Z"), "mono": round(mono, 3)}
