"""Nothing that qbcall sends in 500 random legal call sequences makes the QuickBlox SDK deaf, or breaks it.

`WALK_SEED` makes the choices of an earlier run again; when something fails, the message has the seed.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from xml.etree.ElementTree import Element

import pytest

from tests.adapters.xmpp_room import Stranger, stranger
from tests.interop.conftest import Run
from tests.interop.js_user import JsUser, local_part
from tests.interop.players import JsPlayer, PyPlayer
from tests.interop.py_user import PyUser
from tests.interop.room import STRANGER, Room
from tests.interop.walk import Lane
from tests.interop.wire_rules import faults, repeated_after_accept
from tests.prosody import settings

pytestmark = pytest.mark.interop

SEED = os.environ.get("WALK_SEED") or secrets.token_hex(4)
SEQUENCES = int(os.environ.get("QBCALL_RANDOM_SEQUENCES") or 500)
LANES = {1002: (1, (1001, 1001, 1003)), 1005: (2, (1004, 1006))}
"""User of the SDK: how many browsers it has, and the users of qbcall about it; who is named twice has two devices."""
TALK_EVERY = 20
"""One sequence of so many goes on until sound arrives."""
PROVE_EVERY = 25
PATIENCE = 280.0
SMALL = {"source": "test:size=64x48,fps=5"}
THRIFTY = """async () => {
    const all = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 160, height: 120 } });
    navigator.mediaDevices.getUserMedia = async (wanted) => new MediaStream([
        ...(wanted.audio ? all.getAudioTracks() : []),
        ...(wanted.video ? all.getVideoTracks() : []),
    ].map((track) => track.clone()));
}"""
"""Opens camera and microphone once for all calls."""
FORGOTTEN = """() => {
    const all = QB.webrtc.sessions;
    const open = Object.values(all).flatMap((one) => Object.values(one.peerConnections))
        .filter((peer) => peer._pc.connectionState !== 'closed');
    for (const id of Object.keys(all)) if (all[id].state === 5) delete all[id];
    return Object.keys(all).length + open.length === 0;
}"""
"""The SDK keeps every session; the closed ones are let go of here. No other may be left, nor a connection."""


async def prove_hearing(py: PyUser, js: JsUser) -> None:
    """See that a user of the SDK hears of one more call and of its end, and keeps nothing of those before."""
    await js.until(FORGOTTEN)
    call = await py.call([js.user], video=False)
    await js.expect("call", session=call.id)
    await call.hang_up()
    await js.expect("stop", session=call.id)
    await call.ended()
    assert js.errors == []


async def lane_of(room: Room, js: int) -> Lane:
    """The users of one lane come online."""
    browsers, pys = LANES[js]
    pages = [await room.js(js, cards=False, dialingTimeInterval=1) for _ in range(browsers)]
    for page in pages:
        await page.page.evaluate(THRIFTY)
    clients = [await room.py(py, media=SMALL) for py in pys]
    return Lane([JsPlayer(page) for page in pages], [PyPlayer(client) for client in clients], f"{SEED}/{js}")


async def walk(lane: Lane, stranger: PyUser) -> None:
    """All sequences of one lane."""
    for number in range(SEQUENCES // len(LANES)):
        await lane.sequence(number, media=number % TALK_EVERY == 0)
        if number % PROVE_EVERY == PROVE_EVERY - 1:
            await lane.flushed()
            for player in lane.js:
                await prove_hearing(stranger, player.js)


def messages(tap: Stranger) -> Iterator[Element]:
    """What users of qbcall sent to a user of the SDK, as another device of this user got it."""
    senders = {local_part(user) for _, pys in LANES.values() for user in pys}
    for xml in tap.seen:
        if xml.tag.endswith("}message") and xml.get("from", "").partition("@")[0] in senders:
            yield xml


def check_wire(lanes: list[Lane], taps: list[Stranger]) -> None:
    """Nothing was sent that would make the SDK deaf, also where it did not come to that."""
    kinds: Counter[str] = Counter()
    for tap in taps:
        for message in messages(tap):
            assert list(faults(message)) == [], message
            kinds[message.findtext(".//{*}signalType", "")] += 1
    assert {"call", "accept", "reject", "hangUp", "iceCandidates", "update"} <= set(kinds), kinds
    for lane in lanes:
        for player in lane.js:
            assert list(repeated_after_accept(player.js.signals.all)) == []


@pytest.mark.timeout(PATIENCE + 30)
def test_random_legal_sequences_leave_the_sdk_hearing(run: Run) -> None:
    """QB-122."""

    async def scenario(room: Room) -> None:
        async with AsyncExitStack() as stack:
            lanes = [await lane_of(room, js) for js in LANES]
            taps = [await stack.enter_async_context(stranger(settings(room.server, local_part(js)))) for js in LANES]
            caller = await room.py(STRANGER)
            try:
                async with asyncio.TaskGroup() as tasks:
                    for lane in lanes:
                        tasks.create_task(walk(lane, caller))
            except ExceptionGroup as error:
                told = "\n".join([", ".join(lane.told) for lane in lanes] + [repr(one) for one in error.exceptions])
                raise AssertionError(f"WALK_SEED={SEED}\n{told}") from error
            check_wire(lanes, taps)

    run(scenario, patience=PATIENCE)
