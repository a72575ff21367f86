"""What surrounds every command: signals, the time limit, faults, a reader that went away."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from qbcall.cli import frame
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.frame import Setting, Work
from qbcall.cli.options import Common
from qbcall.errors import AuthError
from tests.cli.conftest import Line, checked_lines


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


def result(capfd: pytest.CaptureFixture[str], work: Work, **common: object) -> tuple[int, Line]:
    """Exit code and last line of a command that does this work."""
    options = Common(json=True, **common)  # type: ignore[arg-type]  # of a table of tests
    with pytest.raises(typer.Exit) as left:
        frame.run(options, frame.asynchronous(options, work))
    found = checked_lines(capfd.readouterr().out)
    assert found[-1]["code"] == left.value.exit_code
    return left.value.exit_code, found[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_lets_the_command_finish_politely(
    capfd: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    said: list[str] = []

    async def work(_: Setting) -> ExitCode:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("goodbye")
        return ExitCode.OK

    code, last = result(capfd, work)
    assert (code, said) == (130, ["goodbye"])
    assert last["error"] is None


def test_second_signal_aborts(capfd: pytest.CaptureFixture[str]) -> None:
    async def work(_: Setting) -> ExitCode:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()  # a goodbye that nobody hears
        return ExitCode.OK

    code, last = result(capfd, work)
    assert (code, last["error"]) == (130, "aborted")


def test_signals_are_as_before_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in frame.STOPPING]

    async def work(_: Setting) -> ExitCode:
        return ExitCode.OK

    assert result(capfd, work)[0] == 0
    assert [signal.getsignal(number) for number in frame.STOPPING] == before


def test_time_limit_lets_the_command_finish_politely(capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    async def work(_: Setting) -> ExitCode:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("goodbye")
        return ExitCode.OK

    assert (result(capfd, work, timeout=0.01)[0], said) == (124, ["goodbye"])


def test_time_that_runs_out_within_the_command_is_a_fault(capfd: pytest.CaptureFixture[str]) -> None:
    async def work(_: Setting) -> ExitCode:
        raise TimeoutError

    code, last = result(capfd, work, timeout=60.0)
    assert (code, last["error"]) == (1, "TimeoutError: TimeoutError")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (AuthError("wrong password"), 4, "wrong password"),
        (ExceptionGroup("", [AuthError("wrong password")]), 4, "wrong password"),
        (RuntimeError("broken"), 1, "RuntimeError: broken"),
    ],
)
def test_error_is_told_to_people_and_programs(
    capfd: pytest.CaptureFixture[str], error: Exception, code: int, words: str
) -> None:
    async def work(_: Setting) -> ExitCode:
        raise error

    found, last = result(capfd, work)
    assert (found, last["error"]) == (code, words)


@pytest.mark.parametrize("quiet", [False, True])
def test_error_is_told_to_people_even_when_quiet(capfd: pytest.CaptureFixture[str], quiet: bool) -> None:
    async def work(setting: Setting) -> ExitCode:
        setting.output.say("working [bold]")
        raise AuthError("wrong \x1b[31mpassword [red]")

    options = Common(quiet=quiet)
    with pytest.raises(typer.Exit):
        frame.run(options, frame.asynchronous(options, work))
    told = capfd.readouterr()
    assert told.out == ""
    assert "error: wrong \ufffd[31mpassword [red]" in told.err
    assert ("working [bold]" in told.err) is not quiet


READER_THAT_LEAVES = """
import asyncio, sys, typer
from qbcall.cli import frame
from qbcall.cli.options import Common

async def work(setting):
    while True:
        setting.output.write("x" * 4096)
        await asyncio.sleep(0)

try:
    frame.run(options := Common(), frame.asynchronous(options, work))
except typer.Exit as left:
    sys.exit(left.exit_code)
"""


def test_reader_that_goes_away_stops_the_command() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", READER_THAT_LEAVES], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline().startswith("xxx")
    program.stdout.close()
    assert program.stderr is not None
    with program.stderr as stream:
        errors = stream.read()
    assert program.wait() == 130
    assert "Error" not in errors
