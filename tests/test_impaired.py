"""Calls over a network that is made bad by the configuration: what applications are told."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from qbcall import Client, Config, MemoryHub, PeerReconnected, PeerReconnecting
from tests.test_client import PATIENCE, SMALL, answering, name_on, picture, run

QUICK = {"stall_timeout": 0.5, "restart_interval": 10.0, "disconnect_timeout": 20.0}


def impaired(user: str, impair: str) -> Config:
    return Config.of(
        account={"jid": f"{user}@example.org"},
        call=QUICK,
        ice={"addresses": ["127.0.0.1"], "impair": impair},
        media={"source": SMALL, "sinks": ["null"]},
    )


def test_blackout_is_told_to_both_sides_and_the_call_goes_on() -> None:
    """QB-111: the network of one of them is gone for 2.5 s."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = [
            await stack.enter_async_context(Client(impaired(user, impair), link=hub.link))
            for user, impair in (("ann", "blackout=2500ms@1s,seed=7"), ("bob", ""))
        ]
        served = answering(bob, lambda call: call.accept())
        call = await ann.call(bob.user)
        theirs = await served
        sides = ((call, bob.user), (theirs, ann.user))
        lost = [asyncio.ensure_future(one.wait_for(PeerReconnecting, timeout=PATIENCE)) for one, _ in sides]
        back = [
            asyncio.ensure_future(
                one.wait_for(PeerReconnected, timeout=PATIENCE, where=lambda event: event.gap > 1.0)
            )
            for one, _ in sides
        ]
        assert {event.peer for event in await asyncio.gather(*lost)} == {ann.user, bob.user}
        await asyncio.gather(*back)
        for one, user in sides:
            await picture(one.peer(user).video, lambda frame, user=user: name_on(frame) == user.partition("@")[0])  # type: ignore[misc]
        await call.hang_up()

    run(scenario)
