"""A private ejabberd on loopback, the second real chat server of the tests; skipped where it is not installed.

It is started without Erlang's distribution: no cookie, no epmd, and no other instance on this machine is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import secrets
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from qbcall.adapters.xmpp import XmppSettings
from qbcall.devserver import die_with_parent, reserved_port

LIBRARIES = next((found.parent for found in Path("/usr/lib").glob("*/ejabberd-*")), None)
"""Where Debian's package is."""
NEEDS_EJABBERD = pytest.mark.skipif(
    LIBRARIES is None or shutil.which("erl") is None, reason="ejabberd is not installed: apt-get install ejabberd"
)
HOST = "127.0.0.1"
START_PATIENCE = 40.0
POLL = 0.05
"""Seconds between two looks whether it accepts connections."""
CONFIG = """\
hosts: [{domain}]
loglevel: warning
certfiles: []
new_sql_schema: false
listen:
  - {{ port: {port}, ip: "{host}", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none }}
{components}api_permissions:
  "accounts of tests":
    from: mod_http_api
    who: {{ ip: "127.0.0.0/8" }}
    what: [register, status]
modules:
  mod_blocking: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_roster: {{}}
  mod_stream_mgmt: {{ resend_on_timeout: false, resume_timeout: 30, max_ack_queue: 5000 }}
include_config_file: "{place}/api.yml"
"""
"""ejabberd 23.01 (https://docs.ejabberd.im/admin/configuration/)."""
COMPONENT = """\
  - port: {port}
    ip: "{host}"
    module: ejabberd_service
    access: all
    hosts: {{ {domain}: {{ password: "{secret}" }} }}
"""
"""One listener each: all hosts of one can write as each other."""
API = """listen:
  - { port: 5280, ip: "127.0.0.1", module: ejabberd_http, request_handlers: { /api: mod_http_api } }
modules:
  mod_http_api: {}
"""
"""Takes commands over HTTP, at a port that is put in."""


class Ejabberd:
    """A server of its own, without TLS; an async context manager, used like `qbcall.devserver.DevServer`."""

    def __init__(
        self,
        accounts: Iterable[str] = ("ann", "bob"),
        domain: str = "localhost",
        *,
        components: Iterable[str] = (),
        api: str = API,
    ) -> None:
        """`components` may connect; `api` is YAML, merged into the configuration."""
        self.host = HOST
        self.domain = domain
        self.accounts: dict[str, str] = {name: secrets.token_urlsafe(12) for name in accounts}
        """Passwords by the part of a JID before the `@`."""
        self.components: dict[str, str] = {name: secrets.token_urlsafe(12) for name in components}
        """Secrets by domain (XEP-0114)."""
        self.component_ports: dict[str, int] = {}
        """By domain."""
        self.port = self.http_port = 0
        """The same after `restart`."""
        self._api = api
        self._reserved: list[socket.socket] = []
        self._process: Process | None = None
        self._place: Path | None = None

    async def __aenter__(self) -> Self:
        try:
            self._reserved = [reserved_port() for _ in range(2 + len(self.components))]
            self.port, self.http_port, *ports = (one.getsockname()[1] for one in self._reserved)
            self.component_ports = dict(zip(self.components, ports, strict=True))
            self._place = Path(tempfile.mkdtemp(prefix="qbcall-ejabberd-"))
            self._write_files()
            await self._start()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    @property
    def place(self) -> Path:
        """Directory of its files while it runs; `ejabberd.log` is in it."""
        assert self._place is not None, "entered"
        return self._place

    @property
    def pid(self) -> int | None:
        """Number of its process, while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def log(self) -> str:
        """What it logged so far."""
        try:
            return (self.place / "ejabberd.log").read_text("utf-8", "replace")
        except OSError:
            return "it wrote no log"

    def settings(self, name: str = "ann", **changed: object) -> XmppSettings:
        """How an account logs in, with some fields changed."""
        usual = XmppSettings(
            jid=f"{name}@{self.domain}",
            password=self.accounts[name],
            host=self.host,
            port=self.port,
            plaintext=True,
        )
        return replace(usual, **changed)  # type: ignore[arg-type]  # names of fields, which replace() checks

    async def kill(self) -> None:
        """End it as a crash would: connections break without a farewell."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def restart(self) -> None:
        """Start it again at the same ports and with the same accounts, after a `kill` if it still runs."""
        await self.kill()
        await self._start()

    def _write_files(self) -> None:
        components = [
            COMPONENT.format(port=port, host=self.host, domain=domain, secret=self.components[domain])
            for domain, port in self.component_ports.items()
        ]
        config = CONFIG.format(
            host=self.host,
            domain=self.domain,
            port=self.port,
            place=self.place,
            components="".join(components),
        )
        (self.place / "api.yml").write_text(self._api.replace("5280", str(self.http_port)), encoding="utf-8")
        (self.place / "ejabberd.yml").write_text(config, encoding="utf-8")

    async def _start(self) -> None:
        database = f'"{self.place}/database"'
        virtual_machine = ["erl", "-noinput", "+S", "2", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
        arguments = [*die_with_parent(), *virtual_machine, "-mnesia", "dir", database, "-s", "ejabberd"]
        environment = os.environ | {
            "HOME": str(self.place),
            "ERL_LIBS": str(LIBRARIES),
            "ERL_CRASH_DUMP_BYTES": "0",
            "EJABBERD_CONFIG_PATH": str(self.place / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.place / "ejabberd.log"),
        }
        user = pwd.getpwnam("ejabberd") if os.geteuid() == 0 else None  # Debian's package makes it
        if user is None:
            self._process = await asyncio.create_subprocess_exec(
                *arguments, cwd=self.place, env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
            )
        else:
            for path in (self.place, *self.place.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
            self._process = await asyncio.create_subprocess_exec(
                *arguments,
                cwd=self.place,
                env=environment,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
            )
        async with asyncio.timeout(START_PATIENCE):
            await self._answering(self._process)
            for name in self.accounts:
                await self.register(name)

    async def _answering(self, process: Process) -> None:
        """Wait until it accepts connections at each port."""
        for port in (self.port, self.http_port, *self.component_ports.values()):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(self.host, port)
                    writer.close()
                    await writer.wait_closed()
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), POLL)
            else:
                raise AssertionError(f"ejabberd ended with code {process.returncode}: {self.log[-2000:]}")

    async def register(self, name: str) -> None:
        """Make an account of `accounts`, if it is not there."""
        account = {"user": name, "host": self.domain, "password": self.accounts[name]}
        status, said = await self.command("register", account)
        assert status in (200, 409), said

    async def command(self, name: str, arguments: object, **headers: str) -> tuple[int, str]:
        """Status and body of the answer of `mod_http_api` to a command."""
        request = urllib.request.Request(
            f"http://{self.host}:{self.http_port}/api/{name}",
            json.dumps(arguments).encode(),
            {"Content-Type": "application/json", **headers},
        )
        return await asyncio.to_thread(_answer, request)

    async def _leave(self) -> None:
        await self.kill()
        for reserved in self._reserved:
            reserved.close()
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
            self._place = None


def _answer(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
