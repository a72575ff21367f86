"""The configuration of a program, found where the command line finds it."""

from __future__ import annotations

from pathlib import Path

from qbcall.config import Config
from qbcall.config_layers import load
from qbcall.passwords import find_password


def load_config(file: Path | None = None, *, account: str | None = None, **values: object) -> Config:
    """The configuration from `values`, environment, files and defaults, with the password of the account.

    Args:
        file: a file that wins over `./qbcall.toml` and the user's own; must exist.
        account: name of the `[account.NAME]` to use.
        values: sections as mappings, e.g. `account={"jid": "ann@example.org"}`; they win over everything else.

    Raises:
        ConfigError: with every problem of all layers, or because there is no password.
    """
    flags = {
        f"{section}.{key}": value
        for section, keys in values.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    }
    config = load(flags=flags, config_file=file, account=account).config
    return config.with_password(find_password(config))
