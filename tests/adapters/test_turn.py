"""Calls through a real TURN server that a real chat server names."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from qbcall import Call, Client, Config, IncomingCall, MediaFailed, Stats
from qbcall.core.model import StatsReport, User
from qbcall.devserver import DevServer
from qbcall.devserver_files import ExternalService
from qbcall.media.verify import Verifier
from tests.coturn import NEEDS_COTURN, Coturn, coturn
from tests.prosody import NEEDS_PROSODY

PATIENCE = 30.0
CARDS = 30
"""Readable pictures that must come in each direction."""
BOUND = 10.0
"""Seconds that a call may take to fail: aioice waits 5 s for a TURN server that does not answer."""

pytestmark = [NEEDS_COTURN, NEEDS_PROSODY]


def ephemeral(relay: Coturn, transport: str = "udp") -> ExternalService:
    """With credentials for ten minutes, as coturn's `use-auth-secret` wants them."""
    return ExternalService(
        type="turn", host=relay.host, port=relay.port, transport=transport, secret=relay.secret, ttl=600
    )


def run(scenario: Callable[[AsyncExitStack, Coturn], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with a TURN server, and see that nothing of it is left."""

    async def whole() -> None:
        async with asyncio.timeout(2 * PATIENCE), coturn() as relay, AsyncExitStack() as stack:
            await scenario(stack, relay)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(whole())


class Person:
    """A client that answers every call, and checks what it gets."""

    def __init__(self, server: DevServer, name: str, ice: dict[str, object]) -> None:
        self.verifier = Verifier()
        account = {"jid": f"{name}@{server.domain}", "server": f"{server.host}:{server.port}", "plaintext": True}
        self.client = Client(
            Config.of(
                account={**account, "password": server.accounts[name]},
                call={"stats_interval": 0.5},
                ice={"addresses": ["127.0.0.1"], "transport_policy": "relay", **ice},
                media={"source": "test:size=320x240,fps=15", "sinks": ["null"]},
            )
        )
        self.served: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

        @self.client.on(IncomingCall)
        async def serve(event: IncomingCall) -> None:
            call = self.client.calls[event.call]
            self.served.set_result(call)
            await call.accept(sinks=[self.verifier.write])

    async def verified(self, call: Call, peer: User) -> StatsReport:
        """Wait until enough of the peer's cards and its tone came; gives back a measurement of that time."""

        def enough(_: Stats) -> bool:
            found = self.verifier.report(peer)
            return found is not None and int(str(found["cards"])) >= CARDS and found["tone"] is not None

        report = (await call.wait_for(Stats, timeout=PATIENCE, where=enough)).report
        found = self.verifier.report(peer)
        assert found is not None
        assert (found["name_ok"], found["tone_ok"], found["out_of_order"]) == (True, True, 0)
        return report


@asynccontextmanager
async def pair(services: Sequence[ExternalService], **ice: object) -> AsyncIterator[tuple[Person, Person]]:
    """Ann and Bob at a server that names these services; media goes through a relay, or not at all."""
    async with DevServer(external_services=services) as server:
        ann, bob = (Person(server, name, ice) for name in ("ann", "bob"))
        async with ann.client, bob.client:
            yield ann, bob


async def call_is_verified(ann: Person, bob: Person) -> None:
    """Frames of both arrive at the other, through the relay."""
    async with ann.client.call(bob.client.user, sinks=[ann.verifier.write]) as call:
        await call.connected(PATIENCE)
        reports = await asyncio.gather(
            ann.verified(call, bob.client.user), bob.verified(await bob.served, ann.client.user)
        )
    pairs = {(report.local_candidate, report.remote_candidate) for report in reports}
    assert pairs == {("relay", "relay")}


async def call_fails(ann: Person, bob: Person, words: str) -> None:
    """Soon, and saying why."""
    began = time.monotonic()
    call = await ann.client.call(bob.client.user)
    with pytest.raises(MediaFailed, match=words):
        await call.connected(PATIENCE)
    assert time.monotonic() - began < BOUND


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_whose_only_path_is_the_relay_carries_verified_frames(transport: str) -> None:
    async def scenario(stack: AsyncExitStack, relay: Coturn) -> None:
        ann, bob = await stack.enter_async_context(pair([ephemeral(relay, transport)]))
        await call_is_verified(ann, bob)

    run(scenario)


def test_wrong_credentials_fail_the_call_and_are_named() -> None:
    async def scenario(stack: AsyncExitStack, relay: Coturn) -> None:
        wrong = replace(ephemeral(relay), secret="of another server")
        ann, bob = await stack.enter_async_context(pair([wrong]))
        await call_fails(ann, bob, rf"turn:127.0.0.1:{relay.port}\?transport=udp does not answer, or refuses")

    run(scenario)


def test_relay_that_does_not_answer_fails_the_call_and_is_named() -> None:
    async def scenario(stack: AsyncExitStack, relay: Coturn) -> None:
        silent = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        silent.bind((relay.host, 0))
        port = silent.getsockname()[1]
        ann, bob = await stack.enter_async_context(pair([replace(ephemeral(relay), port=port)]))
        await call_fails(ann, bob, f"turn:127.0.0.1:{port}.* does not answer")

    run(scenario)


def test_relay_is_wanted_but_the_server_names_none() -> None:
    async def scenario(stack: AsyncExitStack, relay: Coturn) -> None:
        ann, bob = await stack.enter_async_context(pair([]))
        await call_fails(ann, bob, "none is configured, nor named by the chat server")

    run(scenario)


def test_server_without_services_changes_nothing_for_a_direct_call() -> None:
    async def scenario(stack: AsyncExitStack, relay: Coturn) -> None:
        ann, bob = await stack.enter_async_context(pair([], transport_policy="all"))
        async with ann.client.call(bob.client.user, sinks=[ann.verifier.write]) as call:
            report = await ann.verified(call, bob.client.user)
            assert (report.local_candidate, report.remote_candidate) == ("host", "host")

    run(scenario)


def test_servers_configured_by_hand_are_used_instead_of_those_of_the_chat_server() -> None:
    async def scenario(stack: AsyncExitStack, relay: Coturn) -> None:
        wrong = replace(ephemeral(relay), secret="of another server")
        username, credential = relay.credentials()
        server = {"urls": f"turn:{relay.host}:{relay.port}", "username": username, "credential": credential}
        ann, bob = await stack.enter_async_context(pair([wrong], servers=[server]))
        await call_is_verified(ann, bob)

    run(scenario)
