"""Group calls of qbcall and the unmodified QuickBlox SDK: everybody sees and hears everybody."""

from __future__ import annotations

import pytest

from tests.interop.conftest import Run
from tests.interop.mesh import Mesh
from tests.interop.room import Room

pytestmark = pytest.mark.interop

AT_ONCE = 1.0
"""Seconds that a link which qbcall answers may take after the later accept; a user of the SDK waits for the next
invitation. Where all accept at once, one process and one browser make all links at once, and a busy machine takes its
time over that."""
OF_THREE = ["ppj", "pjp", "pjj", "jjp", "jpj", "jpp"]
OF_FOUR = ["pppj", "pjpj", "pjjj", "jjjp", "jpjp", "jppp"]
"""`p` qbcall, `j` the SDK: caller, then callees in the order of their numbers."""
LOWER, HIGHER = 1, 2
"""Which callee of a call of three."""


def check_prompts(mesh: Mesh) -> None:
    """Nobody was asked twice."""
    assert [one.rung for one in mesh.members] == [0] + [1] * (len(mesh.members) - 1)


def check_delays(mesh: Mesh) -> None:
    """Nobody waited for qbcall."""
    for one, other in mesh.answered():
        assert mesh.delay(one, other) < AT_ONCE, f"{one.user} answered {other.user} late"


@pytest.mark.parametrize("kinds", OF_THREE)
def test_three_see_and_hear_each_other(run: Run, kinds: str) -> None:
    """QB-150, QB-151, QB-162."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds)
        await mesh.accept(*mesh.members[1:])
        await mesh.connected(*mesh.members)
        check_prompts(mesh)
        await mesh.tabulate(room)

    run(scenario)


@pytest.mark.parametrize("kinds", OF_FOUR)
def test_four_see_and_hear_each_other(run: Run, kinds: str) -> None:
    """QB-150, QB-151, QB-162."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds)
        await mesh.accept(*mesh.members[1:])
        await mesh.connected(*mesh.members)
        check_prompts(mesh)
        await mesh.tabulate(room)

    run(scenario)


@pytest.mark.parametrize(
    ("kinds", "late"),
    [("jpj", LOWER), ("ppj", LOWER), ("jpp", LOWER), ("pjp", LOWER), ("jjp", HIGHER), ("ppj", HIGHER)],
)
def test_callee_that_accepts_late_sees_and_hears_who_is_there(run: Run, kinds: str, late: int) -> None:
    """QB-152: of two callees the higher offers, when it accepts, and again as long as the lower one rings."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds)
        caller, *callees = mesh.members
        latecomer, early = callees[late - 1], callees[-late]
        await mesh.accept(early)
        await mesh.connected(caller, early)
        if late == LOWER:
            await early.invited(latecomer.user, times=2)
        await mesh.accept(latecomer)
        await mesh.connected(*mesh.members, latecomer=latecomer)
        await mesh.goes_on(caller, early)
        check_prompts(mesh)
        await mesh.tabulate(room)
        check_delays(mesh)

    run(scenario)
