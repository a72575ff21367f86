"""docs/server-signals.md: its commands, run against the servers that it names, are heard in a running call."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import re
import shlex
import tomllib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from string import Template

import pytest

from qbcall import Call, CallMedia, Client, Config, ParticipantJoined, Signal
from qbcall.devserver import DevServer
from tests.ejabberd import NEEDS_EJABBERD, Ejabberd
from tests.prosody import NEEDS_PROSODY
from tests.signals_room import request
from tests.test_client import PATIENCE, answering

PAGE = (Path(__file__).parent.parent / "docs" / "server-signals.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:5280"
"""On the page; tests have their own port."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


FOR_PROSODY, FOR_EJABBERD = blocks("sh")
(YAML,), (JSON,), (TOML,) = blocks("yaml"), blocks("json"), blocks("toml")


async def curl(command: str, port: int, **variables: str) -> tuple[int, str]:
    """Status and body for a command of the page; knows the options in it, and `signal.json`."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("program", choices=["curl"])
    parser.add_argument("url")
    parser.add_argument("-X")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d", required=True)
    parser.add_argument("-u")
    text = Template(command.replace("\\\n", " ").replace(ADDRESS, f"127.0.0.1:{port}")).substitute(variables)
    given = parser.parse_args(shlex.split(text))
    headers = dict(line.split(": ", 1) for line in given.H)
    if given.u is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(given.u.encode()).decode()
    body = Template(JSON).substitute(variables) if given.d == "@signal.json" else given.d
    return await asyncio.to_thread(request, "POST", given.url, body.encode(), headers)


def config(server: DevServer | Ejabberd, name: str) -> Config:
    account = {
        "jid": f"{name}@{server.domain}",
        "password": server.accounts[name],
        "server": f"{server.host}:{server.port}",
        "plaintext": True,
    }
    return Config.of(
        account=account, ice={"addresses": ["127.0.0.1"]}, media={"source": "silence", "sinks": ["null"]}
    )


@asynccontextmanager
async def in_a_call(server: DevServer | Ejabberd) -> AsyncIterator[tuple[Client, Client, Call]]:
    """Ann and Bob talk."""
    async with AsyncExitStack() as stack:
        ann, bob = [await stack.enter_async_context(Client(config(server, name))) for name in ("ann", "bob")]
        served = answering(bob, lambda call: call.accept())
        call = await ann.call(bob.user, media=CallMedia.AUDIO)
        await call.wait_for(ParticipantJoined, timeout=PATIENCE)
        await asyncio.gather(call.connected(PATIENCE), (await served).connected(PATIENCE))
        yield ann, bob, call
        await call.hang_up()


async def heard(client: Client) -> tuple[str, str]:
    """Type and data of the next signal, which is the server's."""
    event = await client.wait_for(Signal, timeout=PATIENCE)
    assert event.sender is None
    return event.type, event.data


SAID = ("notice", "two minutes left")


@NEEDS_PROSODY
def test_recipe_for_prosody_is_heard_by_all_in_the_call() -> None:
    """VZ-001, VZ-005."""

    async def scenario() -> None:
        async with asyncio.timeout(2 * PATIENCE), DevServer() as server, in_a_call(server) as (ann, bob, call):
            hearing = asyncio.gather(heard(ann), heard(bob))
            await asyncio.sleep(0)
            answer = await curl(FOR_PROSODY, server.http_port, CALL=call.id, TOKEN=server.signals_token)
            assert answer == (204, "")
            assert list(await hearing) == [SAID, SAID]
            assert (await curl(FOR_PROSODY, server.http_port, CALL=call.id, TOKEN="x"))[0] == 403

    asyncio.run(scenario())


@NEEDS_EJABBERD
def test_recipe_for_ejabberd_is_heard_by_one_in_the_call() -> None:
    """VZ-002, VZ-005."""

    async def scenario() -> None:
        names = ("ann", "bob", "signals")
        async with (
            asyncio.timeout(2 * PATIENCE),
            Ejabberd(names, "example.org", api=YAML) as server,
            in_a_call(server) as (_, bob, call),
        ):
            hearing = asyncio.ensure_future(heard(bob))
            await asyncio.sleep(0)
            secret = server.accounts["signals"]
            answer = await curl(FOR_EJABBERD, server.http_port, CALL=call.id, PASSWORD=secret)
            assert answer == (200, "0")
            assert await hearing == SAID
            assert (await curl(FOR_EJABBERD, server.http_port, CALL=call.id, PASSWORD="x"))[0] == 401
            body = json.loads(Template(JSON).substitute(CALL=call.id))
            assert (await server.command("send_stanza", body))[0] == 403, "no password"

    asyncio.run(scenario())


def test_configuration_of_a_component_can_be_used() -> None:
    settings = Config.of(**tomllib.loads(TOML)).xmpp_settings()
    assert settings.trusted == {"example.org", "signals.example.org"}


@pytest.mark.parametrize("command", [FOR_PROSODY, FOR_EJABBERD])
def test_command_goes_to_loopback(command: str) -> None:
    assert f"http://{ADDRESS}/" in command
