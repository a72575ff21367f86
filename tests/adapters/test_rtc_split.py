"""Who gets a small picture of its own, on a clock that is an argument."""

from __future__ import annotations

import itertools
import random

import pytest

from qbcall.adapters.rtc_demand import PATIENCE
from qbcall.adapters.rtc_split import MOST_PATIENCE, Split

K = 1000
STEP = 0.125
"""Seconds; without rounding."""


class Room:
    """Peers that ask for something eight times a second."""

    def __init__(self) -> None:
        self.at = 0.0
        self._split: Split[str] = Split()

    def ask(self, **kbits: int | None) -> set[str]:
        """Who is set apart when they ask for so much now."""
        self.at += STEP
        asked = {peer: None if kbit is None else kbit * K for peer, kbit in kbits.items()}
        return set(self._split.divide(self.at, asked))

    def ask_for(self, seconds: float, **kbits: int | None) -> set[str]:
        """Who is set apart when they went on to ask for so much."""
        return [self.ask(**kbits) for _ in range(round(seconds / STEP))][-1]


@pytest.mark.parametrize(
    ("asked", "apart"),
    [
        ({}, ""),
        ({"b": 100}, ""),
        ({"b": None}, ""),
        ({"b": 100, "c": 100, "d": 100}, ""),
        ({"b": 100, "c": 500, "d": 500}, "b"),
        ({"b": 500, "c": 500, "d": 250}, "d"),
        ({"b": 500, "c": 500, "d": 350}, ""),  # near enough: one rung
        ({"b": 100, "c": 100, "d": 500}, "bc"),
        ({"b": 350, "c": 500, "d": 700}, ""),  # nobody is far below the next one
        ({"b": 100, "c": 250, "d": 1500}, "bc"),  # the widest gap counts
        ({"b": 100, "c": 1000, "d": 3000}, "b"),
        ({"b": 100, "c": None}, "b"),  # who says nothing yet is served as at the start
        ({"b": 1500, "c": None}, ""),
        ({"b": None, "c": None}, ""),
        ({"b": 0, "c": 10**9}, "b"),
        ({"b": -1, "c": 100}, ""),
    ],
)
def test_peer_far_below_the_others_is_set_apart_at_once(asked: dict[str, int | None], apart: str) -> None:
    assert Room().ask(**asked) == set(apart)


def test_recovered_peer_comes_back_after_some_time() -> None:
    room = Room()
    assert room.ask(b=100, c=500) == {"b"}
    assert room.ask_for(10, b=250, c=500) == {"b"}  # it is no longer far below, but not near yet
    assert room.ask_for(PATIENCE, b=350, c=500) == {"b"}
    assert room.ask(b=350, c=500) == set()
    assert room.ask_for(10, b=350, c=500) == set()


def test_a_dip_starts_the_wait_anew() -> None:
    room = Room()
    room.ask(b=100, c=500)
    room.ask_for(PATIENCE, b=500, c=500)
    room.ask(b=250, c=500)
    assert room.ask_for(PATIENCE, b=500, c=500) == {"b"}
    assert room.ask(b=500, c=500) == set()


def test_others_that_come_down_are_joined_as_well() -> None:
    room = Room()
    room.ask(b=100, c=500)
    assert room.ask_for(PATIENCE + 2 * STEP, b=100, c=150) == set()


def test_peer_that_is_left_alone_gets_the_large_picture() -> None:
    room = Room()
    assert room.ask(b=100, c=500) == {"b"}
    assert room.ask(b=100) == set()


def test_peer_that_left_is_forgotten() -> None:
    room = Room()
    assert room.ask(b=100, c=500, d=500) == {"b"}
    assert room.ask(c=500, d=500) == set()
    assert room.ask(b=500, c=500, d=500) == set()


def test_peer_that_falls_again_and_again_waits_longer_each_time() -> None:
    """Each change costs all a complete picture."""
    room, apart = Room(), []
    for _ in range(7):
        since = room.at
        assert room.ask(b=100, c=500) == {"b"}
        while room.ask(b=500, c=500):
            pass
        apart.append(room.at - since)
    waits = [PATIENCE, 2 * PATIENCE, 4 * PATIENCE, 8 * PATIENCE, MOST_PATIENCE, MOST_PATIENCE, MOST_PATIENCE]
    assert apart == pytest.approx(waits, abs=3 * STEP)


@pytest.mark.parametrize("middle", [150, 240, 260, 340, 360, 480])
def test_noisy_estimates_seldom_change_who_is_apart(middle: int) -> None:
    """A minute of estimates that vary by 10 %, around each of the limits."""
    dice, room = random.Random(1), Room()
    seen = [
        room.ask(b=round(middle * dice.uniform(0.9, 1.1)), c=round(600 * dice.uniform(0.9, 1.1))) for _ in range(600)
    ]
    assert sum(one != other for one, other in itertools.pairwise(seen)) <= 2


def test_whatever_is_asked_somebody_gets_the_large_picture() -> None:
    dice, room = random.Random(2), Room()
    for _ in range(3000):
        peers = dice.sample("bcd", dice.randint(1, 3))
        asked = {peer: dice.choice([None, 0, 90, 150, 300, 600, 1500, 10**7]) for peer in peers}
        assert room.ask(**asked) < set(peers)
