"""The frame around every command: configuration, password, signals, time limit, the first and the last line."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import typer

from qbcall import running
from qbcall.cli.exit_codes import ExitCode, code_of_error
from qbcall.cli.options import Common
from qbcall.cli.output import Output
from qbcall.config import Config
from qbcall.config_layers import Loaded, load
from qbcall.errors import QbcallError
from qbcall.passwords import find_password

log = logging.getLogger("qbcall.cli")

STOPPING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a command works with."""

    loaded: Loaded
    output: Output

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.loaded.config


Body = Callable[[Setting], ExitCode]
Work = Callable[[Setting], Awaitable[ExitCode]]


def run(common: Common, body: Body, flags: Mapping[str, object] | None = None) -> None:
    """Run a command, tell how it went, and leave with its exit code.

    Args:
        common: the common options.
        body: what the command does.
        flags: more of the configuration from the command line, by dotted path.

    Raises:
        typer.Exit: always.
    """
    output = Output(json=common.json, quiet=common.quiet)
    output.hello()
    try:
        loaded = load(flags=common.values() | dict(flags or {}), config_file=common.config, account=common.account)
        with output.logging(loaded.config.log.level):
            code, error = body(Setting(loaded, output)), None
    except KeyboardInterrupt:
        code, error = ExitCode.INTERRUPTED, "aborted"
    except Exception as raised:
        code, error = code_of_error(raised), said(raised)
        if code is ExitCode.INTERNAL:
            log.exception("this should not happen")
    output.exit(code, error)
    raise typer.Exit(code)


def said(error: Exception) -> str:
    """An error in words for people."""
    if isinstance(error, ExceptionGroup):
        return "; ".join(said(part) for part in error.exceptions)
    words = str(error) or type(error).__name__
    return words if isinstance(error, QbcallError) else f"{type(error).__name__}: {words}"


def asynchronous(common: Common, work: Work) -> Body:
    """A body that runs on an event loop, under the time limit, and stops politely on Ctrl-C and SIGTERM."""
    return lambda setting: running.run(_supervise(work(setting), common.timeout, setting.output))


def online(common: Common, work: Work) -> Body:
    """Like `asynchronous`, and the configuration has the account's password."""

    def body(setting: Setting) -> ExitCode:
        # Before the event loop runs: a person who is asked for it can still press Ctrl-C.
        password = find_password(setting.config, fd=common.password_fd)
        loaded = Loaded(setting.config.with_password(password), setting.loaded.origins)
        return asynchronous(common, work)(Setting(loaded, setting.output))

    return body


async def _supervise(work: Awaitable[ExitCode], limit: float | None, output: Output) -> ExitCode:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            for number in STOPPING:
                loop.remove_signal_handler(number)
            raise KeyboardInterrupt
        interrupted = True
        output.say("hanging up; once more aborts")
        task.cancel()

    for number in STOPPING:
        loop.add_signal_handler(number, interrupt)
    output.on_broken = interrupt
    try:
        async with asyncio.timeout(limit) as scope:
            return await task
    except asyncio.CancelledError:
        if not interrupted:
            raise
        return ExitCode.INTERRUPTED
    except TimeoutError:
        if not scope.expired():
            raise
        output.say(f"gave up after {limit:g} s")
        return ExitCode.TIMEOUT
    finally:
        for number in STOPPING:
            loop.remove_signal_handler(number)
