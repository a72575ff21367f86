"""Offers of the QuickBlox SDK that are not as usual: other codecs, hidden addresses, no candidates."""

from __future__ import annotations

import logging
import re
from xml.etree import ElementTree

import pytest

from qbcall import EndReason, MediaFailed, PeerClosed, PeerConnected
from qbcall.adapters.rtc_sdp import Sdp, parse
from tests.interop.conftest import Run
from tests.interop.js_user import PATIENCE, JsUser
from tests.interop.room import Room, chromium

pytestmark = pytest.mark.interop

SHARED = pytest.mark.parametrize("codec", ["VP8", "H264"])
FOREIGN = pytest.mark.parametrize("codec", ["VP9", "AV1"])
CALLER = pytest.mark.parametrize("py_calls", [True, False], ids=["qbcall-calls", "js-calls"])
COMPANIONS = {"rtx", "red", "ulpfec", "flexfec-03"}
"""They carry no picture by themselves, and are offered with every codec."""
HIDING = "--disable-features=LocalNetworkAccessChecks"
"""Takes the place of the flag by which the browsers of other tests tell the addresses of the machine. This one tells
names for them to pages that may use no camera (draft-ietf-mmusic-mdns-ice-candidates, section 3.1)."""

RESTRICT = """(type) => {
    const has = (side) => side.getCapabilities('video').codecs.some((codec) => codec.mimeType === type);
    if (!has(RTCRtpSender)) return false;
    const others = ['VP8', 'VP9', 'H264', 'H265', 'AV1'].map((name) => `video/${name}`).filter((one) => one !== type);
    const wanted = RTCRtpReceiver.getCapabilities('video').codecs.filter((codec) => !others.includes(codec.mimeType));
    const create = RTCPeerConnection.prototype.createOffer;
    RTCPeerConnection.prototype.createOffer = function (...words) {
        for (const one of this.getTransceivers()) {
            if (one.receiver.track.kind === 'video') one.setCodecPreferences(wanted);
        }
        return create.apply(this, words);
    };
    return true;
}"""
"""An application's choice of codecs (W3C WebRTC, setCodecPreferences), which the SDK has no setting for."""


async def restrict(js: JsUser, codec: str) -> None:
    """Let its pages use one codec for pictures; skips where this browser cannot encode it."""
    if not await js.page.evaluate(RESTRICT, f"video/{codec}"):
        pytest.skip(f"{chromium()} cannot encode {codec}")


async def offer_of(js: JsUser) -> Sdp:
    """What is in the next `call` that the browser sends."""
    signal = await js.signals.expect(lambda one: one.sent and one.kind == "call", "call of its own", PATIENCE)
    return parse(ElementTree.fromstring(signal.stanza).findtext(".//{*}sdp") or "")


def codecs(sdp: Sdp) -> set[str]:
    """Those for pictures."""
    return {name for section in sdp.sections if section.kind == "video" for _, name, _ in section.codecs} - COMPANIONS


# -- codecs ----------------------------------------------------------------------------------------------------------


@SHARED
def test_js_that_offers_one_codec_of_qbcall_is_seen_and_sees(run: Run, codec: str) -> None:
    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        await restrict(js, codec)
        await js.call([1001])
        offer = await offer_of(js)
        assert codecs(offer) == {codec}
        call = await py.ringing(1002)
        await py.accept(call)
        await room.both_receive(py, js, call, note=f" {codec}")
        assert (await js.seen(1001))["codec"] == f"video/{codec}"

    run(scenario)


@FOREIGN
def test_js_that_offers_a_foreign_codec_only_is_told_why_it_is_rejected(
    run: Run, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        await restrict(js, codec)
        session = await js.call([1001])
        offer = await offer_of(js)
        assert codecs(offer) == {codec}
        call = await py.ringing(1002)
        reason = f"no common codec for video: the peer offers {codec} only; qbcall has VP8 and H264"
        await py.accept(call)
        with pytest.raises(MediaFailed, match=reason):
            await call.connected(PATIENCE)
        rejected = await js.expect("reject", user=1001, session=session)
        assert rejected.info == {"reason": reason, "not_supported": "1"}
        await js.expect("close", session=session)
        assert await call.ended() is EndReason.MEDIA_FAILED
        assert (await py.expect(PeerClosed, user=1002, call=call)).reason is EndReason.MEDIA_FAILED
        assert py.told(PeerConnected) == []

    with caplog.at_level(logging.INFO):
        run(scenario)
    assert [line for line in caplog.records if line.exc_info or line.levelno >= logging.WARNING] == []


# -- candidates ------------------------------------------------------------------------------------------------------


def addresses(js: JsUser) -> set[str]:
    """Those that the browser told its peer so far (RFC 8839, section 5.1: the fifth word of a candidate)."""
    told = [signal.stanza for signal in js.signals.all if signal.sent]
    return {match[1] for stanza in told for match in re.finditer(r"candidate:\S+ \d+ \S+ \d+ (\S+) ", stanza)}


@CALLER
def test_js_that_hides_its_addresses_is_seen_and_sees(run: Run, py_calls: bool) -> None:
    async def scenario(room: Room) -> None:
        js = await room.js(1002, permissions=(), browser=await room.browser(None, HIDING))
        py = await room.py(1001)
        if py_calls:
            call = await py.call([1002])
            await js.expect("call", session=call.id)
            await js.accept()
        else:
            await js.call([1001])
            call = await py.ringing(1002)
            await py.accept(call)
        await room.both_receive(py, js, call, note=" .local")
        assert addresses(js)
        assert {one for one in addresses(js) if not one.endswith(".local")} == set()

    run(scenario)


def test_first_offer_of_js_has_no_candidates_and_the_call_is_connected(run: Run) -> None:
    async def scenario(room: Room) -> None:
        js, py = await room.js(1002), await room.py(1001)
        await js.call([1001])
        offer = await offer_of(js)
        assert [line for section in offer.sections for line in section.values("candidate")] == []
        assert [section.port for section in offer.sections] == [9, 9]
        call = await py.ringing(1002)
        await py.accept(call)
        await room.both_receive(py, js, call)
        assert addresses(js), "they came later"

    run(scenario)
