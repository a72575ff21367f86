"""docs/from-quickblox.md: each name exists, each callback of QuickBlox's page fires, with its arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

import qbcall
from qbcall.core import events as ev
from qbcall.core.model import CallState, PeerState
from tests.core.stories import noting_events, stories

PAGE = Path(__file__).parent.parent / "docs" / "from-quickblox.md"
WORD = re.compile(r"`([A-Z]\w+)(?:\.(\w+))?`")


def rows(chapter: str) -> Iterator[list[str]]:
    """The cells of the table in the chapter whose title begins so."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {chapter}")[1].split("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| QuickBlox"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


CALLBACKS = list(rows("Events"))


@cache
def fired() -> list[ev.Event]:
    """Every event of all stories of the core."""
    with noting_events() as noted:
        for story in stories():
            story()
    return noted


def test_all_seventeen_callbacks_are_mapped() -> None:
    """QB-132."""
    assert len(CALLBACKS) == 17
    assert len({cells[1] for cells in CALLBACKS}) == 17


@pytest.mark.parametrize("cells", CALLBACKS, ids=[cells[1].strip("`") for cells in CALLBACKS])
def test_callback_fires_with_its_arguments(cells: list[str]) -> None:
    """QB-132, QB-133."""
    event_class = getattr(ev, cells[1].strip("`"))
    events = [event for event in fired() if isinstance(event, event_class)]
    assert events != []
    for event in events:
        assert isinstance(event, ev.CallEvent)
        assert {"call", *re.findall(r"`(\w+)`", cells[2])} <= {field.name for field in fields(event)}


def test_every_name_of_qbcall_exists() -> None:
    text = "\n".join(
        cells[1] for title in ("Starting", "A call", "States", "Settings", "Events") for cells in rows(title)
    )
    named = WORD.findall(text)
    assert len(named) > 40
    for owner, member in named:
        found = getattr(qbcall, owner)
        known = {*dir(found), *getattr(found, "__annotations__", ()), *vars(found).get("__slots__", ())}
        assert not member or member in known or member in assigned(found), f"{owner}.{member}"


def assigned(owner: type) -> set[str]:
    """Attributes that a class sets in its methods."""
    source = Path(str(__import__(owner.__module__, fromlist=["x"]).__file__)).read_text(encoding="utf-8")
    return set(re.findall(r"self\.(\w+)(?:: .+?)? = ", source))


def test_every_state_is_mapped() -> None:
    """QB-080, QB-103."""
    text = PAGE.read_text(encoding="utf-8")
    for state in (*CallState, *PeerState):
        assert f"`{type(state).__name__}.{state.name}`" in text
