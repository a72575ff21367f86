"""The yardstick: two bare slixmpp clients that send each other messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter

from slixmpp import ClientXMPP
from slixmpp.stanza import Message

from qbcall.devserver import DevServer

UNENCRYPTED = {"feature_mechanisms": {"unencrypted_scram": True}}


class BareChat:
    """Two clients that are online; the second sends back what it is asked to."""

    def __init__(self, here: ClientXMPP, there: ClientXMPP) -> None:
        self._here = here
        self._there = there
        self._told: Callable[[], None] = lambda: None
        self._back = False
        here.add_event_handler("message", lambda _: self._told())
        there.add_event_handler("message", self._arrived)

    def _arrived(self, message: Message) -> None:
        if self._back:
            self._there.send_message(self._here.boundjid, message["body"], mtype="headline")
        else:
            self._told()

    async def round_trip(self, text: str) -> float:
        """Seconds from sending to hearing it again."""
        self._back = True
        done = asyncio.get_running_loop().create_future()
        self._told = lambda: done.set_result(perf_counter())
        started = perf_counter()
        self._here.send_message(self._there.boundjid, text, mtype="headline")
        return float(await done) - started

    async def flood(self, text: str, times: int) -> None:
        """Send so many at once, and wait until all arrived."""
        self._back = False
        done = asyncio.get_running_loop().create_future()
        missing = times

        def told() -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                done.set_result(None)

        self._told = told
        for _ in range(times):
            self._here.send_message(self._there.boundjid, text, mtype="headline")
        await done


@asynccontextmanager
async def chat(server: DevServer, *names: str) -> AsyncIterator[BareChat]:
    """Two accounts online."""
    clients = [await _online(server, name) for name in names]
    try:
        yield BareChat(*clients)
    finally:
        await asyncio.gather(*(client.disconnect() for client in clients))
        for client in clients:
            if client._run_out_filters is not None:  # swallows the first request to end
                client._run_out_filters.cancel()
        await asyncio.sleep(0)


async def _online(server: DevServer, name: str) -> ClientXMPP:
    client = ClientXMPP(f"{name}@{server.domain}", server.accounts[name], plugin_config=UNENCRYPTED)
    client.enable_plaintext, client.enable_starttls, client.enable_direct_tls = True, False, False
    ready = asyncio.get_running_loop().create_future()
    client.add_event_handler("session_start", lambda _: ready.set_result(None))
    client.connect(server.host, server.port)
    await ready
    client.send_presence()
    return client
