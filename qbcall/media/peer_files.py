"""Files named after users, in a directory of the application."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

from qbcall.core.model import User
from qbcall.errors import SinkError

LONGEST = 150
"""Characters of a name; file systems take 255 bytes."""


def safe_name(user: User) -> str:
    """A user as part of a file name: no separators, no hidden file, not too long; different for different users."""
    name = quote(user, safe="@")
    if name.startswith((".", "~", "-")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}~{crc32(user.encode()):08x}"


def free_path(directory: Path, user: User, suffix: str) -> Path:
    """`<user><suffix>`, or `<user>.2<suffix>` and so on, so that no file is overwritten."""
    name = safe_name(user)
    path, number = directory / f"{name}{suffix}", 2
    while path.exists():
        path, number = directory / f"{name}.{number}{suffix}", number + 1
    return path


def make_directory(spec: str, text: str) -> Path:
    """The directory, made if it is missing; blocks.

    Raises:
        SinkError: it cannot be made or written.
    """
    path = Path(text).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise SinkError(f"{spec}: the directory cannot be written: {error}") from error
    return path
