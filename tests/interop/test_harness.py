"""The means of these tests can fail, so that what they show is worth something."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from pathlib import Path

import pytest

from tests.adapters.wire_proxy import abandon
from tests.interop import sdk
from tests.interop.cards import card_of, card_urls
from tests.interop.conftest import Run
from tests.interop.island import NAME, V6_HERE, Island, unavailable
from tests.interop.js_user import JsUser
from tests.interop.room import Room

NEVER_READS = """
import signal, socket, sys
open_for_ever = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print(flush=True)
signal.pause()
"""


async def deafen(js: JsUser, by: JsUser) -> None:
    """Send a headline without `extraParams`: the SDK's handler breaks on it, and is taken away."""
    headline = "(to) => QB.chat.connection.send($msg({to, type: 'headline'}).c('body').t('x'))"
    await by.page.evaluate(headline, f"{js.name}@localhost")


@pytest.mark.interop
def test_user_of_the_sdk_who_was_made_deaf_is_found(run: Run) -> None:
    async def scenario(room: Room) -> None:
        js, other = await room.js(1002), await room.js(1003)
        await room.prove_hearing()
        await deafen(js, other)
        with pytest.raises(AssertionError, match=r"JS 1002: no .*'call'"):
            await room.prove_hearing(timeout=2)
        room.browsers.remove(js)

    run(scenario)


@pytest.mark.interop
def test_condition_that_does_not_come_true_in_a_page_is_an_error(run: Run) -> None:
    async def scenario(room: Room) -> None:
        js = await room.js(1002)
        await js.until("async (number) => number === 5", 5)
        with pytest.raises(AssertionError, match="not within"):
            await js.until("async (number) => number === 6", 5, timeout=0.2)

    run(scenario)


def test_sdk_that_is_not_what_npm_published_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarball = tmp_path / "quickblox.tgz"
    tarball.write_bytes(b"something else")
    monkeypatch.setattr(sdk, "TARBALL", tarball)
    monkeypatch.setattr(sdk, "SCRIPT", tmp_path / "sdk" / "quickblox.js")
    with pytest.raises(sdk.SdkMissing, match="SHA-512"):
        sdk.script()
    assert not tarball.exists()


def test_cards_survive_the_way_into_a_page_and_back() -> None:
    first, second, *_ = (card_of(url) for url in card_urls("1002-77"))
    assert first is not None
    assert second is not None
    assert (first.name, first.counter, second.counter) == ("1002-77", 0, 1)


@pytest.mark.skipif(unavailable() != "", reason=unavailable() or "-")
def test_island_that_goes_takes_its_connections_with_it() -> None:
    """Also one whose far end neither reads nor says that it ended; pytest calls a socket that is left an error."""

    async def scenario() -> None:
        stuck = asyncio.Event()

        async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(TimeoutError):
                while True:
                    writer.write(bytes(2**20))
                    async with asyncio.timeout(1):
                        await writer.drain()
            stuck.set()
            await abandon(writer)

        server = await asyncio.start_server(pour, "127.0.0.1", 0)
        async with server, Island() as island:
            port = await island.forward(server.sockets[0].getsockname()[1])
            words = ("netns", "exec", NAME, "python3", "-c", NEVER_READS, V6_HERE, str(port))
            program = await asyncio.create_subprocess_exec("ip", *words, stdout=asyncio.subprocess.PIPE)
            assert program.stdout is not None
            await program.stdout.readline()
            async with asyncio.timeout(10):
                await stuck.wait()
            await island.cut_chat()
            program.kill()
            await program.communicate()

    asyncio.run(scenario())
    gc.collect()
