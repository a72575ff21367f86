"""What the texts of an application may hold: checked before they are sent, and again when they arrive."""

from __future__ import annotations

import re

from qbcall.dialects.xml import unwritable, utf8_size
from qbcall.errors import InvalidArgument

MAX_TYPE = 128
"""Characters of a message's type (Vonage: signaling)."""
MAX_DATA_BYTES = 8192
"""Of a message's data, in UTF-8 (Vonage: signaling)."""
MAX_PARTICIPANT_DATA = 1000
"""Characters that a participant says about itself (Vonage: connection data)."""
_NOT_IN_TYPE = re.compile("[^A-Za-z0-9_~-]")


class TooLong(InvalidArgument):
    """A text that is longer than its limit (Vonage: error 413)."""


def check_message(type: str, data: str) -> None:
    """Refuse what would not arrive as it is; the data is judged first. Call it before anything is sent.

    Raises:
        TypeError: one of them is not text.
        TooLong: one of them is longer than its limit; names the limit and the size.
        InvalidArgument: the type has a character outside `A-Za-z0-9-_~`, or the data one that XML cannot carry.
    """
    _check_text("data", data)
    size = utf8_size(data)
    if size > MAX_DATA_BYTES:
        raise TooLong(f"data has {size} bytes in UTF-8, at most {MAX_DATA_BYTES}")
    if not isinstance(type, str):
        raise TypeError(f"type must be text, not {type!r}")
    if len(type) > MAX_TYPE:
        raise TooLong(f"type has {len(type)} characters, at most {MAX_TYPE}")
    if wrong := _NOT_IN_TYPE.search(type):
        raise InvalidArgument(
            f"type {type!r} has {wrong[0]!r} in it, only A-Z, a-z, 0-9, '-', '_' and '~' are allowed"
        )


def check_participant_data(data: str) -> None:
    """Refuse what would not arrive as it is. Call it before anything is sent.

    Raises:
        TypeError: it is not text.
        TooLong: it is longer than its limit; names the limit and the size.
        InvalidArgument: it has a character that XML cannot carry, or a carriage return, which XML turns into a line
            feed on the way.
    """
    _check_text("participant data", data)
    if "\r" in data:
        raise InvalidArgument("participant data has '\\r' in it, which XML turns into '\\n'; use '\\n'")
    if len(data) > MAX_PARTICIPANT_DATA:
        raise TooLong(f"participant data has {len(data)} characters, at most {MAX_PARTICIPANT_DATA}")


def _check_text(field: str, text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{field} must be text, not {text!r}")
    if wrong := unwritable(text):
        raise InvalidArgument(f"{field} has {wrong!r} in it, which XML cannot carry")
