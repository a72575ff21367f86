"""HTML and SVG from Python. Pure. Whatever is not marked as markup is text, and is escaped."""

from __future__ import annotations

import html
import re

VOID = {"meta", "img", "br"}
"""Elements of HTML without an end tag."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that are in no text: controls and halves of surrogate pairs."""


class Markup(str):
    """Text that is HTML or SVG already."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """A value as text, in an element or a quoted attribute."""
    return value if isinstance(value, Markup) else Markup(html.escape(_CONTROLS.sub("\ufffd", str(value))))


def element(tag: str, /, *children: object, **attributes: object) -> Markup:
    """An element. Of attributes, `class_` is `class`, `text_anchor` is `text-anchor`, and None is none."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{joined(*children)}</{tag}>")


def joined(*children: object) -> Markup:
    """One after the other; None is nothing."""
    return Markup("".join(escaped(child) for child in children if child is not None))


def name_of(user: object) -> Markup:
    """A name that others chose: its direction of writing does not reach beyond it."""
    return element("bdi", user)
