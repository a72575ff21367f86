"""Names of sources and sinks: `name[:value][,key=value...]`.

Options are recognised from the end, so that a path may hold commas and colons; names that take no value may give
their options right after the colon. Several sources are joined with `+`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from qbcall.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Form:
    """What may follow a name."""

    value: str = ""
    """What the value is, for people, e.g. `PATH`; empty: there is none."""
    needed: bool = False
    """The value may not be left out."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed specification."""

    text: str
    """As it was given, for messages."""
    name: str
    value: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def number(self, key: str, low: int, high: int, default: int) -> int:
        """An option, or with the key `value` the value, as whole number.

        Raises:
            InvalidArgument: it is none, or out of range.
        """
        text = self.value if key == "value" else self.options.get(key, "")
        if not text:
            return default
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise InvalidArgument(f"{self.text}: {key} must be a whole number from {low} to {high}, not {text!r}")
        return int(text)

    def flag(self, key: str, default: bool) -> bool:
        """An option as truth value.

        Raises:
            InvalidArgument: it is neither yes nor no.
        """
        words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
        text = self.options.get(key)
        if text is None:
            return default
        if text.lower() not in words:
            raise InvalidArgument(f"{self.text}: {key} must be yes or no, not {text!r}")
        return words[text.lower()]


def parse(text: str, what: str, forms: Mapping[str, Form]) -> Spec:
    """Take a specification apart.

    Args:
        text: e.g. `file:talk.webm,loop=no`.
        what: `source` or `sink`, for messages.
        forms: the known names.

    Raises:
        InvalidArgument: an unknown name or option, a value that is missing or not expected.
    """
    name, _, rest = text.partition(":")
    if name not in forms:
        raise InvalidArgument(f"{what} must be {listing(forms)}, not {text!r}{suggestion(name, forms)}")
    form = forms[name]
    parts = rest.split(",") if rest else []
    options: dict[str, str] = {}
    while parts and parts[-1].partition("=")[0] in form.options and "=" in parts[-1]:
        key, _, value = parts.pop().partition("=")
        options[key] = value
    left = ",".join(parts)
    _check(text, left, form)
    return Spec(text, name, left, options)


def split(text: str, forms: Mapping[str, Form]) -> list[str]:
    """The sources joined with `+`; a plus in a path is one, unless the name of a source follows it."""
    names = "|".join(map(re.escape, forms))
    return re.split(rf"\+(?=(?:{names})(?:$|[:+]))", text)


def listing(names: Mapping[str, Form]) -> str:
    """What there is to choose from, for people."""
    shown = [_usage(name, form) for name, form in names.items()]
    return f"{', '.join(shown[:-1])} or {shown[-1]}"


def suggestion(wrong: str, known: Mapping[str, Form] | tuple[str, ...]) -> str:
    """`; did you mean …?`, or nothing when nothing is similar."""
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _usage(name: str, form: Form) -> str:
    if not form.value:
        return name
    return f"{name}:{form.value}" if form.needed else f"{name}[:{form.value}]"


def _check(text: str, left: str, form: Form) -> None:
    key, equals, _ = left.rpartition(",")[2].partition("=")
    misspelt = suggestion(key, form.options) if equals else ""
    if left and (not form.value or misspelt):
        known = f"it knows {', '.join(option + '=' for option in form.options)}" if form.options else "it takes none"
        raise InvalidArgument(f"{text}: unknown option {left.rpartition(',')[2]!r}{misspelt}; {known}")
    if not left and form.needed:
        raise InvalidArgument(f"{text}: the {form.value} is missing")
