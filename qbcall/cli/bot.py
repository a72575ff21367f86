"""`qbcall bot`: run a bot."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from qbcall.cli import frame, session
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.frame import Setting
from qbcall.cli.options import (
    Common,
    ImpairOption,
    ReportOption,
    SinkOption,
    SourceOption,
    StatsOption,
    given,
    with_common,
)
from qbcall.errors import ExpectationFailed


@with_common
def bot(
    common: Common,
    *,
    name: Annotated[str, typer.Argument(metavar="MODULE:OBJECT", help="E.g. qbcall.bots:Echo.")],
    calls: Annotated[int | None, typer.Option("--calls", metavar="N", min=1, help="Leave after N calls.")] = None,
    source: SourceOption = None,
    sink: SinkOption = None,
    stats: StatsOption = None,
    report: ReportOption = None,
    impair: ImpairOption = None,
) -> None:
    """Run a bot of qbcall.bots, or of a module in this directory, until it is done."""

    async def work(setting: Setting) -> ExitCode:
        from qbcall import bots  # noqa: PLC0415 - a second of imports that `--help` does not need

        sys.path.insert(0, "")
        wanted = bots.load(name)
        async with session.online(setting, report=report) as client:
            setting.output.say(f"{name} runs; call it with: qbcall call {client.user}")
            try:
                await bots.serve(client, wanted, calls=calls)
            except ExpectationFailed as failed:
                setting.output.say(str(failed))
                return ExitCode.EXPECTATION
        return ExitCode.OK

    flags = {"call.stats_interval": stats, "ice.impair": impair, "media.source": source, "media.sinks": sink}
    frame.run(common, frame.online(common, work), given(flags))
