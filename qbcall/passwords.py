"""Where the password of the account comes from.

Never from the arguments of the command line: every user of the machine can read those.
"""

from __future__ import annotations

import getpass
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from qbcall.config import Config
from qbcall.errors import ConfigError, Problem

log = logging.getLogger("qbcall.passwords")

KEYRING_SERVICE = "qbcall"
"""Name of the service in the keyring; the user name there is the JID."""


def find_password(
    config: Config,
    *,
    fd: int | None = None,
    stored: Callable[[str], str | None] | None = None,
    ask: Callable[[str], str | None] | None = None,
) -> SecretStr:
    """The password: from a file descriptor or file, the environment, the keyring, or the person at the terminal.

    Args:
        config: `account.password_file`, `account.password` (the environment's or the program's) and `account.jid`.
        fd: file descriptor to read it from.
        stored: looks a JID up; None: in the keyring, if the package `keyring` is there.
        ask: asks for the password of a JID; None: on the terminal, if there is one.

    Raises:
        ConfigError: no JID, an unreadable or empty file, or no password anywhere.
    """
    jid, account = config.jid, config.account
    if fd is not None:
        return _from_fd(fd)
    if account.password_file is not None:
        return _from_file(account.password_file)
    if account.password.get_secret_value():
        return account.password
    found = (stored or _from_keyring)(jid) or (ask or _from_terminal)(jid)
    if found:
        return SecretStr(found)
    advice = f"no password for {jid}: use --password-file, --password-fd, QBCALL_PASSWORD or a keyring"
    raise ConfigError([Problem("account.password", advice, "the defaults")])


def _from_fd(fd: int) -> SecretStr:
    try:
        with os.fdopen(fd, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem("--password-fd", f"cannot be read: {error}", "the command line")]) from None
    return _first_line(text, f"file descriptor {fd}")


def _from_file(path: Path) -> SecretStr:
    try:
        text = path.expanduser().read_text(encoding="utf-8")
        mode = path.expanduser().stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        message = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError([Problem("account.password_file", f"cannot be read: {message}", str(path))]) from None
    if mode & 0o077:
        log.warning("%s can be read by other users of this machine; use: chmod 600 %s", path, path)
    return _first_line(text, str(path))


def _first_line(text: str, origin: str) -> SecretStr:
    line = text.partition("\n")[0].removesuffix("\r")
    if not line:
        raise ConfigError([Problem("account.password", "the first line is empty", origin)])
    return SecretStr(line)


def _from_keyring(jid: str) -> str | None:
    try:
        import keyring  # noqa: PLC0415  # an optional package
        import keyring.errors  # noqa: PLC0415
    except ImportError:
        return None
    try:
        stored: str | None = keyring.get_password(KEYRING_SERVICE, jid)
    except keyring.errors.KeyringError as error:
        log.info("the keyring cannot be used: %s", error)
        return None
    return stored


def _from_terminal(jid: str) -> str | None:
    if sys.stdin.isatty() and sys.stderr.isatty():
        return getpass.getpass(f"Password for {jid}: ", stream=sys.stderr)
    return None
