"""Calls between qbcall and the unmodified QuickBlox SDK, in both directions."""

from __future__ import annotations

import pytest

from qbcall import EndReason, PeerAccepted
from tests.interop.conftest import Run
from tests.interop.room import Room

pytestmark = pytest.mark.interop

WORDS = {"topic": "a < b & \"c\" > 'd'", "greeting": "Grüße 👋🏽 日本", "empty": ""}
OTHER_WORDS = {"device": "ä&amp;<x/>", "mood": "🙂", "nothing": ""}


@pytest.mark.parametrize("video", [True, False], ids=["video", "audio"])
def test_qbcall_calls_js_and_both_see_and_hear_each_other(run: Run, video: bool) -> None:
    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        call = await py.call([1002], video=video, info=WORDS)
        rung = await js.expect("call", user=1001, session=call.id)
        assert rung.info == WORDS
        assert rung.detail == ("1" if video else "2")
        await js.accept(OTHER_WORDS)
        assert (await py.expect(PeerAccepted, user=1002)).info == OTHER_WORDS
        await room.both_receive(py, js, call)
        await call.hang_up(WORDS)
        assert (await js.expect("stop", user=1001)).info == WORDS
        await js.expect("close", session=call.id)
        assert await call.ended() is EndReason.HUNG_UP

    run(scenario)
