"""The lines about the program itself: who writes, how it ended, and what commands without a call tell."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.line import Line
from qbcall.doctor.results import Status


class HelloLine(Line):
    """The first line: who writes."""

    type: Literal["hello"] = "hello"
    qbcall: str
    python: str
    aiortc: str
    slixmpp: str


class ExitLine(Line):
    """The last line, whatever happened."""

    type: Literal["exit"] = "exit"
    code: ExitCode
    error: str | None = None
    """What went wrong, for people."""


class DeviceLine(Line):
    """A device of this machine, or a kind of which there is none."""

    type: Literal["device"] = "device"
    kind: str
    name: str
    """For people; empty: there is none."""
    spec: str
    """As `--source` or `--sink` takes it; empty: it cannot be used."""
    missing: str
    """What is missing to use it; empty: nothing."""


class ConfigLine(Line):
    """The configuration in force; secrets are masked."""

    type: Literal["config"] = "config"
    values: dict[str, JsonValue]
    """By dotted path."""
    origins: dict[str, str]
    """By dotted path: the layer that set it."""


class DevServerLine(Line):
    """The development server runs."""

    type: Literal["devserver.ready"] = "devserver.ready"
    server: str
    """`HOST:PORT`."""
    accounts: dict[str, str]
    """Bare JID -> password."""
    signals: str
    """URL for signals of a web service: `POST <signals>/<call>[/<user>]`."""
    signals_token: str
    """The bearer token that it shows."""


class DoctorCheckLine(Line):
    """What one check of `qbcall doctor` found."""

    type: Literal["doctor.check"] = "doctor.check"
    check: str
    """Name of the check, e.g. `tls` or `turn-udp`; there may be several lines of one."""
    subject: str
    """What was checked, e.g. the URL of a server; empty: there is only one."""
    status: Status
    detail: str
    """For people: what was found, what is wrong, why it was skipped."""
    remedy: str
    """For people: what to do about a warning or failure; empty: nothing."""
    ms: float | None
    """Milliseconds, where a time is what the check is about; of `clock`: how far this machine is ahead."""


class DoctorSummaryLine(Line):
    """How all checks of `qbcall doctor` went."""

    type: Literal["doctor.summary"] = "doctor.summary"
    counts: dict[Status, int]
