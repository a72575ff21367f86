"""How people write an impairment: `loss=5%,delay=80ms,jitter=20ms,rate=300k,blackout=3s@10s,seed=7`.

`up.` or `down.` before a key means one direction, what is sent or what is received; without it, both are meant.
`blackout=LENGTH@START` may be repeated.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

from qbcall.core.impairment import Blackout, Conditions, Impairment
from qbcall.errors import InvalidArgument

NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
DIRECTIONS = ("up", "down")
MOST_TIME = 10.0
"""Seconds of delay."""
LONGEST_BLACKOUT = 3600.0
LATEST_BLACKOUT = 86400.0
LEAST_RATE = 8e3
MOST_RATE = 1e9
MOST_SEED = 999_999_999
SECONDS = {"ms": 1e-3, "s": 1.0}
BITS = {"k": 1e3, "M": 1e6}
PARTS = {"%": 1e-2, "": 1.0}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit, and what it may be."""

    units: dict[str, float]
    low: float
    high: float
    says: str
    """The limits, for people."""

    def read(self, key: str, text: str) -> float:
        """The number in the unit that is 1.

        Raises:
            InvalidArgument: it is none, or beyond a limit.
        """
        found = re.fullmatch(NUMBER + "([A-Za-z%]*)", text)
        if found and found[2] in self.units:
            value = round(float(found[1]) * self.units[found[2]], 9)
            if self.low <= value <= self.high:
                return value
        raise InvalidArgument(f"{key} must be {self.says}, not {text!r}")


_TIME = Quantity(SECONDS, 0.0, MOST_TIME, f"0ms to {MOST_TIME:g}s")
_QUANTITIES = {
    "loss": Quantity(PARTS, 0.0, 1.0, "0% to 100%, or 0 to 1"),
    "delay": _TIME,
    "jitter": _TIME,
    "rate": Quantity(BITS, LEAST_RATE, MOST_RATE, f"{LEAST_RATE / 1e3:g}k to {MOST_RATE / 1e6:g}M (bit/s)"),
}
KEYS = (*_QUANTITIES, "blackout")
"""Those of one direction."""
_LENGTH = Quantity(SECONDS, 1e-3, LONGEST_BLACKOUT, f"LENGTH@START with a length of 1ms to {LONGEST_BLACKOUT:g}s")
_START = Quantity(SECONDS, 0.0, LATEST_BLACKOUT, f"LENGTH@START with a start of 0s to {LATEST_BLACKOUT:g}s")


@dataclass(slots=True)
class _Read:
    """What was read of one direction."""

    values: dict[str, float] = field(default_factory=dict)
    blackouts: list[Blackout] = field(default_factory=list)

    def take(self, key: str, value: float | Blackout) -> None:
        if isinstance(value, Blackout):
            self.blackouts.append(value)
        elif key in self.values:
            raise InvalidArgument(f"{key} is given twice")
        else:
            self.values[key] = value

    def conditions(self) -> Conditions:
        return Conditions(**self.values, blackouts=tuple(self.blackouts))


def parse_impairment(text: str) -> Impairment:
    """The impairment that a text means.

    Raises:
        InvalidArgument: it means none; the message names the key, the value and the limit.
    """
    read = {direction: _Read() for direction in DIRECTIONS}
    seed: int | None = None
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            raise InvalidArgument(f"{part.strip()!r} must be KEY=VALUE")
        if name == "seed":
            if seed is not None:
                raise InvalidArgument("seed is given twice")
            seed = _seed(value)
            continue
        for direction, key in _meant(name):
            read[direction].take(key, _value(name, key, value))
    up, down = (read[direction].conditions() for direction in DIRECTIONS)
    return Impairment(up=up, down=down, seed=seed)


def with_seed(text: str, seed: int) -> str:
    """The text with its own seed, or with this one.

    Raises:
        InvalidArgument: it means no impairment.
    """
    return text if parse_impairment(text).seed is not None else f"{text},seed={seed}"


def once_between(text: str) -> str:
    """The text for each of several users whose networks are as bad as this; empty if it is empty.

    What it says of both directions holds for what they send: so it happens to a datagram between two of them once.

    Raises:
        InvalidArgument: it means no impairment.
    """
    if not text:
        return text
    parse_impairment(text)
    parts = [part.strip() for part in text.split(",")]
    return ",".join(f"up.{part}" if part.partition("=")[0].strip() in KEYS else part for part in parts)


def _meant(name: str) -> list[tuple[str, str]]:
    """Directions and key."""
    prefix, dot, key = name.rpartition(".")
    if dot and prefix not in DIRECTIONS:
        raise InvalidArgument(f"unknown key {name!r}; before a key: up. or down.")
    if dot and key not in KEYS:
        raise InvalidArgument(f"unknown key {name!r}; up. and down. go before: {', '.join(KEYS)}")
    if key not in KEYS:
        known = (*KEYS, "seed")
        similar = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        hint = f"did you mean {similar[0]!r}?" if similar else f"there are: {', '.join(known)}"
        raise InvalidArgument(f"unknown key {name!r}; {hint}")
    return [(direction, key) for direction in DIRECTIONS if prefix in ("", direction)]


def _value(name: str, key: str, text: str) -> float | Blackout:
    if key != "blackout":
        return _QUANTITIES[key].read(name, text)
    length, at, start = text.partition("@")
    if not at:
        raise InvalidArgument(f"{name} must be LENGTH@START, e.g. 3s@10s, not {text!r}")
    return Blackout(_LENGTH.read(name, length), _START.read(name, start))


def _seed(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidArgument(f"seed must be a whole number from 0 to {MOST_SEED}, not {text!r}")
    return int(text)
