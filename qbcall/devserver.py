"""A private Prosody on loopback for demos, tests and first steps: made in a moment, gone without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import socket
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from qbcall.devserver_files import ExternalService, Plan, write_account, write_files
from qbcall.dialects.jid import bare_jid
from qbcall.errors import InvalidArgument, ProgramMissing, ServerUnreachable

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections, so that none of them takes the port between two starts."""
PASSWORD_BYTES = 12
"""Of randomness, in a password that is made here."""
TOKEN_BYTES = 24
"""Of randomness, in the token of `signals_token`."""
START_PATIENCE = 20.0
"""Seconds until the server must accept connections."""
STOP_PATIENCE = 3.0
"""Seconds that the server may take to end before it is killed."""
POLL = 0.02
"""Seconds between two looks whether the server accepts connections."""
LOG_TAIL = 600
"""Characters of the server's log in the error that it did not start."""


class DevServer:
    """A Prosody of its own: generated configuration, data in memory, loopback only; needs no root.

    Use it as an async context manager, in a thread that outlives it: on Linux the server dies with the thread that
    started it. The system's Prosody and its configuration are not touched.

    Raises:
        InvalidArgument: a name or the domain cannot be part of a JID.
        ProgramMissing: (on entering) Prosody is not installed.
        ServerUnreachable: (on entering) Prosody did not start; the message has the end of its log.
    """

    def __init__(
        self,
        accounts: Iterable[str] | Mapping[str, str] = ("ann", "bob"),
        domain: str = "localhost",
        *,
        tls: bool = False,
        external_services: Sequence[ExternalService] = (),
    ) -> None:
        given = (
            accounts
            if isinstance(accounts, Mapping)
            else {name: secrets.token_urlsafe(PASSWORD_BYTES) for name in accounts}
        )
        self.host = HOST
        """Address it listens at."""
        self.domain = domain
        """The part of its JIDs behind the `@`."""
        self.accounts: dict[str, str] = {_checked(name, domain): secret for name, secret in given.items()}
        """Passwords by the part of a JID before the `@`."""
        self.tls = tls
        """With TLS required (STARTTLS), else without TLS."""
        self.external_services = tuple(external_services)
        """STUN and TURN servers that it names to its users (XEP-0215); none: it has no XEP-0215."""
        self.port = 0
        """Of chat clients; the same after `restart`."""
        self.http_port = 0
        """Of BOSH, WebSocket and signals (`/http-bind`, `/xmpp-websocket`, `/signal`)."""
        self.signals_token = secrets.token_urlsafe(TOKEN_BYTES)
        """What a web service shows to send signals into calls: `docs/server-signals.md`."""
        self.ca_file: Path | None = None
        """With `tls`: certificate of the authority to trust."""
        self._program = ""
        self.place: Path | None = None
        """Directory of its files while it runs; readable by its user only. `prosody.log` is in it."""
        self._process: Process | None = None
        self._reserved: list[socket.socket] = []

    async def __aenter__(self) -> DevServer:
        program = shutil.which("prosody") or shutil.which("prosody", path="/usr/sbin:/usr/local/sbin:/usr/local/bin")
        if program is None:
            raise ProgramMissing("prosody is not installed: apt-get install prosody")
        try:
            self._reserved = [reserved_port() for _ in range(2)]
            self.port, self.http_port = (reserved.getsockname()[1] for reserved in self._reserved)
            self.place = Path(tempfile.mkdtemp(prefix="qbcall-devserver-"))
            plan = Plan(
                place=self.place,
                host=self.host,
                port=self.port,
                http_port=self.http_port,
                domain=self.domain,
                accounts=self.accounts,
                tls=self.tls,
                services=self.external_services,
                run_as_root=os.geteuid() == 0 and _prosody_user() is None,
                signals_token=self.signals_token,
            )
            self.ca_file = write_files(plan)
            _hand_over(self.place)
            self._program = program
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
    def pid(self) -> int | None:
        """Number of its process, while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def signals_url(self) -> str:
        """Where a web service sends signals into calls: `POST <signals_url>/<call>[/<user>]`."""
        return f"http://{self.host}:{self.http_port}/signal"

    def add_account(self, name: str) -> str:
        """Make an account while the server runs; its password is given back, and is in `accounts` from now on.

        Raises:
            InvalidArgument: the name cannot be part of a JID, or there is such an account.
        """
        assert self.place is not None, "entered"
        if _checked(name, self.domain) in self.accounts:
            raise InvalidArgument(f"account {name!r} exists")
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        _hand_over(write_account(self.place, self.domain, name, password))
        self.accounts[name] = password
        return password

    async def kill(self) -> None:
        """End the server as a crash would: connections break without a farewell."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def restart(self) -> None:
        """Start the server again, at the same port and with the same accounts, after a `kill` if it still runs.

        Raises:
            ServerUnreachable: it did not start.
        """
        await self.kill()
        await self._start()

    async def _start(self) -> None:
        assert self.place is not None, "entered"
        arguments = [*die_with_parent(), self._program, "--config", str(self.place / "prosody.cfg.lua"), "-F"]
        user = _prosody_user() if os.geteuid() == 0 else None
        if user is None:
            self._process = await asyncio.create_subprocess_exec(
                *arguments, cwd=self.place, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
            )
        else:
            self._process = await asyncio.create_subprocess_exec(
                *arguments,
                cwd=self.place,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
            )
        try:
            async with asyncio.timeout(START_PATIENCE):
                for port in (self.port, self.http_port):
                    await self._accepting(self._process, port)
        except TimeoutError:
            raise ServerUnreachable(f"prosody did not start within {START_PATIENCE:g} s: {self._log()}") from None

    async def _accepting(self, process: Process, port: int) -> None:
        """Wait until the server accepts connections at a port."""
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(self.host, port)
            except OSError:
                await asyncio.sleep(POLL)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        raise ServerUnreachable(f"prosody ended with code {process.returncode}: {self._log()}")

    def _log(self) -> str:
        assert self.place is not None, "entered"
        try:
            return (self.place / "prosody.log").read_text("utf-8", "replace")[-LOG_TAIL:]
        except OSError:
            return "it wrote no log"

    async def _leave(self) -> None:
        try:
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
        finally:
            self._vanish()
            await self.kill()

    def _vanish(self) -> None:
        """Leave nothing behind; does not wait, so that even a cancelled stop does it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        for reserved in self._reserved:
            reserved.close()
        if self.place is not None:
            shutil.rmtree(self.place, ignore_errors=True)
            self.place = None


def _checked(name: str, domain: str) -> str:
    jid = bare_jid(f"{name}@{domain}")
    if jid != f"{name}@{domain}":
        raise InvalidArgument(f"account {name!r} at {domain!r}: write it as {jid!r}")
    return name


def reserved_port() -> socket.socket:
    """A socket at a port on loopback that nobody uses; while it is open, no other `DevServer` gets that port.

    It never listens, so on Linux a server may still do so at the same port, if both set SO_REUSEADDR (socket(7)) as
    Prosody does. It must not be set before `bind`, or that would succeed where another one is reserved.
    """
    while True:
        reserved = socket.socket()
        try:
            reserved.bind((HOST, secrets.choice(PORTS)))
        except OSError:
            reserved.close()
            continue
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return reserved


def _prosody_user() -> pwd.struct_passwd | None:
    """The account that Debian's package makes: a server need not run as root."""
    try:
        return pwd.getpwnam("prosody")
    except KeyError:
        return None


def _hand_over(path: Path) -> None:
    """Let the unprivileged server use a file, or a directory and all in it."""
    user = _prosody_user()
    if os.geteuid() != 0 or user is None:
        return
    for each in (path, *path.rglob("*")):
        os.chown(each, user.pw_uid, user.pw_gid)


def die_with_parent() -> list[str]:
    """Program before the program: the kernel ends it with us (prctl(2), PR_SET_PDEATHSIG), even if we are killed.

    Not `preexec_fn`, which is unsafe where threads run, as they do for media.
    """
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "KILL", "--"] if program else []
