"""What an account says to itself reaches its other devices: Prosody drops a headline to one's own bare JID."""

from __future__ import annotations

from qbcall.core.inputs import Arrived, Confirmed, LinkBroke, LinkUp
from qbcall.core.signals import End
from qbcall.devserver import DevServer
from tests.adapters.wire_proxy import WireProxy
from tests.adapters.xmpp_room import ANN, HEAD, flushed, online, run
from tests.prosody import NEEDS_PROSODY, settings

pytestmark = NEEDS_PROSODY

END = End(call=HEAD.call)


def test_all_other_devices_hear_it_and_the_own_one_does_not() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server)) as (phone, told, device),
            online(settings(server)) as (desk, heard, second),
        ):
            async with online(settings(server)) as (car, also, _):
                await flushed(phone, desk, car)
                phone.send(ANN, HEAD, END, 1)
                assert (await told.next(Confirmed)).ticket == 1
                for inbox in (heard, also):
                    assert await inbox.next(Arrived) == Arrived(sender=ANN, device=device, signal=END)
            await flushed(desk)
            desk.send(ANN, HEAD, END)
            assert await told.next(Arrived) == Arrived(sender=ANN, device=second, signal=END)
            await flushed(phone, desk)
            assert told.unread == heard.unread == []

    run(scenario)


def test_without_another_device_it_is_confirmed() -> None:
    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)) as (phone, told, _):
            phone.send(ANN, HEAD, END, 1)
            assert (await told.next(Confirmed)).ticket == 1
            await flushed(phone)
            assert told.unread == []

    run(scenario)


def test_other_devices_are_known_after_a_resumption() -> None:
    async def scenario() -> None:
        async with (
            DevServer() as server,
            WireProxy(server.port) as proxy,
            online(settings(server, port=proxy.port)) as (phone, told, device),
            online(settings(server)) as (desk, heard, _),
        ):
            await flushed(phone)
            proxy.cut()
            await told.next(LinkBroke)
            phone.dial()
            assert (await told.next(LinkUp)).resumed
            phone.send(ANN, HEAD, END)
            assert await heard.next(Arrived) == Arrived(sender=ANN, device=device, signal=END)
            await desk.close()
            await flushed(phone)
            phone.send(ANN, HEAD, END, 1)
            assert (await told.next(Confirmed)).ticket == 1

    run(scenario)
