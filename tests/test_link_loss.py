"""The chat link breaks in a running call: with a real server that is killed and started again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from qbcall import (
    AuthError,
    CallMedia,
    CallState,
    CallStateChanged,
    Client,
    Config,
    EndReason,
    IncomingCall,
    LinkDown,
    LinkReconnected,
    LinkReconnecting,
    LinkState,
    PeerStateChanged,
)
from qbcall.devserver import DevServer

PATIENCE = 30.0


def config(server: DevServer, name: str, password: str | None = None) -> Config:
    return Config.of(
        account={
            "jid": f"{name}@{server.domain}",
            "password": server.accounts[name] if password is None else password,
            "server": f"{server.host}:{server.port}",
            "plaintext": True,
        },
        link={"backoff": 0.2},
        ice={"addresses": ["127.0.0.1"]},
        media={"source": "test:size=160x120,fps=15", "sinks": ["null"]},
    )


@pytest.mark.prosody
def test_a_call_goes_on_while_the_chat_is_away_and_can_be_hung_up_when_it_is_back() -> None:
    """QB-125."""

    async def scenario() -> None:
        async with (
            asyncio.timeout(2 * PATIENCE),
            DevServer(accounts=("ann", "bob")) as server,
            Client(config(server, "ann")) as ann,
            Client(config(server, "bob")) as bob,
        ):

            @bob.on(IncomingCall)
            async def accept(event: IncomingCall) -> None:
                await bob.calls[event.call].accept()

            call = await ann.call(bob.user, media=CallMedia.AUDIO)
            await call.connected(PATIENCE)
            theirs = bob.calls[call.id]
            await theirs.connected(PATIENCE)
            changes: list[object] = []
            ann.on(PeerStateChanged)(changes.append)
            ann.on(CallStateChanged)(changes.append)

            lost = [asyncio.ensure_future(client.wait_for(LinkReconnecting)) for client in (ann, bob)]
            await asyncio.sleep(0)
            await server.kill()
            await asyncio.gather(*lost)
            assert not ann.online
            assert {ann.link_state, bob.link_state} <= {LinkState.WAITING, LinkState.REDIALING}
            with pytest.raises(LinkDown):
                await ann.call("cat@localhost")
            heard = call.peer(bob.user).audio
            assert heard is not None
            before = heard.frames
            async for _ in heard:
                if heard.frames > before + 25:
                    break
            back = [asyncio.ensure_future(client.wait_for(LinkReconnected)) for client in (ann, bob)]
            await asyncio.sleep(0)
            await server.restart()
            await asyncio.gather(*back)
            assert [client.link_state for client in (ann, bob)] == [LinkState.ONLINE] * 2
            assert changes == []
            assert call.state is CallState.CONNECTED

            await call.hang_up()
            assert await theirs.ended() is EndReason.REMOTE_HUNG_UP

    asyncio.run(scenario())


@pytest.mark.prosody
def test_a_login_that_fails_is_raised_and_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE), DevServer(accounts=("ann",)) as server, AsyncExitStack() as stack:
            with pytest.raises(AuthError):
                await stack.enter_async_context(client := Client(config(server, "ann", "wrong")))
            assert client.link_state is LinkState.OFFLINE
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []

    asyncio.run(scenario())
