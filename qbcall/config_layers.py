"""Where configuration comes from.

The first layer that has a value wins: command line, environment `QBCALL_*`, `--config FILE`, `./qbcall.toml`,
`~/.config/qbcall/config.toml`, defaults. A named account, `[account.NAME]`, wins over the plain keys of `[account]`
in all files. In the environment, `__` leads into a table: `QBCALL_CALL__ANSWER_TIMEOUT`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import platformdirs
from pydantic import BaseModel

from qbcall.config import Account, Config
from qbcall.config_problems import suggestion, validated
from qbcall.errors import ConfigError, Problem

DEFAULT = "default"
"""Origin of a value that no layer sets."""
PREFIX = "QBCALL_"
SHORT_NAMES = {
    "QBCALL_JID": "account.jid",
    "QBCALL_SERVER": "account.server",
    "QBCALL_PASSWORD": "account.password",
    "QBCALL_PASSWORD_FILE": "account.password_file",
}
"""Environment variables that need no `__`."""
_PATHS = ("ca_file", "password_file")
"""Keys of an account that are relative to the file that states them."""

Values = Mapping[str, object]
"""Dotted path -> value, both of leaves only."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and where each value came from."""

    config: Config
    origins: Mapping[str, str]
    """Dotted path of every key -> the layer that set it."""


class _Layer(NamedTuple):
    origins: Mapping[str, str]
    values: Values


def _layer(origin: str, values: Values) -> _Layer:
    return _Layer(dict.fromkeys(values, origin), values)


def load(
    *,
    flags: Values | None = None,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
    account: str | None = None,
    cwd: Path | None = None,
) -> Loaded:
    """Read all layers.

    Args:
        flags: dotted path -> value, from the command line.
        environ: environment variables; None: those of this process.
        config_file: must exist, unlike the other two files.
        account: name of the `[account.NAME]` to use.
        cwd: where `qbcall.toml` is looked for; None: the working directory.

    Raises:
        ConfigError: with every problem of all layers.
    """
    problems: list[Problem] = []
    files = [*_read_files(config_file, cwd or Path(), problems)]
    layers = [
        *[_layer(name, _flat(_plain(tree))) for name, tree in files],
        *_named_account(account, files, problems),
        _environment(os.environ if environ is None else environ, problems),
        _layer("the command line", flags or {}),
    ]
    origins = {path: origin for layer in layers for path, origin in layer.origins.items()}
    values = _nested({path: value for layer in layers for path, value in layer.values.items()})
    try:
        config = validated(Config, values, origins)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        raise ConfigError(problems)
    return Loaded(config, {path: origins.get(path, DEFAULT) for path in leaves(Config)})


def leaves(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Dotted paths of all keys."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{above}{name}.")
        else:
            yield above + name


# -- files -----------------------------------------------------------------------------------------------------------


def _read_files(named: Path | None, cwd: Path, problems: list[Problem]) -> Iterator[tuple[str, dict[str, object]]]:
    candidates = [platformdirs.user_config_path("qbcall") / "config.toml", cwd / "qbcall.toml"]
    for path in [*(path for path in candidates if path.exists()), *([named] if named else [])]:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            problems.append(Problem("file", f"cannot be read: {error.strerror}", str(path)))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(Problem("file", f"is not TOML: {error}", str(path)))
        else:
            _prepare_accounts(tree, path, problems)
            yield str(path), tree


def _prepare_accounts(tree: dict[str, object], path: Path, problems: list[Problem]) -> None:
    """Refuse passwords, and make paths relative to the file."""
    accounts = tree.get("account")
    if not isinstance(accounts, dict):
        return
    named = {f"account.{name}": keys for name, keys in accounts.items() if isinstance(keys, dict)}
    for where, keys in {"account": accounts, **named}.items():
        if "password" in keys and not isinstance(keys["password"], dict):
            del keys["password"]
            advice = "does not belong here; put it in a file of its own and name that in 'password_file'"
            problems.append(Problem(f"{where}.password", advice, str(path)))
        for key in _PATHS:
            if isinstance(keys.get(key), str) and keys[key]:
                keys[key] = str(path.parent / Path(keys[key]).expanduser())


def _plain(tree: Mapping[str, object]) -> dict[str, object]:
    """The tree without its named accounts."""
    accounts = tree.get("account")
    if not isinstance(accounts, dict):
        return dict(tree)
    return {**tree, "account": {key: value for key, value in accounts.items() if not isinstance(value, dict)}}


def _named_account(
    wanted: str | None, files: list[tuple[str, dict[str, object]]], problems: list[Problem]
) -> Iterator[_Layer]:
    """The wanted account of each file; all are checked."""
    known = set()
    for origin, tree in files:
        accounts = tree.get("account")
        for name, keys in accounts.items() if isinstance(accounts, dict) else ():
            if isinstance(keys, dict):
                known.add(name)
                problems.extend(_problems_of_account(name, keys, origin) if name != wanted else ())
                if name == wanted:
                    yield _layer(origin, {f"account.{key}": value for key, value in keys.items()})
    if wanted is not None and wanted not in known:
        hint = suggestion(wanted, known) if known else "; no file has a table [account.NAME]"
        problems.append(Problem(f"account.{wanted}", f"no such account{hint}", "the command line"))


def _problems_of_account(name: str, keys: Mapping[str, object], origin: str) -> list[Problem]:
    try:
        validated(Account, keys)
    except ConfigError as error:
        return [Problem(f"account.{name}.{problem.path}", problem.message, origin) for problem in error.problems]
    return []


# -- environment -----------------------------------------------------------------------------------------------------


def _environment(environ: Mapping[str, str], problems: list[Problem]) -> _Layer:
    variables = {PREFIX + path.upper().replace(".", "__"): path for path in leaves(Config)} | SHORT_NAMES
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for variable, text in environ.items():
        if variable in variables:
            path = variables[variable]
            values[path] = _typed(path, text)
            origins[path] = f"environment {variable}"
        elif variable.startswith(PREFIX):
            hint = suggestion(variable, variables)
            problems.append(Problem(variable, f"unknown variable{hint}", "the environment"))
    return _Layer(origins, values)


def _typed(path: str, text: str) -> object:
    """The value that a text in the environment means: as in TOML where the key is no text; one text is a list too."""
    section, _, key = path.partition(".")
    default = getattr(getattr(Config(), section), key)
    if isinstance(default, tuple) and not text.startswith("["):
        return (text,) if text else ()
    if not isinstance(default, (bool, int, float, tuple)):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


# -- trees and dotted paths ------------------------------------------------------------------------------------------


def _flat(tree: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Leaves by dotted path; an empty or unknown table is a leaf, so that it is judged too."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value and not above:
            found |= _flat(value, f"{key}.")
        else:
            found[above + key] = value
    return found


def _nested(values: Values) -> dict[str, object]:
    tree: dict[str, object] = {}
    for path, value in values.items():
        section, dot, key = path.partition(".")
        if not dot and value != {}:
            tree[section] = value
            continue
        table = tree.setdefault(section, {})
        if dot and isinstance(table, dict):
            table[key] = value
    return tree
