"""Where a report is written: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from qbcall.errors import InvalidArgument, SinkError

ENDINGS = (".html", ".htm", ".json")


def ending(path: Path) -> str:
    """The kind of file by its name: `html` or `json`.

    Raises:
        InvalidArgument: it is neither.
    """
    suffix = path.suffix.lower()
    if suffix not in ENDINGS:
        raise InvalidArgument(f"a report must be named .html or .json, not {path.name!r}")
    return "json" if suffix == ".json" else "html"


def check_path(path: Path) -> None:
    """See that a report can be written there.

    Raises:
        InvalidArgument: the name ends neither in `.html` nor in `.json`.
        SinkError: there can be no such file.
    """
    ending(path)
    if path.is_dir():
        raise SinkError(f"report {path}: that is a directory")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".qbcall-"):
            pass
    except OSError as error:
        raise SinkError(f"report {path}: {error.strerror or error}") from None


def write(path: Path, text: str) -> None:
    """Write a file, in place of one that is there; nobody ever sees half of it.

    Raises:
        SinkError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="replace")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SinkError(f"report {path}: {error.strerror or error}") from None


def numbered(path: Path, number: int) -> Path:
    """The name for the report of the n-th call: `call.html`, `call-2.html`, ..."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
