"""What is wrong is told before anything is sent, with the right exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Qbcall

ME = ("--jid", "ann@localhost")
QB = ("--jid", "1-77@localhost")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("call",), "USER"),
        (("cal",), "No such command 'cal'"),
        (("call", "bob@localhost", "--sorce", "test"), "--sorce"),
        (("call", "bob@localhost", "--audio", "--video"), "--audio and --video exclude each other"),
        (("call", "bob@localhost", "--expect", "great"), "--expect"),
        (("call", "bob@localhost", "--duration", "long"), "--duration"),
        (("call", "bob@localhost", "--duration", "-1"), "--duration"),
        (("call", "bob@localhost", "--mute", "smell"), "--mute"),
        (("call", "bob@localhost", "--password", "hunter2"), "every user of this machine can read the arguments"),
        (("answer", "--once", "--count", "2"), "--once and --count exclude each other"),
        (("answer", "--count", "0"), "--count"),
        (("answer", "--expect", "answered"), "--expect needs --once"),
        (("config",), ""),
    ],
)
def test_command_that_cannot_be_understood_exits_2(qbcall: Qbcall, arguments: tuple[str, ...], words: str) -> None:
    run = qbcall(*arguments)
    assert run.code == 2
    assert words in run.stderr
    assert "hunter2" not in run.stderr


@pytest.mark.parametrize("command", [("call", "bob@localhost"), ("answer",), ("bot", "qbcall.bots:Echo"), ("demo",)])
def test_impairment_that_means_none_exits_2(qbcall: Qbcall, command: tuple[str, ...]) -> None:
    run = qbcall(*command, "--impair", "loss=2%,delay=11s")
    assert (run.code, run.stdout) == (2, "")
    assert "--impair" in run.stderr
    assert "delay must be 0ms to 10s, not '11s'" in run.stderr


def test_impairment_in_the_environment_that_means_none_exits_3(
    qbcall: Qbcall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QBCALL_ICE__IMPAIR", "loss=7")
    run = qbcall("answer", *ME)
    assert run.code == 3
    assert "ice.impair: loss must be 0% to 100%, or 0 to 1, not '7'" in run.stderr


@pytest.mark.parametrize(("impair", "told"), [("loss=2%", r"loss=2%,seed=\d+"), ("loss=2%,seed=7", "loss=2%,seed=7")])
@pytest.mark.usefixtures("password")
def test_impairment_is_told_with_its_seed_before_anything_is_sent(qbcall: Qbcall, impair: str, told: str) -> None:
    run = qbcall("answer", *ME, "--server", "127.0.0.1:1", "--plaintext", "--impair", impair)
    assert run.code == 5, "nobody is there"
    assert re.match(f"the network of calls is made bad: {told}\n", run.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("call", "ann@localhost", *ME), "callees: ann@localhost is the caller"),
        (("call", "bob@localhost", "BOB@localhost", *ME), "callees: bob@localhost is named twice"),
        (("call", "2", "3", "4", "5", *QB), "5 participants"),
        (("call", "2", "2-77@localhost", *QB), "2-77@localhost is named twice"),
        (("call", "1", *QB), "1-77@localhost is the caller"),
        (("call", "bob", *ME), "'bob' is not a JID"),
        (("call", "bob@localhost/phone", *ME), "leave out '/'"),
        (("call", "2", *ME), "'2'"),
    ],
)
def test_users_that_cannot_be_called_exit_2(qbcall: Qbcall, arguments: tuple[str, ...], words: str) -> None:
    run = qbcall(*arguments, "--json")
    assert run.code == 2
    assert words in run.stderr
    assert run.lines[-1]["code"] == 2
    assert words in str(run.lines[-1]["error"])


@pytest.mark.parametrize("words", ["topic", "=x", ""])
@pytest.mark.usefixtures("password")
def test_info_that_is_no_pair_exits_2(qbcall: Qbcall, words: str) -> None:
    run = qbcall("call", "bob@localhost", *ME, "--info", words)
    assert (run.code, run.stdout) == (2, "")
    assert f"--info must be KEY=VALUE, not {words!r}" in run.stderr


@pytest.mark.usefixtures("password")
def test_info_given_twice_exits_2(qbcall: Qbcall) -> None:
    run = qbcall("answer", *ME, "--info", "a=1", "--info", "a=2")
    assert run.code == 2
    assert "'a' is given twice" in run.stderr


def test_usage_error_with_json_has_first_and_last_line(qbcall: Qbcall) -> None:
    run = qbcall("call", "--json")
    assert run.code == 2
    assert [line["type"] for line in run.lines] == ["hello", "exit"]
    assert "USER" in str(run.lines[-1]["error"])


def test_no_command_shows_help(qbcall: Qbcall) -> None:
    run = qbcall()
    assert run.code == 2
    for name in ("call", "answer", "bot", "config", "schema"):
        assert name in run.stdout + run.stderr


def test_help_exits_0(qbcall: Qbcall) -> None:
    run = qbcall("call", "--help")
    assert run.code == 0
    assert "--answer-timeout" in run.stdout
    assert "--password-file" in run.stdout
    assert "--password " not in run.stdout


def test_no_jid_exits_3(qbcall: Qbcall) -> None:
    run = qbcall("answer")
    assert run.code == 3
    assert "account.jid: is not set" in run.stderr


def test_no_password_exits_3(qbcall: Qbcall) -> None:
    run = qbcall("answer", *ME, "--json")
    assert run.code == 3
    assert "no password for ann@localhost" in str(run.lines[-1]["error"])


def test_unreadable_password_file_exits_3(qbcall: Qbcall) -> None:
    run = qbcall("answer", *ME, "--password-file", "gone")
    assert run.code == 3
    assert "gone" in run.stderr


def test_every_problem_of_the_configuration_is_told_at_once(qbcall: Qbcall, tmp_path: Path) -> None:
    (tmp_path / "qbcall.toml").write_text("[call]\nanswer_timeot = 3\nmax_calls = 'many'\n[link]\nbackoff = 1000")
    run = qbcall("call", "bob@localhost", *ME, "--answer-timeout", "5", "--json")
    assert run.code == 3
    error = str(run.lines[-1]["error"])
    for words in (
        "call.answer_timeot: unknown key; did you mean 'answer_timeout'?",
        "call.max_calls: must be a whole number, not 'many'",
        "link.backoff: must be at most 60 s, not 1000",
        "call.answer_timeout: must be equal to or greater than 10 s, not 5 (from the command line)",
    ):
        assert words in error
        assert words in run.stderr


def test_missing_configuration_file_exits_3(qbcall: Qbcall) -> None:
    run = qbcall("config", "show", "--config", "gone.toml")
    assert run.code == 3
    assert "gone.toml" in run.stderr


def test_unknown_account_exits_3(qbcall: Qbcall, tmp_path: Path) -> None:
    (tmp_path / "qbcall.toml").write_text("[account.work]\njid = 'ann@work'")
    run = qbcall("config", "show", "--account", "wrok")
    assert run.code == 3
    assert "did you mean 'work'?" in run.stderr
