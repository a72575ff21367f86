"""`qbcall call`: place one call."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from qbcall.cli import frame, session
from qbcall.cli.exit_codes import ExitCode, Outcome
from qbcall.cli.frame import Setting
from qbcall.cli.options import (
    AnswerTimeoutOption,
    Common,
    DurationOption,
    ImpairOption,
    InfoOption,
    ReportOption,
    SinkOption,
    SourceOption,
    StatsOption,
    ToTheEndOption,
    given,
    parsed_info,
    with_common,
)
from qbcall.cli.sending import Delivery, Sending, parsed_letters
from qbcall.cli.verdict import Expectation, verdict
from qbcall.config import Config
from qbcall.core.engine import check_callees
from qbcall.core.model import CallMedia, MediaKind
from qbcall.dialects.quickblox import QuickBlox


@with_common
def call(
    common: Common,
    *,
    users: Annotated[
        list[str], typer.Argument(metavar="USER...", help="JIDs, or user ids of the same QuickBlox app.")
    ],
    audio: Annotated[bool, typer.Option("--audio", help="Sound only.")] = False,
    video: Annotated[bool, typer.Option("--video", help="Picture and sound; the default.")] = False,
    source: SourceOption = None,
    sink: SinkOption = None,
    info: InfoOption = None,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            "--signal", metavar="TYPE=DATA", help="Send to all when everybody has answered; may be repeated."
        ),
    ] = None,
    duration: DurationOption = None,
    to_the_end: ToTheEndOption = False,
    answer_timeout: AnswerTimeoutOption = None,
    stats: StatsOption = None,
    report: ReportOption = None,
    impair: ImpairOption = None,
    mute: Annotated[list[MediaKind] | None, typer.Option("--mute", help="Start muted; may be repeated.")] = None,
    expect: Annotated[
        Outcome | None, typer.Option("--expect", help="Exit 0 for this outcome, 11 for others.")
    ] = None,
) -> None:
    """Call one to three users, and stay until the call is over."""
    if audio and video:
        raise typer.BadParameter("--audio and --video exclude each other")
    media = CallMedia.AUDIO if audio else CallMedia.VIDEO

    def body(setting: Setting) -> ExitCode:
        check_users(setting.config, users)
        return frame.online(common, work)(setting)

    async def work(setting: Setting) -> ExitCode:
        words, letters = parsed_info(info), parsed_letters(signal)
        async with session.online(setting, report=report) as client:
            placed = await client.call(users, media=media, info=words, mute=mute or ())
            sending = Sending(placed, Delivery(), setting.output)
            async with asyncio.TaskGroup() as group:
                group.create_task(sending.send_when_answered(letters))
                await session.until_over(placed, duration, to_the_end=to_the_end)
        code = verdict(placed, Expectation(expect), setting.output)
        if code is ExitCode.OK:
            sending.close()
        return code

    flags = {
        "call.answer_timeout": answer_timeout,
        "call.stats_interval": stats,
        "ice.impair": impair,
        "media.source": source,
        "media.sinks": sink,
    }
    frame.run(common, body, given(flags))


def check_users(config: Config, names: list[str]) -> None:
    """See, before anything is sent, whether these users can be called.

    Raises:
        InvalidArgument: one is no user, is oneself, or is named twice; or there are too many.
    """
    callees = tuple(QuickBlox(config.jid).user(name) for name in names)
    check_callees(config.jid, callees, config.call.max_participants)
