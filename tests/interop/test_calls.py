"""Calls between qbcall and the unmodified QuickBlox SDK: picture, sound and words, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from qbcall import Call, CallMedia, EndReason, PeerAccepted, PeerHungUp
from qbcall.media.frames import Frame
from qbcall.media.incoming import Incoming, to_array
from tests.interop.conftest import Run
from tests.interop.js_user import PATIENCE, JsUser
from tests.interop.py_user import PyUser
from tests.interop.room import Room
from tests.interop.words import ANSWER, BANDWIDTH, FAREWELL, WORDS

pytestmark = pytest.mark.interop

MEDIA = pytest.mark.parametrize("video", [True, False], ids=["video", "audio"])
ENDER = pytest.mark.parametrize("py_ends", [True, False], ids=["qbcall-ends", "js-ends"])


BEEP = 1000
"""Of 32767: louder than what is left of silence."""


async def until(incoming: Incoming, wanted: Callable[[Frame], bool]) -> Frame:
    """The next frame that is wanted."""
    async with asyncio.timeout(PATIENCE):
        async for frame in incoming:
            if wanted(frame):
                return frame
    raise AssertionError("it ended")


async def end(py: PyUser, js: JsUser, call: Call, py_ends: bool) -> None:
    """One side hangs up; the other hears why, and both are done."""
    if py_ends:
        await call.hang_up(FAREWELL)
        assert (await js.expect("stop", user=py.user, session=call.id)).info == FAREWELL
        assert await call.ended() is EndReason.HUNG_UP
        assert py.told(PeerHungUp) == []
    else:
        await js.stop(FAREWELL)
        assert (await py.expect(PeerHungUp, user=js.user, call=call)).info == FAREWELL
        assert await call.ended() is EndReason.REMOTE_HUNG_UP
        assert "stop" not in js.kinds()
    await js.expect("close", session=call.id)


@MEDIA
@ENDER
def test_qbcall_calls_js_and_both_see_and_hear_each_other(run: Run, video: bool, py_ends: bool) -> None:
    """QB-032, QB-034, QB-060, QB-067, QB-068."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        call = await py.call([1002], video=video, info=WORDS)
        rung = await js.expect("call", user=1001, session=call.id)
        assert rung.info == WORDS
        assert rung.detail == ("1" if video else "2")
        await js.accept(ANSWER)
        assert (await py.expect(PeerAccepted, user=1002)).info == ANSWER
        await room.both_receive(py, js, call)
        await end(py, js, call, py_ends)
        assert len(py.told(PeerAccepted)) == 1
        assert js.kinds().count("call") == 1

    run(scenario)


@MEDIA
@ENDER
def test_js_calls_qbcall_and_both_see_and_hear_each_other(run: Run, video: bool, py_ends: bool) -> None:
    """QB-040, QB-060, QB-067, QB-068."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        session = await js.call([1001], video=video, info=WORDS)
        call = await py.ringing(1002)
        assert call.id == session
        assert call.info == WORDS | BANDWIDTH
        assert call.media is (CallMedia.VIDEO if video else CallMedia.AUDIO)
        await py.accept(call, ANSWER)
        assert (await js.expect("accept", user=1001, session=session)).info == ANSWER
        await room.both_receive(py, js, call)
        await end(py, js, call, py_ends)
        assert js.kinds().count("accept") == 1

    run(scenario)


def test_picture_of_a_call_is_vp8_in_the_size_that_was_sent(run: Run) -> None:
    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        call = await py.call([1002])
        await js.expect("call", session=call.id)
        await js.accept()
        await room.both_receive(py, js, call)
        seen = await js.seen(1001)
        assert (seen["codec"], seen["width"], seen["height"]) == ("video/VP8", 320, 240)
        video = call.peer(py.jid(1002)).video
        assert video is not None
        assert video.size == (320, 240)

    run(scenario)


def test_words_that_were_not_given_arrive_as_none_or_empty(run: Run) -> None:
    """QB-032, QB-072."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        call = await py.call([1002], video=False)
        assert (await js.expect("call", session=call.id)).info == {}
        await js.accept()
        assert (await py.expect(PeerAccepted)).info == {}
        await call.connected(PATIENCE)
        await js.stop()
        assert (await py.expect(PeerHungUp)).info == {}
        again = await js.call([1001], video=False)
        back = await py.ringing(1002)
        assert back.info == BANDWIDTH
        await py.accept(back)
        assert (await js.expect("accept", session=again)).info == {}
        await back.connected(PATIENCE)
        await back.hang_up()
        assert (await js.expect("stop", session=again)).info == {}

    run(scenario)


def test_camera_of_chromium_is_seen_and_its_microphone_heard(run: Run) -> None:
    async def scenario(room: Room) -> None:
        js, py = await room.js(1002, cards=False), await room.py(1001)
        call = await py.call([1002])
        await js.expect("call", session=call.id)
        await js.accept()
        await call.connected(PATIENCE)
        peer = call.peer(py.jid(1002))
        assert peer.video is not None
        assert peer.audio is not None
        first = await until(peer.video, lambda frame: True)
        await until(peer.video, lambda frame: bool((to_array(frame) != to_array(first)).any()))
        await until(peer.audio, lambda block: int(abs(to_array(block).astype(int)).max()) > BEEP)
        assert to_array(first).shape == (240, 320, 3)
        await js.receives(1001, session=call.id)

    run(scenario)
