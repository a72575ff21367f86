"""Writes a report of each call of a command, as `--report FILE` says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qbcall.cli.output import Output
from qbcall.core import events as ev
from qbcall.errors import SinkError
from qbcall.report import CallReport, check_path
from qbcall.report.files import numbered

if TYPE_CHECKING:
    from qbcall.client import Client


class Reports:
    """The reports of all calls of a client: those after the first have a number in the name of their file."""

    def __init__(self, client: Client, path: Path, output: Output) -> None:
        """Begin to listen.

        Raises:
            InvalidArgument, SinkError: no report can be written there.
        """
        check_path(path)
        self._client = client
        self._path = path
        self._output = output
        self._reports: dict[int, CallReport] = {}
        client.subscriptions.on(ev.CallEvent, self._hear, where=lambda event: not isinstance(event, ev.CallRefused))

    def write(self) -> None:
        """Write all, whatever became of the calls, and tell people where.

        Raises:
            SinkError: one cannot be written; the others are.
        """
        failures: list[SinkError] = []
        for number, report in enumerate(self._reports.values(), 1):
            path = numbered(self._path, number)
            try:
                report.write(path)
            except SinkError as error:
                failures.append(error)
            else:
                self._output.say(f"report: {path}")
        if failures:
            raise SinkError("; ".join(map(str, failures)))

    def _hear(self, event: ev.CallEvent) -> None:
        call = self._client.calls.get(event.call)
        if call is not None and id(call) not in self._reports:
            self._reports[id(call)] = CallReport(call)
