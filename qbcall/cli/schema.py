"""`qbcall schema`: the JSON Schema of the lines on standard output."""

from __future__ import annotations

import json

from qbcall.cli import lines


def schema() -> None:
    """Print the JSON Schema of one JSON line."""
    print(json.dumps(lines.schema(), indent=2))  # noqa: T201 - that is what it is for
