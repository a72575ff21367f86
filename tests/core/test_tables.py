"""The tables themselves: every input has its place in every state, every row is used, diagrams are up to date."""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from qbcall.core.machine import Row, Stay, Table
from tests.core.stories import stories
from tests.core.tables import INPUTS, TABLES, name, timers, unexpected

ROWS = [(table.name, row) for table in TABLES.values() for row in table.rows]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_input_has_its_place_in_every_state(table: Table[Any, Any]) -> None:
    states = type(table.rows[0].states[0])
    everything = {(state.name, what.__name__) for state in states for what in INPUTS[table.name]}
    everything |= {(state.name, timer.__name__) for state in states for timer in timers(table, state)}
    rows = {(state.name, row.on.__name__) for row in table.rows for state in row.states}
    assert rows | unexpected(table.name) == everything
    assert rows & unexpected(table.name) == set()


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rows_of_one_input_end_with_one_without_guard_or_are_unexpected_otherwise(table: Table[Any, Any]) -> None:
    """After a row without a guard no other row of the same state and input can fit."""
    for number, row in enumerate(table.rows):
        hidden = [
            later
            for later in table.rows[number + 1 :]
            if later.on is row.on and set(later.states) <= set(row.states) and row.when is None
        ]
        assert hidden == [], name(row)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_action_and_guard_take_the_input_of_their_row(table: Table[Any, Any]) -> None:
    for row in table.rows:
        for function in (row.action, row.when):
            if function is not None:
                taken = list(inspect.signature(function).parameters.values())[-1].annotation
                assert taken == "object" or row.on.__name__ in taken.split(" | "), name(row)


@cache
def used_rows() -> set[int]:
    """Numbers of the rows that some story uses."""
    used: set[int] = set()
    numbers = {id(row): number for number, (_, row) in enumerate(ROWS)}
    before = Table.row

    def noting(table: Table[Any, Any], owner: object, state: Any, what: object) -> Row[Any, Any] | None:
        row = before(table, owner, state, what)
        if row is not None:
            used.add(numbers[id(row)])
        return row

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Table, "row", noting)
        for story in stories():
            story()
    return used


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[f"{table} {name(row)}" for table, row in ROWS])
def test_row_is_used_by_a_story(number: int) -> None:
    assert number in used_rows()


def test_ignored_rows_do_nothing_and_say_why() -> None:
    for _, row in ROWS:
        if row.because:
            assert isinstance(row.next, Stay)
            assert row.action is None


def test_state_diagrams_are_up_to_date() -> None:
    script = Path(__file__).parents[2] / "scripts" / "state_diagrams.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
