"""`qbcall config show` and `qbcall schema`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from qbcall.config import Config
from qbcall.config_layers import leaves
from tests.cli.conftest import Qbcall


def test_config_show_tells_every_value(qbcall: Qbcall) -> None:
    run = qbcall("config", "show")
    assert run.code == 0
    assert [line.partition(" = ")[0] for line in run.stdout.splitlines()] == list(leaves(Config))
    assert "call.answer_timeout = 45.0" in run.stdout.splitlines()
    assert "#" not in run.stdout


def test_config_show_origin_tells_the_layer(qbcall: Qbcall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "qbcall.toml").write_text("[call]\nmax_calls = 2")
    monkeypatch.setenv("QBCALL_LOG__LEVEL", "info")
    run = qbcall("config", "show", "--origin", "--server", "localhost:5222")
    told = dict(line.partition(" = ")[::2] for line in run.stdout.splitlines())
    assert [part.strip() for part in told["call.max_calls"].split("#")] == ["2", "qbcall.toml"]
    assert [part.strip() for part in told["log.level"].split("#")] == ['"info"', "environment QBCALL_LOG__LEVEL"]
    assert [part.strip() for part in told["account.server"].split("#")] == ['"localhost:5222"', "the command line"]
    assert [part.strip() for part in told["media.fps"].split("#")] == ["30", "default"]


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_config_show_masks_secrets(
    qbcall: Qbcall, password: str, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, ...]
) -> None:
    monkeypatch.setenv("QBCALL_ICE__SERVERS", f'[{{urls = "turn:localhost", credential = "{password}"}}]')
    run = qbcall("config", "show", "--origin", *extra)
    assert run.code == 0
    assert password not in run.stdout + run.stderr
    assert "turn:localhost" in run.stdout
    assert "**********" in run.stdout


def test_config_show_json_is_one_line_between_hello_and_exit(qbcall: Qbcall) -> None:
    run = qbcall("config", "show", "--json", "--jid", "ann@localhost")
    assert [line["type"] for line in run.lines] == ["hello", "config", "exit"]
    values = run.lines[1]["values"]
    origins = run.lines[1]["origins"]
    assert isinstance(values, dict)
    assert isinstance(origins, dict)
    assert values["account.jid"] == "ann@localhost"
    assert origins["account.jid"] == "the command line"
    assert set(values) == set(origins) == set(leaves(Config))


def test_schema_is_a_json_schema(qbcall: Qbcall) -> None:
    run = qbcall("schema")
    assert run.code == 0
    schema = json.loads(run.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert len(schema["oneOf"]) == len(schema["discriminator"]["mapping"])


def test_module_is_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "qbcall", "schema"], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)["title"] == "A line of qbcall"
