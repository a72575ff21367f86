"""Writes a report of each call of a command, as `--report FILE` says."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from qbcall.cli.output import Output
from qbcall.core import events as ev
from qbcall.errors import SinkError
from qbcall.report import CallReport, check_path, write_document
from qbcall.report.files import numbered

if TYPE_CHECKING:
    from qbcall.call import Call
    from qbcall.client import Client

log = logging.getLogger("qbcall.cli")


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
        self._calls = 0
        self._open: dict[Call, tuple[Path, CallReport]] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._failures: list[SinkError] = []
        client.subscriptions.on(ev.CallEvent, self._hear, where=lambda event: not isinstance(event, ev.CallRefused))

    async def finish(self) -> None:
        """Write what is not written yet, whatever became of the calls.

        Raises:
            SinkError: one could not be written, now or before.
        """
        await asyncio.gather(*self._writing)
        for call in tuple(self._open):
            await self._write(call)
        if self._failures:
            raise SinkError("; ".join(map(str, self._failures)))

    def _hear(self, event: ev.CallEvent) -> None:
        call = self._client.calls.get(event.call)
        if call is None:
            return
        if call not in self._open and call.end_reason is None:
            self._calls += 1
            self._open[call] = numbered(self._path, self._calls), CallReport(call)
        if isinstance(event, ev.CallClosed) and call in self._open:
            task = asyncio.get_running_loop().create_task(self._write_at_end(call))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _write_at_end(self, call: Call) -> None:
        await call.ended()
        await self._write(call)

    async def _write(self, call: Call) -> None:
        path, report = self._open.pop(call)
        try:
            await asyncio.to_thread(write_document, report.document(), path)  # other calls go on
        except SinkError as error:
            self._fail(error)
        except Exception as error:  # whatever it is: the other reports are written
            log.debug("report %s", path, exc_info=True)
            self._fail(SinkError(f"report {path}: {error!r}"))
        else:
            self._output.say(f"report: {path}")

    def _fail(self, error: SinkError) -> None:
        self._failures.append(error)
        self._output.say(str(error))
