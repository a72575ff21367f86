"""A client of the command line: online, and everything it hears is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qbcall.cli.frame import Setting
from qbcall.cli.lines import line_of
from qbcall.cli.output import Output
from qbcall.cli.people import described, status
from qbcall.cli.reports import Reports
from qbcall.cli.summary import outcome, summary
from qbcall.core import events as ev
from qbcall.errors import CallFailed, InvalidArgument

if TYPE_CHECKING:
    from qbcall.call import Call
    from qbcall.client import Client
    from qbcall.core.model import EndReason
    from qbcall.media.outgoing import Local

LAST_WORD = 0.3
"""Seconds that the last of what is sent takes to be heard, before a hang-up ends it."""
REFRESH = 0.5
"""Seconds between two updates of the status line."""


@asynccontextmanager
async def online(
    setting: Setting, wanted: Callable[[ev.Event], bool] = lambda event: True, report: Path | None = None
) -> AsyncIterator[Client]:
    """Log in; everything that is wanted is told until the client is left. Then reports are written.

    Raises:
        AuthError, ServerUnreachable, InsecureLink: the login failed.
        InvalidArgument: JSON lines and sound would go to the same place.
        SinkError: no report can be written there; before the login, or at the end.
    """
    from qbcall.client import Client  # noqa: PLC0415 - a second of imports that `--help` does not need

    check_standard_output(setting)
    tell_impairment(setting)
    client = Client(setting.config)
    teller = _Teller(client, setting.output)
    client.subscriptions.on(ev.Event, teller.tell, where=wanted)
    reports = Reports(client, report, setting.output) if report else None
    showing = asyncio.ensure_future(_show_status(client, setting))
    try:
        async with client:
            yield client
    finally:
        await teller.finish()
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing
        if reports is not None:
            await reports.finish()


def check_standard_output(setting: Setting) -> None:
    """Standard output is for one thing only: JSON lines, or what a sink writes.

    Raises:
        InvalidArgument: it would be for two.
    """
    from qbcall.media.sinks import takes_standard_output  # noqa: PLC0415 - as above

    taking = [spec for spec in setting.config.media.sinks if takes_standard_output(spec)]
    if len(taking) + setting.output.json > 1:
        other = "--json" if setting.output.json else taking[1]
        raise InvalidArgument(f"{taking[0]} and {other} cannot share standard output; try pcm:/dev/fd/3 with 3>FILE")


def tell_impairment(setting: Setting) -> None:
    """How bad the network is made, with the seed that repeats it."""
    if setting.config.ice.impair:
        setting.output.say(f"the network of calls is made bad: {setting.config.ice.impair}")


async def until_over(call: Call, duration: float | None, *, to_the_end: bool = False) -> None:
    """Wait for the end of a call.

    Args:
        call: is waited for.
        duration: hang up that many seconds after media was connected.
        to_the_end: hang up when all that this side sends was sent.
    """
    with suppress(CallFailed):
        await call.connected()
    ended = asyncio.ensure_future(call.ended())
    waiting: list[asyncio.Future[EndReason] | asyncio.Future[None]] = [ended]
    if to_the_end and call.local is not None:
        waiting.append(asyncio.ensure_future(_said(call.local)))
    try:
        done, _ = await asyncio.wait(waiting, timeout=duration, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
    if ended not in done:
        await call.hang_up()
        await call.ended()


async def _said(local: Local) -> None:
    """Wait until all was sent, and heard."""
    await local.over()
    await asyncio.sleep(LAST_WORD)


class _Teller:
    """Tells every event as a line to programs and a sentence to people."""

    def __init__(self, client: Client, output: Output) -> None:
        self._client = client
        self._output = output
        self._ending: set[asyncio.Task[None]] = set()

    def tell(self, event: ev.Event) -> None:
        self._output.line(line_of(event, asyncio.get_running_loop().time()))
        sentence = described(event)
        if sentence is not None and self._client.device:  # a login that fails is told as an error, by the frame
            self._output.say(sentence)
        if isinstance(event, ev.CallClosed):
            call = self._client.calls[event.call]
            self._ending.add(asyncio.get_running_loop().create_task(self._tell_end(call)))

    async def finish(self) -> None:
        """Wait until the end of every call was told."""
        await asyncio.gather(*self._ending)

    async def _tell_end(self, call: Call) -> None:
        await call.ended()
        line = summary(call, asyncio.get_running_loop().time())
        self._output.line(line)
        seconds = f", connected for {line.connected:.1f} s" if line.connected is not None else ""
        self._output.say(f"call over: {outcome(call).value}{seconds}")


async def _show_status(client: Client, setting: Setting) -> None:
    """A status line for people, while there is a terminal."""
    if not setting.output.people.is_terminal or setting.output.quiet:
        return
    with setting.output.people.status("logging in ...") as shown:
        while True:
            await asyncio.sleep(REFRESH)
            shown.update(status(client))
