"""`qbcall devserver`: a private chat server on this machine."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from qbcall.cli import frame
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.frame import Setting
from qbcall.cli.line import stamp
from qbcall.cli.options import Common, with_common
from qbcall.cli.program_lines import DevServerLine

NAMES = ("alice", "bob", "carol", "dave")


@with_common
def devserver(
    common: Common,
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Accounts; default: four.")] = None,
) -> None:
    """Run a private chat server on loopback until Ctrl-C; needs Prosody."""

    async def work(setting: Setting) -> ExitCode:
        from qbcall.devserver import DevServer  # noqa: PLC0415 - only this command needs it

        async with DevServer(accounts=tuple(names or NAMES)) as server:
            accounts = {f"{name}@localhost": secret for name, secret in server.accounts.items()}
            address = f"{server.host}:{server.port}"
            signals = {"signals": server.signals_url, "signals_token": server.signals_token}
            ready = {**stamp(time.monotonic()), "server": address, "accounts": accounts, **signals}
            setting.output.line(DevServerLine.model_validate(ready))
            setting.output.say(introduction(address, accounts))
            setting.output.say(f"signals into calls: POST {server.signals_url}/<call>, token {server.signals_token}")
            await asyncio.Event().wait()
        return ExitCode.OK

    frame.run(common, frame.asynchronous(common, work))


def introduction(address: str, accounts: dict[str, str]) -> str:
    """What to type in other terminals."""
    first, second = [*accounts, *accounts][:2]
    environment = f"export QBCALL_SERVER={address} QBCALL_ACCOUNT__PLAINTEXT=true QBCALL_ICE__ADDRESSES=127.0.0.1"
    return "\n".join(
        [
            "accounts, each with its password:",
            *(f"  {jid}  {secret}" for jid, secret in accounts.items()),
            "in each of two other terminals:",
            f"  {environment}",
            "then in one:",
            f"  QBCALL_PASSWORD={accounts[second]} qbcall answer --jid {second}",
            "and in the other:",
            f"  QBCALL_PASSWORD={accounts[first]} qbcall call {second} --jid {first} --duration 10",
            "Ctrl-C stops the server",
        ]
    )
