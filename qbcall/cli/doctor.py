"""`qbcall doctor`: will calls work from here, and what is to be fixed?"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qbcall.cli import frame
from qbcall.cli.exit_codes import ExitCode, code_of_error
from qbcall.cli.frame import Setting
from qbcall.cli.line import stamp
from qbcall.cli.options import Common, with_common
from qbcall.cli.output import Output
from qbcall.cli.program_lines import DoctorCheckLine, DoctorSummaryLine
from qbcall.doctor.results import Result, Status
from qbcall.errors import MediaError

if TYPE_CHECKING:
    from qbcall.doctor.examination import Check

STYLES = {Status.PASS: "green", Status.WARNING: "yellow", Status.FAILURE: "bold red", Status.SKIPPED: "dim"}
PATIENCE = 1.0
"""Seconds after which people are told what takes so long, where there is no terminal for a status line."""


@with_common
def doctor(common: Common) -> None:
    """Say whether calls will work from here: chat server, STUN, TURN, and calls to itself; and what to fix."""

    def body(setting: Setting) -> ExitCode:
        setting.config.xmpp_settings()
        setting.config.ice_settings()
        return frame.online(common, work)(setting)

    async def work(setting: Setting) -> ExitCode:
        from qbcall.doctor.checks import CHECKS  # noqa: PLC0415 - a second of imports that `--help` does not need
        from qbcall.doctor.examination import examine  # noqa: PLC0415

        output, results = setting.output, list[Result]()
        with _progress(output) as progress:
            async for result in examine(setting.config, CHECKS, progress.begin):
                progress.pause()
                results.append(result)
                _tell(output, result)
        return _conclude(output, results)

    frame.run(common, body)


def code_of(results: list[Result]) -> ExitCode:
    """That of the first failure, as a call would end; else whether there was a warning."""
    for result in results:
        if result.status is Status.FAILURE:
            return code_of_error(result.error or MediaError())
    warned = any(result.status is Status.WARNING for result in results)
    return ExitCode.WARNING if warned else ExitCode.OK


def _tell(output: Output, result: Result) -> None:
    told = {
        "check": result.check,
        "subject": result.subject,
        "status": result.status,
        "detail": result.detail,
        "remedy": result.remedy,
        "ms": None if result.ms is None else round(result.ms, 3),
    }
    output.line(DoctorCheckLine.model_validate(stamp(time.monotonic()) | told))
    words = f"{result.check:11} {f'{result.subject}: ' if result.subject else ''}{result.detail}"
    output.verdict(
        f"{result.status.value:8}", STYLES[result.status], words + (f" => {result.remedy}" if result.remedy else "")
    )


def _conclude(output: Output, results: list[Result]) -> ExitCode:
    counts = Counter(result.status for result in results)
    numbers = {status.value: counts[status] for status in Status}
    output.line(DoctorSummaryLine.model_validate(stamp(time.monotonic()) | {"counts": numbers}))
    told = ", ".join(f"{number} {name}" for name, number in numbers.items())
    worst = next((one for one in (Status.FAILURE, Status.WARNING) if counts[one]), Status.PASS)
    output.verdict(CONCLUSIONS[worst], STYLES[worst], f"({told})")
    return code_of(results)


CONCLUSIONS = {
    Status.FAILURE: "calls will not work as configured:",
    Status.WARNING: "calls will work, but not everywhere or less well:",
    Status.PASS: "calls will work from here:",
}


class _Progress:
    """Says what is going on: on a status line, or, where there is no terminal, if it takes long."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._status = output.people.status("") if output.people.is_terminal and not output.quiet else None
        self._later: asyncio.TimerHandle | None = None

    def begin(self, check: Check) -> None:
        """This check runs now."""
        self.pause()
        words = f"{check.title} ... (at most {check.limit:g} s)"
        if self._status is not None:
            self._status.update(words)
            self._status.start()
        else:
            self._later = asyncio.get_running_loop().call_later(PATIENCE, self._output.say, words)

    def pause(self) -> None:
        """Nothing runs now."""
        if self._status is not None:
            self._status.stop()
        if self._later is not None:
            self._later.cancel()


@contextmanager
def _progress(output: Output) -> Iterator[_Progress]:
    progress = _Progress(output)
    try:
        yield progress
    finally:
        progress.pause()
