"""The command line: `qbcall COMMAND`, see `docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and give its exit code."""
    from qbcall.cli.app import execute  # noqa: PLC0415 - importing the package costs nothing

    return execute(sys.argv[1:] if arguments is None else arguments)
