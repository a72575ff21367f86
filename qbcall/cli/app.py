"""All commands, and what is done with what typer raises."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import typer
from typer.core import TyperGroup

from qbcall.cli.answer import answer
from qbcall.cli.bot import bot
from qbcall.cli.call import call
from qbcall.cli.demo import demo
from qbcall.cli.devices import devices
from qbcall.cli.devserver import devserver
from qbcall.cli.doctor import doctor
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.output import Output
from qbcall.cli.schema import schema
from qbcall.cli.show import show
from qbcall.cli.signal import listen, send

app = typer.Typer(
    name="qbcall",
    help="Audio and video calls over XMPP. People read standard error, programs read JSON lines on standard output.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (call, answer, bot, demo, doctor, devserver, devices, schema):
    app.command()(command)
config = typer.Typer(name="config", help="The configuration.", no_args_is_help=True)
config.command("show")(show)
config.callback()(lambda: None)  # keeps `show` a command although it is the only one
app.add_typer(config)
signal = typer.Typer(name="signal", help="Typed signals.", no_args_is_help=True)
for command in (send, listen):
    signal.command()(command)
app.add_typer(signal)


def execute(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code."""
    try:
        return int(app(_with_optional_reason(arguments), prog_name="qbcall", standalone_mode=False) or ExitCode.OK)
    except typer.TyperException as error:
        # Raised before a command began: it has told nothing yet.
        output = Output(json="--json" in arguments, quiet=False)
        output.hello()
        message = error.format_message()
        output.exit(ExitCode.USAGE, f"{message} (see: qbcall {_command(arguments)}--help)" if message else None)
        return ExitCode.USAGE
    except typer.Abort:
        return ExitCode.INTERRUPTED


def _command(arguments: Sequence[str]) -> str:
    """The names of the command, as far as they are known, each with a space behind it."""
    known = typer.main.get_command(app)
    names = ""
    for argument in arguments:
        if not isinstance(known, TyperGroup) or argument not in known.commands:
            break
        known = known.commands[argument]
        names += f"{argument} "
    return names


def _with_optional_reason(arguments: Sequence[str]) -> list[str]:
    """`--reject` may have no value, which typer has no words for: an empty one means the same."""
    return [
        "--reject=" if argument == "--reject" and after.startswith("-") else argument
        for argument, after in pairwise([*arguments, "-"])
    ]
