"""All connections of a call have the same keys, those of two calls do not."""

from __future__ import annotations

from dataclasses import replace

from aiortc import RTCPeerConnection

from qbcall.adapters.rtc_closable import keeps_keys
from qbcall.core.effects import CreateOffer
from qbcall.core.inputs import IceConnected, OfferReady
from qbcall.core.model import CallId, CallMedia, Epoch
from qbcall.core.pinning import fingerprints
from tests.adapters.rtc_room import CALL, Endpoint, join, run

OTHER = CallId("another-call")


def test_connections_of_a_call_have_the_same_keys_and_those_of_another_call_do_not() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            offer = await a.offer(b)
            answer = await b.answer(a, offer)
            await a.offer(b, epoch=2)
            again = a.told(OfferReady)[-1].offer
            assert fingerprints(again) == fingerprints(offer) != fingerprints(answer)
            a.media.perform(CreateOffer(call=OTHER, peer=b.user, epoch=Epoch(1), media=CallMedia.AUDIO))
            other = await a.until(OfferReady, count=3)
            assert not fingerprints(other.offer) & fingerprints(offer)

    run(play)


def test_keys_are_those_that_the_peer_is_shown() -> None:
    """Both sides check the other one's keys against its description before they are connected."""

    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            await join(a, b)
            await join(a, b, epoch=2)
            assert len(a.told(IceConnected)) == len(b.told(IceConnected)) == 2

    run(play)


def test_keys_stay_when_the_call_goes_on_under_another_id_and_go_with_it() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b") as b:
            offer = await a.offer(b)
            a.media.rename(CALL, OTHER)
            effect = CreateOffer(call=OTHER, peer=b.user, epoch=Epoch(2), media=CallMedia.AUDIO)
            a.media.perform(effect)
            renamed = await a.until(OfferReady, count=2)
            assert fingerprints(renamed.offer) == fingerprints(offer)
            a.media.release(OTHER)
            a.media.perform(replace(effect, epoch=Epoch(3)))
            later = await a.until(OfferReady, count=3)
            assert not fingerprints(later.offer) & fingerprints(offer)

    run(play)


def test_change_of_the_library_is_noticed() -> None:
    class Other(RTCPeerConnection):
        def __init__(self) -> None:
            self.certificates: list[object] = []

    assert keeps_keys(RTCPeerConnection)
    assert not keeps_keys(Other)
