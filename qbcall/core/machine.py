"""State tables and the one interpreter that runs them.

A row says: in this state, on this input, if this holds, do this and go there. The first row that fits wins. Timers
belong to states: entering a state arms those it lists (unless they run already), leaving it cancels those that the
next state does not list. Diagrams and row tests are generated from the tables.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from qbcall.core.inputs import Timer

S = TypeVar("S", bound=enum.Enum)
I = TypeVar("I")  # noqa: E741 - the field's letter for an input
M = TypeVar("M")
S_contra = TypeVar("S_contra", contravariant=True)


class Stay(enum.Enum):
    """The next state of a row that changes nothing."""

    STAY = "="


stay = Stay.STAY


@dataclass(frozen=True, slots=True)
class Row(Generic[M, S]):
    """One rule."""

    states: tuple[S, ...]
    on: type[object]
    next: S | Stay
    action: Callable[[M, Any], None] | None
    when: Callable[[M, Any], bool] | None
    because: str = ""
    """Only for inputs that are ignored: why."""

    def fits(self, owner: M, what: object) -> bool:
        """Whether what the row asks for holds."""
        return self.when is None or self.when(owner, what)


def on(
    states: S | tuple[S, ...],
    what: type[I],
    then: S | Stay,
    action: Callable[[M, I], None] | None = None,
    *,
    when: Callable[[M, I], bool] | None = None,
) -> Row[M, S]:
    """A rule."""
    return Row(states if isinstance(states, tuple) else (states,), what, then, action, when)


def ignored(states: S | tuple[S, ...], *whats: type[object], because: str) -> tuple[Row[Any, S], ...]:
    """Inputs that change nothing in these states, and why."""
    some = states if isinstance(states, tuple) else (states,)
    return tuple(Row(some, what, stay, None, None, because) for what in whats)


@dataclass(frozen=True, slots=True)
class Table(Generic[M, S]):
    """All rules of one kind of region."""

    name: str
    rows: tuple[Row[M, S], ...]
    timers: Mapping[S, tuple[type[Timer], ...]]
    _index: dict[tuple[S, type[object]], list[Row[M, S]]] = field(init=False, repr=False, compare=False)
    """The rows of each state and input, in their order: most are looked up some hundred times a second."""

    def __post_init__(self) -> None:
        index: dict[tuple[S, type[object]], list[Row[M, S]]] = {}
        for row in self.rows:
            for state in row.states:
                index.setdefault((state, row.on), []).append(row)
        object.__setattr__(self, "_index", index)

    def row(self, owner: M, state: S, what: object) -> Row[M, S] | None:
        """The rule for this input now; None if there is none."""
        for row in self._index.get((state, type(what)), ()):
            if row.fits(owner, what):
                return row
        return None


def table(
    name: str, *rows: Row[M, S] | Iterable[Row[M, S]], timers: Mapping[S, tuple[type[Timer], ...]]
) -> Table[M, S]:
    """Rows and groups of rows as one table."""
    flat: list[Row[M, S]] = []
    for row in rows:
        flat.extend([row] if isinstance(row, Row) else row)
    return Table(name, tuple(flat), timers)


class Owner(Protocol[S_contra]):
    """What a region needs from the thing whose state it is."""

    def deadline(self, timer: type[Timer]) -> float | None:
        """When a timer that a state lists falls due; None: it is not armed by entering the state."""

    def changed(self, old: S_contra, new: S_contra) -> None:
        """The state changed."""


O = TypeVar("O", bound=Owner[Any])  # noqa: E741


@dataclass(frozen=True, slots=True)
class Due:
    """A timer that runs."""

    at: float
    """Seconds."""
    region: Region[Any, Any]
    timer: type[Timer]


class Region(Generic[O, S]):
    """One running state machine: a state, and the timers that run."""

    def __init__(self, rules: Table[O, S], owner: O, state: S) -> None:
        self._rules = rules
        self.owner = owner
        self.state = state
        self._deadlines: dict[type[Timer], float] = {}

    def feed(self, what: object) -> bool:
        """Apply the rule for this input; False if there is none."""
        row = self._rules.row(self.owner, self.state, what)
        if row is None:
            return False
        if row.action is not None:
            row.action(self.owner, what)
        if not isinstance(row.next, Stay):
            self._enter(row.next)
        return True

    def handles(self, what: object) -> bool:
        """Whether there is a rule for this input now."""
        return self._rules.row(self.owner, self.state, what) is not None

    def arm(self, timer: type[Timer], at: float) -> None:
        """Let a timer of the present or next state fall due at `at`."""
        self._deadlines[timer] = at

    def deadlines(self) -> Iterator[Due]:
        """The timers that run. Of two due at once, the one that its state lists first comes first."""
        for timer in self._rules.timers.get(self.state, ()):
            if timer in self._deadlines:
                yield Due(self._deadlines[timer], self, timer)

    def expire(self, timer: type[Timer]) -> None:
        """The timer fell due: it does not run any more."""
        del self._deadlines[timer]

    def _enter(self, new: S) -> None:
        old, self.state = self.state, new
        listed = self._rules.timers.get(new, ())
        self._deadlines = {timer: at for timer, at in self._deadlines.items() if timer in listed}
        for timer in listed:
            if timer not in self._deadlines and (at := self.owner.deadline(timer)) is not None:
                self._deadlines[timer] = at
        if old is not new:
            self.owner.changed(old, new)
