"""Limits of the bit rate (`b=AS`) between qbcall and the QuickBlox SDK are kept by both, whoever calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import av
import numpy as np
import pytest

from qbcall import Call
from tests.interop.cards import noise
from tests.interop.conftest import Run
from tests.interop.js_user import PATIENCE, JsUser, Rates
from tests.interop.py_user import PyUser
from tests.interop.room import Room

pytestmark = pytest.mark.interop

JS, PY = 1002, 1001
LIMIT = 100
"""Kilobit per second; without it, far more is sent."""
MOST, LEAST, UNLIMITED = 1.2 * LIMIT, 0.2 * LIMIT, 1.5 * LIMIT
SECONDS = 4.0
"""Of one measurement."""
SETTLED = 15
"""Pictures of noise: what was saved up for a burst is used by then."""


async def noises() -> AsyncIterator[av.VideoFrame]:
    """Pictures that no encoder makes small."""
    dice = np.random.default_rng(2)
    while True:
        yield noise(dice)


async def show_noise(room: Room, js: JsUser, py: PyUser, call: Call) -> None:
    """Show noise on both sides of a call."""
    await room.both_receive(py, js, call)
    await js.add_noise("noise")
    await js.change_camera("noise")
    await call.replace_source(noises())


async def measure(js: JsUser, call: Call) -> Rates:
    """What both sides send in the long run: after the burst that a limit allows, and a change begins with."""
    before = (await js.seen(PY, call.id))["frames"]
    more = "async (user, session, frames) => (await agent.seen(user, session)).frames >= frames"
    await js.until(more, PY, call.id, before + SETTLED)
    return await js.bit_rates(PY, call.id, SECONDS)


async def js_calls(js: JsUser, py: PyUser, **options: object) -> Call:
    """A call of the SDK that is accepted."""
    await js.call([PY], options=options)
    call = await py.ringing(JS)
    await py.accept(call)
    return call


async def qbcall_calls(js: JsUser, py: PyUser) -> Call:
    """A call of qbcall that is accepted."""
    call = await py.call([JS])
    await js.expect("call", session=call.id)
    await js.accept()
    return call


def test_limit_of_a_call_of_js_is_kept_by_both(run: Run) -> None:
    """`createNewSession(..., {bandwidth})`."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(JS), await room.py(PY)
        call = await js_calls(js, py, bandwidth=LIMIT)
        assert call.info["bandwidth"] == str(LIMIT)
        await show_noise(room, js, py, call)
        rates = await measure(js, call)
        assert LEAST < rates.received < MOST, rates
        assert LEAST < rates.sent < MOST, rates

    run(scenario)


def test_limit_of_a_call_of_qbcall_is_kept_by_both(run: Run) -> None:
    """`media.bandwidth`."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(JS), await room.py(PY, media={"bandwidth": LIMIT})
        call = await qbcall_calls(js, py)
        await show_noise(room, js, py, call)
        rates = await measure(js, call)
        assert LEAST < rates.received < MOST, rates
        assert LEAST < rates.sent < MOST, rates

    run(scenario)


def test_limit_of_qbcall_is_kept_by_both_when_it_is_called(run: Run) -> None:
    """`media.bandwidth`, in the answer."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(JS), await room.py(PY, media={"bandwidth": LIMIT})
        call = await js_calls(js, py)
        await show_noise(room, js, py, call)
        rates = await measure(js, call)
        assert LEAST < rates.received < MOST, rates
        assert LEAST < rates.sent < MOST, rates

    run(scenario)


def test_more_is_sent_where_nobody_sets_a_limit_until_one_is_set(run: Run) -> None:
    """QB-146, for all."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(JS), await room.py(PY)
        call = await qbcall_calls(js, py)
        await show_noise(room, js, py, call)
        async with asyncio.timeout(PATIENCE):
            while min(await js.bit_rates(PY, call.id, 1.0)) < UNLIMITED:
                pass
        call.set_bitrate(LIMIT)
        assert LEAST < (await measure(js, call)).received < MOST

    run(scenario)
