"""`qbcall answer`: wait for calls, and accept or reject them."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from qbcall.cli import frame, session
from qbcall.cli.exit_codes import ExitCode, Outcome
from qbcall.cli.frame import Setting
from qbcall.cli.options import (
    AllowOption,
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
from qbcall.cli.verdict import Expectation, verdict
from qbcall.core import events as ev
from qbcall.core.model import Info, MediaKind
from qbcall.errors import InvalidState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from qbcall.call import Call
    from qbcall.client import Client

BUSY = "busy"
"""The reason that other clients know; other reasons are told in the user info."""


@with_common
def answer(
    common: Common,
    *,
    once: Annotated[bool, typer.Option("--once", help="Leave after one call; its outcome is the exit code.")] = False,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="Leave after N calls.")] = None,
    after: Annotated[float, typer.Option("--after", metavar="S", min=0.0, help="Let it ring for S seconds.")] = 0.0,
    reject: Annotated[
        str | None, typer.Option("--reject", metavar="[REASON]", help="Reject calls: busy, or any words.")
    ] = None,
    info: InfoOption = None,
    allow: AllowOption = None,
    duration: DurationOption = None,
    to_the_end: ToTheEndOption = False,
    source: SourceOption = None,
    sink: SinkOption = None,
    stats: StatsOption = None,
    report: ReportOption = None,
    impair: ImpairOption = None,
    mute: Annotated[list[MediaKind] | None, typer.Option("--mute", help="Start muted; may be repeated.")] = None,
    expect: Annotated[
        Outcome | None, typer.Option("--expect", help="With --once: exit 0 for this outcome, 11 for others.")
    ] = None,
) -> None:
    """Wait for calls and accept them, or reject them, until Ctrl-C."""
    if once and count is not None:
        raise typer.BadParameter("--once and --count exclude each other")
    if expect is not None and not once:
        raise typer.BadParameter("--expect needs --once")

    async def work(setting: Setting) -> ExitCode:
        words = parsed_info(info)
        plan = _Plan(
            after=after, reject=reject, info=words, duration=duration, to_the_end=to_the_end, mute=mute or ()
        )
        async with session.online(setting, report=report) as client:
            setting.output.say(f"waiting for calls; call it with: qbcall call {client.user}")
            served = await _serve(client, plan, 1 if once else count)
        return verdict(served[0], Expectation(expect), setting.output) if once else ExitCode.OK

    flags = {
        "call.allow": allow,
        "call.stats_interval": stats,
        "ice.impair": impair,
        "media.source": source,
        "media.sinks": sink,
    }
    frame.run(common, frame.online(common, work), given(flags))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is done with each call."""

    after: float
    reject: str | None
    info: Info
    duration: float | None
    to_the_end: bool
    mute: Collection[MediaKind]

    async def carry_out(self, call: Call) -> None:
        """Serve one call until it is over."""
        ended = asyncio.ensure_future(call.ended())
        await asyncio.wait([ended], timeout=self.after)
        try:
            if ended.done():
                return
            if self.reject is not None:
                reason = {"reason": self.reject} if self.reject not in ("", BUSY) else {}
                await call.reject({**reason, **self.info}, busy=self.reject == BUSY)
            else:
                await call.accept(self.info, mute=self.mute)
        except InvalidState:  # the caller was faster
            pass
        finally:
            ended.cancel()
        await session.until_over(call, self.duration, to_the_end=self.to_the_end)


async def _serve(client: Client, plan: _Plan, count: int | None) -> list[Call]:
    """Serve calls, side by side, until that many are over; while the last one lasts, others are told busy.

    Raises:
        ExceptionGroup: of a LinkError when nobody can call any more, or of what went wrong in a call.
    """
    taken: list[Call] = []
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_fail_when_lost(client, taken))
        async with asyncio.TaskGroup() as calls:
            async for call in client.incoming():
                taken.append(call)
                calls.create_task(plan.carry_out(call))
                if len(taken) == count:
                    client.policy = dataclasses.replace(client.policy, reject_when_busy=True)
                    break
        watching.cancel()
    return taken


async def _fail_when_lost(client: Client, taken: Sequence[Call]) -> None:
    """Raise when the chat link is lost for good and the calls that go on without it are over."""
    lost = await client.wait_for(ev.LinkLost)
    for call in taken:
        await call.ended()
    raise lost.error
