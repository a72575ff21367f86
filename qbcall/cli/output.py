"""Where things are told: people read standard error, programs standard output."""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

import qbcall
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.line import Line, stamp
from qbcall.cli.program_lines import ExitLine, HelloLine

NOTHING = logging.CRITICAL + 1
"""Above every level."""


class Output:
    """Both ends of one command."""

    def __init__(self, *, json: bool, quiet: bool) -> None:
        self.json = json
        self.quiet = quiet
        self.people = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        """Standard error."""
        self._errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self.on_broken: Callable[[], None] = lambda: None
        """Called once when nobody reads standard output any more."""
        self._broken = False

    # -- for programs ------------------------------------------------------------------------------------------------

    def line(self, line: Line | None) -> None:
        """Write a JSON line, if they are wanted."""
        if self.json and line is not None:
            self.write(line.model_dump_json())

    def write(self, text: str) -> None:
        """Write a line of data to standard output."""
        if self._broken:
            return
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._broken = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.on_broken()

    def hello(self) -> None:
        """The first line."""
        if self.json:
            names = ("aiortc", "slixmpp")
            versions = {"qbcall": qbcall.__version__, "python": platform.python_version()}
            versions |= {name: version(name) for name in names}
            self.line(HelloLine.model_validate(stamp(time.monotonic()) | versions))

    def exit(self, code: ExitCode, error: str | None) -> None:
        """The last line; people read the error too."""
        if error is not None:
            self._errors.print(f"[bold red]error:[/] {_escaped(error)}")
        self.line(ExitLine.model_validate({**stamp(time.monotonic()), "code": code, "error": error}))

    # -- for people --------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Tell people."""
        if not self.quiet:  # the console would form the text first
            self.people.print(_escaped(text))

    def verdict(self, word: str, style: str, text: str) -> None:
        """Tell people, with a coloured word before it."""
        self.people.print(f"[{style}]{_escaped(word)}[/] {_escaped(text)}")

    @contextmanager
    def logging(self, level: str) -> Iterator[None]:
        """Log to standard error: qbcall from this level on, what it uses from `warning` on; slixmpp logs stanzas."""
        reporter = RichHandler(console=self._errors, show_path=False, markup=False, rich_tracebacks=False)
        least = NOTHING if level == "nothing" else logging.getLevelNamesMapping()[level.upper()]
        reporter.setLevel(max(least, logging.ERROR) if self.quiet else least)
        root, ours = logging.getLogger(), logging.getLogger("qbcall")
        logging.getLogger("slixmpp").setLevel(NOTHING)
        before = ours.level
        root.addHandler(reporter)
        ours.setLevel(least)
        try:
            yield
        finally:
            ours.setLevel(before)
            root.removeHandler(reporter)


def _escaped(text: str) -> str:
    """Text as it is: square brackets and control characters of others mean nothing."""
    shown = "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)
    return escape(shown)
