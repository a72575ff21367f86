"""`qbcall demo`: four participants call each other on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qbcall.cli import frame, session
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.frame import Setting
from qbcall.cli.options import Common, ImpairOption, given, with_common


@with_common
def demo(
    common: Common,
    *,
    source: Annotated[
        Path | None, typer.Option("--source", metavar="FILE", help="Media file that the first participant shows.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="In one process, without a chat server.")] = False,
    duration: Annotated[float, typer.Option("--duration", metavar="S", min=1.0, help="Seconds of the call.")] = 6.0,
    impair: ImpairOption = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="For contact-sheet.png and summary.json.")] = Path(
        "demo"
    ),
) -> None:
    """Four participants call each other on this machine; everything they receive is checked."""

    async def work(setting: Setting) -> ExitCode:
        from qbcall import demo as play  # noqa: PLC0415 - a second of imports that `--help` does not need

        people = setting.output.people
        file = None if source is None else str(source)
        session.tell_impairment(setting)
        bad = setting.config.ice.impair
        good = await play.run(source=file, offline=offline, duration=duration, out=out, people=people, impair=bad)
        setting.output.say(f"see {out / 'contact-sheet.png'} and {out / 'summary.json'}")
        if not good:
            setting.output.say("not every direction delivered what was sent")
        return ExitCode.OK if good else ExitCode.EXPECTATION

    frame.run(common, frame.asynchronous(common, work), given({"ice.impair": impair}))
