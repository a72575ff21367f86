"""The options that all commands have, and what several of them have in common."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec, get_type_hints

import typer

from qbcall.core.impairment_text import parse_impairment
from qbcall.errors import InvalidArgument
from qbcall.report.files import ending

P = ParamSpec("P")


def _refuse_password(value: str | None) -> None:
    if value is not None:
        raise typer.BadParameter(
            "every user of this machine can read the arguments of a program; "
            "use --password-file, --password-fd, QBCALL_PASSWORD or a keyring"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every command can be told."""

    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="NAME", help="Use the table account.NAME of the configuration."),
    ] = None
    jid: Annotated[str | None, typer.Option("--jid", metavar="JID", help="Bare JID of the account.")] = None
    server: Annotated[
        str | None, typer.Option("--server", metavar="HOST:PORT", help="Chat server; default: the JID's domain.")
    ] = None
    plaintext: Annotated[
        bool, typer.Option("--plaintext", help="Log in without TLS; for servers on loopback only.")
    ] = False
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="Its first line is the password.")
    ] = None
    password_fd: Annotated[
        int | None, typer.Option("--password-fd", metavar="N", min=0, help="Read the password from this descriptor.")
    ] = None
    password: Annotated[str | None, typer.Option("--password", hidden=True, callback=_refuse_password)] = None
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning, error or nothing.")
    ] = None
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", min=0.0, help="Give up after S seconds (exit code 124).")
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell people nothing but errors.")] = False
    json: Annotated[bool, typer.Option("--json", help="Write JSON lines to standard output.")] = False

    def values(self) -> dict[str, object]:
        """What was given, by dotted path of the configuration."""
        return given(
            {
                "account.jid": self.jid,
                "account.server": self.server,
                "account.plaintext": self.plaintext or None,
                "account.password_file": self.password_file,
                "log.level": self.log_level,
            }
        )


def given(values: Mapping[str, object]) -> dict[str, object]:
    """Those that were given at all."""
    return {path: value for path, value in values.items() if value not in (None, [], ())}


def with_common(command: Callable[Concatenate[Common, P], None]) -> Callable[..., None]:
    """Give a command, whose first parameter is a `Common`, the options of `Common` in its place."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    hints = get_type_hints(Common, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default if field.default is not MISSING else inspect.Parameter.empty,
            annotation=hints[field.name],
        )
        for field in fields(Common)
    ]

    @functools.wraps(command)
    def outer(**options: object) -> None:
        common = Common(**{field.name: options.pop(field.name) for field in fields(Common)})  # type: ignore[arg-type]  # typer checked them
        command(common, **options)  # type: ignore[arg-type, call-arg]  # as above

    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    outer.__signature__ = inspect.Signature([*keywords, *shared])  # type: ignore[attr-defined]  # functions may have it
    outer.__annotations__ = {parameter.name: parameter.annotation for parameter in [*keywords, *shared]}
    return outer


InfoOption = Annotated[
    list[str] | None, typer.Option("--info", metavar="KEY=VALUE", help="Tell the other side; may be repeated.")
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="SPEC",
        help="Send test, file:PATH, camera, screen, mic, pcm:PATH, silence or none; camera+mic joins two.",
    ),
]
SinkOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sink",
        metavar="SPEC",
        help="Received media to null, record:DIR, snapshot:DIR, window, speaker, pcm:PATH or verify; repeatable.",
    ),
]
DurationOption = Annotated[
    float | None,
    typer.Option("--duration", metavar="S", min=0.0, help="Hang up S seconds after media was connected."),
]
ToTheEndOption = Annotated[
    bool, typer.Option("--to-the-end", help="Hang up when the source is over: a pipe, or a file with loop=no.")
]
AnswerTimeoutOption = Annotated[
    float | None, typer.Option("--answer-timeout", metavar="S", help="How long a callee may take, 10 to 60 s.")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="PATTERN", help="Who may ring: any, roster, jid:PATTERN, domain:PATTERN; repeatable."
    ),
]
StatsOption = Annotated[
    float | None, typer.Option("--stats", metavar="S", help="Tell statistics every S seconds; 0: never.")
]


def _check_report(value: Path | None) -> Path | None:
    if value is not None:
        try:
            ending(value)
        except InvalidArgument as error:
            raise typer.BadParameter(str(error)) from None
    return value


ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        callback=_check_report,
        help="At the end, write what was measured: a page with plots (.html), or the same as JSON (.json).",
    ),
]


def _check_impair(value: str | None) -> str | None:
    if value:
        try:
            parse_impairment(value)
        except InvalidArgument as error:
            raise typer.BadParameter(str(error)) from None
    return value


ImpairOption = Annotated[
    str | None,
    typer.Option(
        "--impair",
        metavar="SPEC",
        callback=_check_impair,
        help="Make the network of calls bad: loss=5%,delay=80ms,jitter=20ms,rate=300k,blackout=3s@10s,seed=7.",
    ),
]


def parsed_info(texts: Sequence[str] | None) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping.

    Raises:
        InvalidArgument: no `=`, no key, or a key twice.
    """
    info: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidArgument(f"--info must be KEY=VALUE, not {text!r}")
        if key in info:
            raise InvalidArgument(f"--info: {key!r} is given twice")
        info[key] = value
    return info
