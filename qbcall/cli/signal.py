"""`qbcall signal send` and `qbcall signal listen`: typed signals, in calls without media."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qbcall.cli import frame, session
from qbcall.cli.call import check_users
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.frame import Setting
from qbcall.cli.options import AllowOption, AnswerTimeoutOption, Common, InfoOption, given, parsed_info, with_common
from qbcall.cli.sending import Delivery, Letter, Sending
from qbcall.cli.standard_input import Lines, text_of
from qbcall.config import Config
from qbcall.core import events as ev
from qbcall.core.model import CallMedia
from qbcall.dialects.message_text import MAX_DATA_BYTES, check_message
from qbcall.dialects.quickblox import QuickBlox
from qbcall.errors import CallFailed, InvalidArgument, InvalidState

if TYPE_CHECKING:
    from qbcall.client import Client

NO_SOURCE, NO_SINKS = "none", ("null",)
TypeOption = Annotated[str, typer.Option("--type", metavar="T", help="At most 128 of A-Z, a-z, 0-9, '-', '_', '~'.")]


@with_common
def send(
    common: Common,
    *,
    users: Annotated[
        list[str], typer.Argument(metavar="USER...", help="JIDs, or user ids of the same QuickBlox app.")
    ],
    type: TypeOption = "",
    data: Annotated[
        str | None, typer.Option("--data", metavar="TEXT", help="At most 8192 bytes in UTF-8; default: nothing.")
    ] = None,
    data_file: Annotated[
        Path | None,
        typer.Option(
            "--data-file", metavar="FILE", exists=True, dir_okay=False, readable=True, help="Send its text."
        ),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Send each line of standard input as a signal, as it comes.")
    ] = False,
    to: Annotated[str | None, typer.Option("--to", metavar="USER", help="To this one only; default: to all.")] = None,
    ack: Annotated[
        bool, typer.Option("--ack", help="Wait until the applications of the users were told, not just the server.")
    ] = False,
    ttl: Annotated[float | None, typer.Option("--ttl", metavar="S", help="Give a signal up after S seconds.")] = None,
    no_retry: Annotated[
        bool, typer.Option("--no-retry", help="Fail at once while the chat link is away, do not wait for it.")
    ] = False,
    info: InfoOption = None,
    answer_timeout: AnswerTimeoutOption = None,
) -> None:
    """Call users without media, send typed signals when they have accepted, and hang up."""
    if sum((data is not None, data_file is not None, lines)) > 1:
        raise typer.BadParameter("--data, --data-file and --lines exclude each other")
    if ttl is not None and not (math.isfinite(ttl) and ttl > 0):
        raise typer.BadParameter(f"--ttl must be more than 0 s and finite, not {ttl:g}")

    def body(setting: Setting) -> ExitCode:
        check_users(setting.config, users)
        letter = Letter(type, (data or "") if data_file is None else _text_in(data_file))
        check_message(letter.type, letter.data)
        how = Delivery(to=_named(setting.config, users, to), retry=not no_retry, ack=ack, ttl=ttl)
        job = _Job(users, parsed_info(info), letter, how, lines)
        return frame.online(common, job.carry_out)(setting)

    frame.run(common, body, given({"call.answer_timeout": answer_timeout}))


@with_common
def listen(
    common: Common,
    *,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="Leave after N signals.")] = None,
    type: Annotated[
        str | None, typer.Option("--type", metavar="T", help="Tell and count only signals of this type.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", metavar="S", min=0.0, help="Leave after S seconds.")
    ] = None,
    info: InfoOption = None,
    allow: AllowOption = None,
) -> None:
    """Accept all calls, without media, and tell the signals that come, until Ctrl-C."""

    def body(setting: Setting) -> ExitCode:
        if type is not None:
            check_message(type, "")
        return frame.online(common, work)(setting)

    async def work(setting: Setting) -> ExitCode:
        words = parsed_info(info)

        def wanted(event: ev.Event) -> bool:
            return not isinstance(event, ev.Signal) or type is None or event.type == type

        async with session.online(setting, wanted) as client:

            @client.on(ev.IncomingCall)
            async def accept(event: ev.IncomingCall) -> None:
                with suppress(InvalidState):  # the caller was faster
                    await client.calls[event.call].accept(words, source=NO_SOURCE, sinks=NO_SINKS)

            setting.output.say(f"waiting for signals; send one with: qbcall signal send {client.user} --data TEXT")
            with suppress(TimeoutError):
                async with asyncio.timeout(duration):
                    await _heard(client, type, count)
        return ExitCode.OK

    frame.run(common, body, given({"call.allow": allow}))


CONNECT_PATIENCE = 2.0
"""Seconds until the media is there; a call that is hung up before is reported as one that failed."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What is sent to whom."""

    users: list[str]
    info: dict[str, str]
    letter: Letter
    how: Delivery
    lines: bool

    async def carry_out(self, setting: Setting) -> ExitCode:
        """Call, send, hang up.

        Raises:
            NotSent: a signal failed.
            CallFailed: nobody accepted.
        """
        async with (
            session.online(setting) as client,
            client.call(self.users, media=CallMedia.AUDIO, info=self.info, source=NO_SOURCE, sinks=NO_SINKS) as call,
        ):
            sending = Sending(call, self.how, setting.output)
            await sending.answered()
            if self.lines:
                await sending.send_lines(self.letter.type, Lines(MAX_DATA_BYTES))
            else:
                await sending.send([self.letter])
            setting.output.say(f"signals sent: {sending.sent}")
            sending.close()
            with suppress(TimeoutError, CallFailed):
                await call.connected(CONNECT_PATIENCE)
        return ExitCode.OK


async def _heard(client: Client, type: str | None, count: int | None) -> None:
    """Wait until so many signals of a type came.

    Raises:
        LinkError: the chat link is lost for good.
    """
    told = 0
    async for event in client.events(ev.Event):
        if isinstance(event, ev.LinkLost):
            raise event.error
        told += isinstance(event, ev.Signal) and type in (None, event.type)
        if told == count:
            return


def _text_in(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_DATA_BYTES + 1)
    if len(data) > MAX_DATA_BYTES:
        raise InvalidArgument(f"--data-file: {path} has more than {MAX_DATA_BYTES} bytes")
    return text_of(data)


def _named(config: Config, users: list[str], to: str | None) -> str | None:
    """One of the users that are called.

    Raises:
        InvalidArgument: it is none of them.
    """
    if to is None:
        return None
    dialect = QuickBlox(config.jid)
    callees = [dialect.user(user) for user in users]
    if dialect.user(to) not in callees:
        raise InvalidArgument(f"--to must be one of {', '.join(callees)}, not {to}")
    return dialect.user(to)
