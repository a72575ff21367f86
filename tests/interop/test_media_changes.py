"""What is sent changes during a call between qbcall and the QuickBlox SDK; nothing is negotiated anew."""

from __future__ import annotations

import pytest

from qbcall import AudioTrackAdded, Call, CallState, MediaKind, PeerConnected, PeerUpdated, VideoTrackAdded
from qbcall.core.signals import Accept, Invite, Update
from qbcall.media.frames import VideoFormat
from qbcall.media.tone import pitch_of
from tests.interop.conftest import Run
from tests.interop.js_user import JsUser, local_part
from tests.interop.perception import (
    SILENCE,
    js_hears,
    js_sees,
    js_sees_black,
    py_hears,
    py_sees,
    py_sees_black,
)
from tests.interop.py_user import PyUser
from tests.interop.room import Room
from tests.interop.words import ANSWER, FAREWELL, WORDS

pytestmark = pytest.mark.interop

JS, PY = 1002, 1001
OTHER, SCREEN = "camera two", "a screen"
SMALL, WIDE = (320, 240), (640, 360)
TONES = {name: pitch_of(name) for name in (local_part(JS), local_part(PY), OTHER, SCREEN)}


async def connect(room: Room, *, js_calls: bool) -> tuple[JsUser, PyUser, Call]:
    """A call with picture between both, that runs."""
    js, py = await room.js(JS), await room.py(PY)
    if js_calls:
        await js.call([PY])
        call = await py.ringing(JS)
        await py.accept(call)
    else:
        call = await py.call([JS])
        await js.expect("call", session=call.id)
        await js.accept()
    await room.both_receive(py, js, call)
    return js, py, call


def check_nothing_was_negotiated(js: JsUser, py: PyUser) -> None:
    """One offer, one answer, no update, and each track was told once."""
    assert [signal.kind for signal in js.signals.all if "<sdp>" in signal.stanza] == ["call", "accept"]
    assert [signal.kind for signal in js.signals.all if signal.kind == "update"] == []
    mine = [sent.signal for sent in py.sent.all if sent.to == py.jid(JS)]
    assert len([signal for signal in mine if isinstance(signal, Invite | Accept | Update)]) == 1
    assert len(py.told(AudioTrackAdded)) == len(py.told(VideoTrackAdded)) == 1
    assert js.kinds().count("stream") == 1


def test_names_of_these_tests_have_pitches_of_their_own() -> None:
    assert len(set(TONES.values())) == len(TONES)


# -- mute ------------------------------------------------------------------------------------------------------------


def test_js_mutes_and_qbcall_gets_silence_and_black(run: Run) -> None:
    """QB-141, QB-142, seen from the other side."""

    async def scenario(room: Room) -> None:
        js, py, call = await connect(room, js_calls=True)
        peer = call.peer(py.jid(JS))
        await js.mute("audio")
        await py_hears(peer, SILENCE)
        await py_sees(peer, js.name)
        await js.mute("video")
        await py_sees_black(peer)
        await js.mute("audio", on=False)
        await py_hears(peer, TONES[js.name])
        await py_sees_black(peer)
        await js.mute("video", on=False)
        await py_sees(peer, js.name)
        check_nothing_was_negotiated(js, py)
        assert call.state is CallState.CONNECTED

    run(scenario)


def test_qbcall_mutes_and_js_gets_silence_and_black(run: Run) -> None:
    """QB-141, QB-142."""

    async def scenario(room: Room) -> None:
        js, py, call = await connect(room, js_calls=False)
        mine = local_part(PY)
        call.mute("audio")
        await js_hears(js, PY, SILENCE)
        await js_sees(js, PY, mine)
        call.mute("video")
        await js_sees_black(js, PY)
        call.mute("audio", on=False)
        await js_hears(js, PY, TONES[mine])
        await js_sees_black(js, PY)
        call.mute("video", on=False)
        await js_sees(js, PY, mine)
        check_nothing_was_negotiated(js, py)

    run(scenario)


