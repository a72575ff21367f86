"""The in-process chat link behaves as a server with headline messages does."""

from __future__ import annotations

import asyncio

from qbcall.adapters.memory import MemoryHub
from qbcall.adapters.ports import ChatLink
from qbcall.core.inputs import Arrived, LinkBroke, LinkUp
from qbcall.core.model import CallHead, CallId, CallMedia, User
from qbcall.core.signals import End
from qbcall.errors import LinkDown
from tests.adapters.inbox import Inbox

ANN, BOB = User("ann@localhost"), User("bob@localhost")
HEAD = CallHead(call=CallId("one"), caller=ANN, callees=(BOB,), media=CallMedia.VIDEO)
FIRST, SECOND = End(call=HEAD.call, info={"n": "1"}), End(call=HEAD.call, info={"n": "2"})


async def rounds() -> None:
    """Let everything happen that was due."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_two_devices_of_a_user_both_hear_in_order() -> None:
    async def scenario() -> None:
        hub, sent, phone, desk = MemoryHub(), Inbox(), Inbox(), Inbox()
        sender: ChatLink = hub.link(ANN, sent)
        for link in (sender, hub.link(BOB, phone), hub.link(BOB, desk)):
            link.dial()
        device = (await sent.next(LinkUp)).device
        assert (await phone.next(LinkUp)).device != (await desk.next(LinkUp)).device
        sender.send(BOB, HEAD, FIRST)
        sender.send(BOB, HEAD, SECOND)
        await rounds()
        expected = [Arrived(sender=ANN, device=device, signal=signal) for signal in (FIRST, SECOND)]
        assert phone.unread == expected
        assert desk.unread == expected
        assert sent.unread == []

    asyncio.run(scenario())


def test_user_who_is_offline_hears_nothing_even_later() -> None:
    async def scenario() -> None:
        hub, sent, heard = MemoryHub(), Inbox(), Inbox()
        sender, receiver = hub.link(ANN, sent), hub.link(BOB, heard)
        sender.dial()
        await sent.next(LinkUp)
        sender.send(BOB, HEAD, FIRST)
        await rounds()
        receiver.dial()
        await heard.next(LinkUp)
        await rounds()
        assert heard.unread == []

    asyncio.run(scenario())


def test_tap_loses_and_doubles_signals() -> None:
    async def scenario() -> None:
        times = {FIRST.info["n"]: 0, SECOND.info["n"]: 2}
        hub = MemoryHub(lambda sender, to, signal: times[signal.info["n"]] if isinstance(signal, End) else 1)
        sent, heard = Inbox(), Inbox()
        sender, receiver = hub.link(ANN, sent), hub.link(BOB, heard)
        sender.dial()
        receiver.dial()
        await heard.next(LinkUp)
        sender.send(BOB, HEAD, FIRST)
        sender.send(BOB, HEAD, SECOND)
        await rounds()
        assert [arrived.signal for arrived in heard.all(Arrived)] == [SECOND, SECOND]

    asyncio.run(scenario())


def test_dropped_while_dialing_posts_nothing() -> None:
    async def scenario() -> None:
        hub, heard = MemoryHub(), Inbox()
        link = hub.link(BOB, heard)
        link.dial()
        link.drop()
        await rounds()
        assert heard.posted == []

    asyncio.run(scenario())


def test_cut_breaks_once_and_dials_again_as_the_same_device() -> None:
    async def scenario() -> None:
        hub, heard = MemoryHub(), Inbox()
        link = hub.link(BOB, heard)
        link.dial()
        device = (await heard.next(LinkUp)).device
        link.cut()
        link.cut()
        broke = await heard.next(LinkBroke)
        assert isinstance(broke.reason, LinkDown)
        assert not broke.fatal
        link.dial()
        assert (await heard.next(LinkUp)).device == device
        await link.close()
        assert heard.unread == []

    asyncio.run(scenario())
