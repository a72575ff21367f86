"""Stories as text in tests."""

from __future__ import annotations

import textwrap


def lines(text: str) -> str:
    """A block of lines without its margin."""
    return textwrap.dedent(text).strip()
