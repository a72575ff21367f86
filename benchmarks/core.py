"""How long the core takes for a call of four users, a full mesh, over 60 seconds of its own time.

Counted is the processor's time, with the simulated media and network around the core; a busy machine adds little.
"""

from __future__ import annotations

import statistics
import time

from qbcall.core.events import IncomingCall
from tests.core.world import World

RUNS = 20
GOAL = 50.0
"""Milliseconds."""


def mesh() -> None:
    """A calls B, C and D, all accept, and everybody hears everybody for a minute."""
    world = World("ABCD")
    for name in "BCD":
        world[name].on(IncomingCall, world[name].accept, after=1.0)
    world["A"].call("BCD")
    world.run_until(60.0)
    for name in "ABCD":
        assert set(world.states(name).values()) == {"CONNECTED"}


def run(*, smoke: bool) -> list[str]:
    """Measure; smoke: once."""
    taken = []
    for _ in range(1 if smoke else RUNS):
        began = time.process_time()
        mesh()
        taken.append((time.process_time() - began) * 1000)
    median = statistics.median(taken)
    spread = f"{min(taken):.1f} to {max(taken):.1f}"
    return [
        f"mesh of 4 over 60 s: median {median:.1f} ms of {len(taken)} ({spread}), goal {GOAL:g}: {median / GOAL:.2f}x"
    ]
