"""Typed signals between qbcall and applications with the QuickBlox SDK, which know them as `session.update`."""

from __future__ import annotations

import asyncio
import json

import pytest

from qbcall import PeerConnected, PeerUpdated, Signal
from tests.interop.conftest import Run
from tests.interop.room import Room

pytestmark = pytest.mark.interop

PY, JS, OTHER = 1001, 1002, 1003
DATA = 'a < b & "c" 👋🏽\n  Grüße ]]>'


def test_signals_go_both_ways_in_a_call_with_the_sdk(run: Run) -> None:
    """VS-001, VS-002: what JavaScript reads and writes is plain `userInfo`."""

    async def scenario(room: Room) -> None:
        js, other, py = await room.js(JS), await room.js(OTHER), await room.py(PY)
        call = await py.call([JS, OTHER], video=False)
        for one in (js, other):
            await one.expect("call", session=call.id)
            await one.accept()
            await py.expect(PeerConnected, user=one.user)

        mine = await call.signal("chat", DATA, to=py.jid(JS), ack=True)
        await call.signal("", "a\rb")
        told = [(await js.expect("update", session=call.id)).info for _ in range(2)]
        assert told[0] is not None
        assert {**told[0], "sigSeq": ""} == {
            "sigType": "chat", "sigData": DATA, "sigId": mine, "sigReceipt": "1", "sigSeq": ""
        }  # fmt: skip
        assert told[1] is not None
        assert json.loads(str(told[1]["sigData"])) == "a\rb"
        heard = (await other.expect("update", user=PY)).info
        assert heard is not None
        assert heard["sigId"] == told[1]["sigId"]
        assert (await py.expect(Signal, call=call)).sender == py.jid(PY), "what goes to all comes back too"

        await js.update({"sigType": "dice", "sigData": DATA, "sigId": "j1"}, to=PY)
        await asyncio.gather(*(js.update({"sigData": str(number)}, to=PY) for number in range(20)))
        some = [await py.expect(Signal, call=call) for _ in range(21)]
        assert (some[0].sender, some[0].type, some[0].data, some[0].id) == (py.jid(JS), "dice", DATA, "j1")
        assert sorted(int(one.data) for one in some[1:]) == list(range(20))
        assert len({one.id for one in some}) == 21
        assert py.told(PeerUpdated) == []

    run(scenario)