def test_qbcall_that_accepts_muted_is_neither_seen_nor_heard_before_it_unmutes(run: Run) -> None:
    """QB-143."""

    async def scenario(room: Room) -> None:
        js, py = await room.js(JS), await room.py(PY)
        session = await js.call([PY])
        call = await py.ringing(JS)
        await call.accept(mute=list(MediaKind))
        await js.expect("stream", user=PY, session=session)
        await js_sees_black(js, PY)
        await js_hears(js, PY, SILENCE)
        for kind in MediaKind:
            call.mute(kind, on=False)
        await js_sees(js, PY, local_part(PY))
        await js_hears(js, PY, TONES[local_part(PY)])
        check_nothing_was_negotiated(js, py)

    run(scenario)


# -- another camera, a screen ----------------------------------------------------------------------------------------


def test_js_changes_the_camera_then_shares_a_screen_in_the_same_track(run: Run) -> None:
    """QB-144, seen from the other side."""

    async def scenario(room: Room) -> None:
        js, py, call = await connect(room, js_calls=False)
        peer = call.peer(py.jid(JS))
        picture, sound = peer.video, peer.audio
        for name, device in ((js.name, "first"), (OTHER, "second")):
            await js.add_camera(name, device, VideoFormat(*SMALL, 15))
        await js.add_camera(SCREEN, "screen", VideoFormat(*WIDE, 15))
        await js.change_camera("second")
        await py_sees(peer, OTHER, SMALL)
        await py_hears(peer, TONES[OTHER])
        await js.share_screen("screen")
        await py_sees(peer, SCREEN, WIDE)
        await py_hears(peer, TONES[OTHER])
        await js.change_camera("first")
        await py_sees(peer, js.name, SMALL)
        await py_hears(peer, TONES[js.name])
        assert (peer.video, peer.audio) == (picture, sound)
        check_nothing_was_negotiated(js, py)

    run(scenario)


def test_qbcall_replaces_its_source_and_js_sees_it_in_the_same_stream(run: Run) -> None:
    """QB-144."""

    async def scenario(room: Room) -> None:
        js, py, call = await connect(room, js_calls=True)
        await call.replace_source(f"test:name={OTHER},size=640x360,fps=15")
        await js_sees(js, PY, OTHER, WIDE)
        await js_hears(js, PY, TONES[OTHER])
        await call.replace_source("silence")
        await js_sees_black(js, PY)
        await js_hears(js, PY, SILENCE)
        await call.replace_source(f"test:name={SCREEN},size=320x240,fps=15")
        await js_sees(js, PY, SCREEN, SMALL)
        await js_hears(js, PY, TONES[SCREEN])
        check_nothing_was_negotiated(js, py)

    run(scenario)


# -- words during the call -------------------------------------------------------------------------------------------


def test_updates_carry_words_to_all_or_to_one_in_a_group_both_ways(run: Run) -> None:
    """To one: the next word that the other hears is the one for all."""

    async def scenario(room: Room) -> None:
        js, other, py = await room.js(JS), await room.js(1003), await room.py(PY)
        call = await py.call([JS, 1003], video=False)
        for one in (js, other):
            await one.expect("call", session=call.id)
            await one.accept()
            await py.expect(PeerConnected, user=one.user)
        await call.update(ANSWER, to=py.jid(JS))
        await call.update(WORDS)
        for words in (ANSWER, WORDS):
            assert (await js.expect("update", session=call.id)).info == words
        assert (await other.expect("update", user=PY)).info == WORDS
        await js.update(FAREWELL, to=PY)
        await js.update(WORDS)
        for words in (FAREWELL, WORDS):
            assert (await py.expect(PeerUpdated, user=JS, call=call)).info == words
        assert (await other.expect("update", user=JS)).info == WORDS
        assert [one.kinds().count("update") for one in (js, other)] == [2, 2]

    run(scenario)
