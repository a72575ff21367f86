"""Commands of the command line, run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from qbcall.cli import lines, main

Line = dict[str, object]
VALIDATOR = jsonschema.Draft202012Validator(lines.schema())


@dataclass(frozen=True)
class Run:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[Line]:
        """Its JSON lines; each was checked against the schema, the first and last are what they must be."""
        return checked_lines(self.stdout)


def checked_lines(text: str) -> list[Line]:
    """The JSON lines in a text."""
    found: list[Line] = [json.loads(line) for line in text.splitlines()]
    for line in found:
        VALIDATOR.validate(line)
    assert [line["type"] for line in found].count("hello") == 1
    assert found[0]["type"] == "hello"
    assert [line["type"] for line in found].count("exit") == 1
    assert found[-1]["type"] == "exit"
    return found


Qbcall = Callable[..., Run]


@pytest.fixture
def qbcall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Qbcall:
    """Runs a command in an empty directory, with no configuration but the arguments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Run:
        code = main(arguments)
        told = capfd.readouterr()
        return Run(code, told.out, told.err)

    return run


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    """A password in the environment."""
    monkeypatch.setenv("QBCALL_PASSWORD", "hunter2")
    return "hunter2"


def types(found: Sequence[Line]) -> list[object]:
    """The types of the lines."""
    return [line["type"] for line in found]
