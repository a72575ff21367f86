"""Where the password comes from."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from qbcall.config import Config
from qbcall.errors import ConfigError
from qbcall.passwords import find_password


def nobody(_jid: str) -> str | None:
    """No keyring, no terminal."""
    return None


def config(**account: object) -> Config:
    return Config.of(account={"jid": "ann@host", **account})


def pipe_with(text: bytes) -> int:
    read, write = os.pipe()
    os.write(write, text)
    os.close(write)
    return read


def test_each_place_wins_over_the_ones_below(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from-file\nsecond line\n")
    file.chmod(0o600)
    asked: list[str] = []

    def ask(jid: str) -> str:
        asked.append(jid)
        return "from-terminal"

    with_both = config(password_file=file, password=SecretStr("from-environment"))
    with_environment = config(password=SecretStr("from-environment"))
    found = [
        find_password(with_both, fd=pipe_with(b"from-fd\r\n"), stored=lambda _: "from-keyring", ask=ask),
        find_password(with_both, stored=lambda _: "from-keyring", ask=ask),
        find_password(with_environment, stored=lambda _: "from-keyring", ask=ask),
        find_password(config(), stored=lambda _: "from-keyring", ask=ask),
        find_password(config(), stored=nobody, ask=ask),
    ]
    assert [secret.get_secret_value() for secret in found] == [
        "from-fd",
        "from-file",
        "from-environment",
        "from-keyring",
        "from-terminal",
    ]
    assert asked == ["ann@host"]


def test_no_password_anywhere_says_where_it_could_be() -> None:
    with pytest.raises(ConfigError, match=r"ann@host.*--password-file.*QBCALL_PASSWORD"):
        find_password(config(), stored=nobody, ask=nobody)


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> str:
        raise AssertionError

    monkeypatch.setattr("getpass.getpass", forbidden)
    with pytest.raises(ConfigError):
        find_password(config(), stored=nobody)


def test_file_that_others_can_read_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING, "qbcall"):
        assert find_password(config(password_file=file)).get_secret_value() == "secret"
    assert "chmod 600" in caplog.text
    assert "secret" not in caplog.text


def test_private_file_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    file.chmod(0o600)
    find_password(config(password_file=file))
    assert not caplog.records


@pytest.mark.parametrize("content", [None, b"", b"\nsecret", b"\xff\xff"])
def test_file_without_a_password_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises(ConfigError, match=str(file)):
        find_password(config(password_file=file))


def test_descriptor_that_is_not_open_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--password-fd"):
        find_password(config(), fd=9999)
