"""Group calls of qbcall and the unmodified QuickBlox SDK that some leave, reject or do not take: the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from qbcall import EndReason
from tests.interop.conftest import Run
from tests.interop.members import JsMember, Member, PyMember
from tests.interop.mesh import Mesh
from tests.interop.room import Room
from tests.interop.words import FAREWELL

pytestmark = pytest.mark.interop

RINGS = "(session) => agent.session(session).state === 1"
"""State of the SDK's session."""


async def over(reasons: Mapping[Member, EndReason]) -> None:
    """The call is over for all of these, and qbcall says why."""
    for one, reason in reasons.items():
        assert await one.closed() is (reason if isinstance(one, PyMember) else None)


async def leave(one: Member, *others: Member) -> None:
    """One hangs up, and all others hear why."""
    await one.leave(FAREWELL)
    assert await asyncio.gather(*(other.told_leave(one.user) for other in others)) == [FAREWELL] * len(others)
    await over({one: EndReason.HUNG_UP})


async def reject(one: Member, *others: Member) -> None:
    """One rejects, and all others hear why."""
    await one.reject(FAREWELL)
    assert await asyncio.gather(*(other.told_reject(one.user) for other in others)) == [FAREWELL] * len(others)
    await over({one: EndReason.DECLINED})


# -- some leave ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", ["pjpj", "jpjp"])
def test_member_then_the_caller_leaves_and_the_others_go_on(run: Run, kinds: str) -> None:
    """QB-155, QB-157, QB-158."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds)
        caller, first, last, member = mesh.members
        await mesh.accept(first, last, member)
        await mesh.connected(*mesh.members)
        await leave(member, caller, first, last)
        await mesh.goes_on(caller, first, last)
        await leave(caller, first, last)
        await mesh.goes_on(first, last)
        await leave(first, last)
        await over({last: EndReason.REMOTE_HUNG_UP})

    run(scenario)


# -- some reject -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", ["pjp", "ppj", "jpj", "jjp"])
def test_callee_rejects_while_the_other_rings_and_the_other_can_accept(run: Run, kinds: str) -> None:
    """QB-153: the lower one rejects, to whom the higher one would offer."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds, video=False)
        caller, lower, higher = mesh.members
        await reject(lower, caller, higher)
        await mesh.accept(higher)
        await mesh.connected(caller, higher)
        await leave(higher, caller)
        await over({caller: EndReason.REMOTE_HUNG_UP})

    run(scenario)


@pytest.mark.parametrize("kinds", ["pjp", "ppj", "jpj", "jjp"])
def test_callee_rejects_when_the_other_is_in_the_call_and_they_go_on(run: Run, kinds: str) -> None:
    """QB-153."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds, video=False)
        caller, lower, higher = mesh.members
        await mesh.accept(higher)
        await mesh.connected(caller, higher)
        await reject(lower, caller, higher)
        await mesh.goes_on(caller, higher)
        await leave(caller, higher)
        await over({higher: EndReason.REMOTE_HUNG_UP})

    run(scenario)


@pytest.mark.parametrize("kinds", ["pjp", "jpj"])
def test_call_that_all_reject_is_over(run: Run, kinds: str) -> None:
    """QB-160."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds, video=False)
        caller, lower, higher = mesh.members
        await reject(higher, caller, lower)
        await reject(lower, caller)
        await over({caller: EndReason.REJECTED})

    run(scenario)


# -- the caller cancels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", ["pjp", "jjp"])
def test_qbcall_that_rings_when_the_caller_cancels_stops_and_tells_the_other(run: Run, kinds: str) -> None:
    """QB-156, QB-158: the callee that is in the call has nobody left then."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds, video=False)
        caller, inside, ringing = mesh.members
        await mesh.accept(inside)
        await mesh.connected(caller, inside)
        await leave(caller, inside, ringing)
        assert await inside.told_leave(ringing.user) == {}
        await over({ringing: EndReason.CANCELLED, inside: EndReason.REMOTE_HUNG_UP})

    run(scenario)


@pytest.mark.parametrize("kinds", ["ppj", "jpj"])
def test_js_that_rings_when_the_caller_cancels_is_told_and_its_application_stops(run: Run, kinds: str) -> None:
    """QB-156, QB-158: the SDK itself rings on, and leaves it to its application."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds, video=False)
        caller, inside, ringing = mesh.members
        await mesh.accept(inside)
        await mesh.connected(caller, inside)
        await leave(caller, inside, ringing)
        assert isinstance(ringing, JsMember)
        await ringing.js.until(RINGS, ringing.session)
        assert inside.open
        await leave(ringing, inside)
        await over({inside: EndReason.REMOTE_HUNG_UP})

    run(scenario)


@pytest.mark.parametrize("kinds", ["pjp", "jjp"])
def test_caller_cancels_while_all_ring_and_all_stop(run: Run, kinds: str) -> None:
    """QB-066, QB-156: what qbcall tells the other callee lets the SDK stop without its application."""

    async def scenario(room: Room) -> None:
        mesh = await Mesh.dial(room, kinds, video=False)
        caller, js, py = mesh.members
        await leave(caller, js, py)
        await over({py: EndReason.CANCELLED})
        assert await js.told_leave(py.user) == {}
        await over({js: EndReason.CANCELLED})

    run(scenario)
