"""The private server: starts, is private, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from qbcall import devserver
from qbcall.devserver import DevServer
from qbcall.devserver_files import encoded, lua
from qbcall.errors import InvalidArgument, ProgramMissing, ServerUnreachable

PATIENCE = 20.0

HOLDER = """
import asyncio
from qbcall.devserver import DevServer
async def hold():
    async with DevServer() as server:
        print(server.pid, server.place, flush=True)
        await asyncio.Event().wait()
asyncio.run(hold())
"""


def accepts(server: DevServer) -> bool:
    """Whether somebody listens at its port."""
    with socket.socket() as probe:
        return probe.connect_ex((server.host, server.port)) == 0


def test_prosody_missing_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *args, **kwargs: None)

    async def scenario() -> None:
        with pytest.raises(ProgramMissing, match="apt-get install prosody"):
            async with DevServer():
                pass

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["", "a b", "a@b", "x/../y", "Ann"])
def test_name_that_is_no_account_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        DevServer(accounts=(name,))


def test_names_get_passwords_and_a_mapping_is_taken_as_it_is() -> None:
    made = DevServer(accounts=("ann", "bob")).accounts
    assert list(made) == ["ann", "bob"]
    assert len({*made.values()}) == 2
    assert min(map(len, made.values())) >= 16
    assert DevServer(accounts={"ann": "secret"}).accounts == {"ann": "secret"}


def test_text_cannot_leave_its_lua_string() -> None:
    assert lua('"]]\n\\ö') == r'"\034\093\093\010\092\195\182"'
    assert [lua(value) for value in (True, False, 5222)] == ["true", "false", "5222"]


def test_file_names_are_those_of_prosody() -> None:
    assert encoded("chat.example-1_ä") == "chat%2eexample%2d1%5f%c3%a4"


@pytest.mark.prosody
def test_running_server_is_private_and_leaves_nothing() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            place, process = server.place, psutil.Process(server.pid)
            assert place is not None
            assert place.stat().st_mode & 0o077 == 0, "passwords are in it"
            listening = {tuple(c.laddr) for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
            assert listening == {("127.0.0.1", server.port), ("127.0.0.1", server.http_port)}
            assert server.ca_file is None
        assert not process.is_running()
        assert not place.exists()
        assert not accepts(server)

    asyncio.run(scenario())


@pytest.mark.prosody
@pytest.mark.skipif(os.geteuid() != 0, reason="only root could run it as root")
def test_started_by_root_runs_as_somebody_else() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            assert psutil.Process(server.pid).uids().real != 0

    asyncio.run(scenario())


@pytest.mark.prosody
def test_killed_and_restarted_listens_at_the_same_port() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            port = server.port
            await server.kill()
            assert not accepts(server)
            await server.restart()
            assert server.port == port
            assert accepts(server)

    asyncio.run(scenario())


@pytest.mark.prosody
def test_ports_of_two_servers_differ_even_while_one_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with DevServer() as first:
            await first.kill()
            tried = iter([first.port, first.http_port, *range(first.port + 1, devserver.PORTS.stop)])
            monkeypatch.setattr(secrets, "choice", lambda _: next(tried))
            async with DevServer() as second:
                assert not {first.port, first.http_port} & {second.port, second.http_port}
                await first.restart()
                assert accepts(first)

    asyncio.run(scenario())


@pytest.mark.prosody
def test_ports_are_given_back() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            pass
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((server.host, server.port))
            probe.listen()

    asyncio.run(scenario())


@pytest.mark.prosody
def test_stop_that_is_cancelled_leaves_nothing() -> None:
    async def scenario() -> None:
        server = await DevServer().__aenter__()
        assert server.place is not None
        place, process = server.place, psutil.Process(server.pid)
        process.suspend()
        stopping = asyncio.ensure_future(server.__aexit__(None, None, None))
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert not place.exists()
        await asyncio.to_thread(process.wait, PATIENCE)

    asyncio.run(scenario())


@pytest.mark.prosody
def test_account_is_added_once_and_only_with_a_good_name() -> None:
    async def scenario() -> None:
        async with DevServer(accounts=("ann",)) as server:
            password = server.add_account("bob-2")
            assert server.accounts["bob-2"] == password
            assert password != server.accounts["ann"]
            for name in ("bob-2", "ann", "Ann", "a/b"):
                with pytest.raises(InvalidArgument):
                    server.add_account(name)
            assert [*server.accounts] == ["ann", "bob-2"]

    asyncio.run(scenario())


@pytest.mark.prosody
def test_with_tls_has_an_authority_to_trust() -> None:
    async def scenario() -> None:
        async with DevServer(tls=True) as server:
            assert server.ca_file is not None
            assert server.ca_file.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")

    asyncio.run(scenario())


@pytest.mark.prosody
def test_server_that_cannot_start_tells_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "prosody"
    broken.write_text("#!/bin/sh\necho out of order > prosody.log\nexit 3\n")
    broken.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # the server runs as another user
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    async def scenario() -> None:
        server = DevServer()
        with pytest.raises(ServerUnreachable, match="ended with code 3: out of order"):
            await server.__aenter__()
        assert server.place is None

    asyncio.run(scenario())


@pytest.mark.prosody
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("setpriv") is None, reason="needs Linux with setpriv")
def test_parent_killed_takes_the_server_with_it() -> None:
    async def scenario() -> None:
        parent = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, stdout=asyncio.subprocess.PIPE)
        assert parent.stdout is not None
        pid, place = (await parent.stdout.readline()).decode().split()
        try:
            server = psutil.Process(int(pid))
            parent.send_signal(signal.SIGKILL)
            await parent.wait()
            await asyncio.to_thread(server.wait, PATIENCE)
        finally:
            shutil.rmtree(place)

    asyncio.run(scenario())
