#!/usr/bin/env python3
"""Change the state tables and run the tests of the core each time: a change that no test misses is a finding.

Each row is dropped in turn; with `--fine` also each state of a row, each guard and each timer (several minutes). Two
processes at a time. Exit code 0: some test noticed every change.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qbcall.core import connection, link, mailbox, matrix, preconnection, reconnection, session  # noqa: E402 - the repository is found by the line above
from qbcall.core.machine import Row, Table  # noqa: E402 - as above
from tests.core.tables import TABLES, name  # noqa: E402 - as above

MODULES = {
    "LINK": link,
    "SESSION": session,
    "CONNECTION": connection,
    "PRECONNECTION": preconnection,
    "RECONNECTION": reconnection,
    "MAIL": mailbox,
    "MATRIX": matrix,
}
ABOUT_TABLES = ("test_every_input_has_its_place", "test_row_is_used_by_a_story", "test_state_diagrams")
"""Tests that look at the tables, not at what they do: any change fails them, so they prove nothing here."""


class Mutant(NamedTuple):
    """One changed table."""

    title: str
    table: Table[Any, Any]


def replaced(table: Table[Any, Any], number: int, *rows: Row[Any, Any]) -> Table[Any, Any]:
    """The table with other rows in place of one."""
    return dataclasses.replace(table, rows=(*table.rows[:number], *rows, *table.rows[number + 1 :]))


def without_rows(table: Table[Any, Any]) -> Iterator[Mutant]:
    """Each row dropped in turn."""
    for number, row in enumerate(table.rows):
        yield Mutant(f"{table.name}: {name(row)}", replaced(table, number))


def without_parts(table: Table[Any, Any]) -> Iterator[Mutant]:
    """Each state, guard and timer dropped in turn."""
    for number, row in enumerate(table.rows):
        for state in row.states if len(row.states) > 1 else ():
            fewer = dataclasses.replace(row, states=tuple(other for other in row.states if other is not state))
            yield Mutant(f"{table.name}: not in {state.name}: {name(row)}", replaced(table, number, fewer))
        if row.when is not None:
            always = dataclasses.replace(row, when=None)
            yield Mutant(f"{table.name}: without guard: {name(row)}", replaced(table, number, always))
    for state, timers in table.timers.items():
        for timer in timers:
            less = {**table.timers, state: tuple(other for other in timers if other is not timer)}
            title = f"{table.name}: no {timer.__name__} in {state.name}"
            yield Mutant(title, dataclasses.replace(table, timers=less))


def is_missed(mutant: Mutant) -> tuple[str, bool]:
    """Whether some test fails with the changed table. Runs in a process of its own."""
    setattr(MODULES[mutant.table.name], mutant.table.name, mutant.table)
    os.chdir(ROOT)
    skip = " and ".join(f"not {about}" for about in ABOUT_TABLES)
    options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-k", skip, "tests/core"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main(options)
    return mutant.title, code != pytest.ExitCode.OK


def main() -> int:
    """Try all changes and tell which are not missed."""
    parser = argparse.ArgumentParser(description="Change the state tables: some test must fail each time.")
    parser.add_argument("--fine", action="store_true", help="also drop single states, guards and timers")
    parser.add_argument("--only", default="", metavar="TEXT", help="only changes whose title holds this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth change, for a quick look")
    arguments = parser.parse_args()
    mutants = [mutant for table in TABLES.values() for mutant in without_rows(table)]
    if arguments.fine:
        mutants += [mutant for table in TABLES.values() for mutant in without_parts(table)]
    mutants = [mutant for mutant in mutants if arguments.only in mutant.title][:: arguments.every]
    unchanged = Mutant("unchanged", TABLES["LINK"])
    began = time.monotonic()
    # forked, since rows hold functions; each mutant in a fresh process
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        if pool.apply(is_missed, (unchanged,))[1]:
            print("the tests of the core fail without any change: see to that first")
            return 2
        done = list(pool.imap_unordered(is_missed, mutants, chunksize=1))
    unnoticed = sorted(title for title, missed in done if not missed)
    print(f"{len(done)} changes in {time.monotonic() - began:.0f} s, {len(unnoticed)} noticed by no test")
    for title in unnoticed:
        print(f"  {title}")
    return 1 if unnoticed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
