"""`qbcall schema`: the JSON Schema of the lines on standard output, or of a report."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from qbcall.cli import lines
from qbcall.report import document


def schema(
    *, report: Annotated[bool, typer.Option("--report", help="Of what --report FILE.json writes.")] = False
) -> None:
    """Print the JSON Schema of one JSON line."""
    print(json.dumps(document.schema() if report else lines.schema(), indent=2))  # noqa: T201 - that is what it is for
