"""A private coturn on loopback: a real TURN server for tests; `pytest.mark.skipif` where there is none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import os
import pwd
import secrets
import shutil
import socket
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from qbcall.devserver_files import Plan, write_files

NEEDS_COTURN = pytest.mark.skipif(
    shutil.which("turnserver") is None, reason="turnserver is not installed: apt-get install coturn"
)
HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections."""
START_PATIENCE = 20.0
STOP_PATIENCE = 5.0
POLL = 0.05
"""Seconds that one STUN request may take to be answered."""
BINDING_REQUEST = bytes.fromhex("000100002112a442") + b"qbcall start"
"""STUN, RFC 8489, section 5: method Binding, no attributes."""
CONFIG = """\
listening-ip={host}
listening-port={port}
relay-ip={host}
realm=example.org
use-auth-secret
static-auth-secret={secret}
allow-loopback-peers
no-dtls
no-cli
no-multicast-peers
no-rfc5780
simple-log
verbose
log-file={place}/turn.log
pidfile={place}/turn.pid
userdb={place}/turn.db
{more}
"""
TLS = "tls-listening-port={tls_port}\ncert={place}/certs/server.crt\npkey={place}/certs/server.key"


@dataclass(frozen=True)
class Coturn:
    """A running server."""

    port: int
    """UDP and TCP, without TLS."""
    secret: str
    """`static-auth-secret`: user names are times of expiry, passwords are made with it."""
    place: Path
    host: str = HOST
    tls_port: int = 0
    """Of TLS; 0: none."""

    @property
    def ca_file(self) -> Path:
        """With TLS: the authority to trust; the certificate is for `localhost`."""
        return self.place / "certs" / "ca.crt"

    def credentials(self) -> tuple[str, str]:
        """User name and password for ten minutes (draft-uberti-behave-turn-rest)."""
        username = str(int(time.time()) + 600)
        return username, base64.b64encode(hmac.digest(self.secret.encode(), username.encode(), "sha1")).decode()

    @property
    def log(self) -> str:
        """What it logged so far."""
        try:
            return (self.place / "turn.log").read_text("utf-8", "replace")
        except OSError:
            return ""


@asynccontextmanager
async def coturn(*more: str, tls: bool = False, host: str = HOST) -> AsyncIterator[Coturn]:
    """A server of its own, gone at the end; never root. `more` are lines of its configuration."""
    place = Path(tempfile.mkdtemp(prefix="qbcall-coturn-"))
    try:
        secret, tls_port = secrets.token_urlsafe(12), _free_port(host) if tls else 0
        server = Coturn(_free_port(host), secret, place, host=host, tls_port=tls_port)
        if tls:
            _certify(place)
        lines = [TLS.format(tls_port=server.tls_port, place=place) if tls else "no-tls", *more]
        values = {"host": host, "port": server.port, "secret": server.secret, "place": place}
        (place / "turn.conf").write_text(CONFIG.format(**values, more="\n".join(lines)), encoding="utf-8")
        process = await _start(place)
        try:
            async with asyncio.timeout(START_PATIENCE):
                await _answering(server, process)
            yield server
        finally:
            await _stop(process)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _certify(place: Path) -> None:
    """Certificates as those of a chat server."""
    plan = Plan(
        place=place,
        host=HOST,
        port=0,
        http_port=0,
        domain="localhost",
        accounts={},
        tls=True,
        services=(),
        run_as_root=False,
    )
    write_files(plan)


async def _start(place: Path) -> Process:
    arguments = ["turnserver", "-c", str(place / "turn.conf")]
    if setpriv := shutil.which("setpriv"):
        arguments = [setpriv, "--pdeathsig", "KILL", "--", *arguments]
    if os.geteuid() != 0:
        return await asyncio.create_subprocess_exec(
            *arguments, cwd=place, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
    user = pwd.getpwnam("turnserver")  # Debian's package makes it
    _hand_over(place, user)
    return await asyncio.create_subprocess_exec(
        *arguments,
        cwd=place,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
    )


def _hand_over(place: Path, user: pwd.struct_passwd) -> None:
    for path in (place, *place.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)


async def _stop(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _answering(server: Coturn, process: Process) -> None:
    """Wait until it answers a STUN request."""
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.connect((server.host, server.port))
        while process.returncode is None:
            with contextlib.suppress(ConnectionRefusedError, TimeoutError):
                await loop.sock_sendall(probe, BINDING_REQUEST)
                if await asyncio.wait_for(loop.sock_recv(probe, 2048), POLL):
                    return
            await asyncio.sleep(0)
    raise AssertionError(f"turnserver ended with code {process.returncode}: {server.log[-2000:]}")


def _free_port(host: str) -> int:
    """A port that neither UDP nor TCP uses."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind((host, port))
            udp.bind((host, port))
            return port
