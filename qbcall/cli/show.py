"""`qbcall config show`: the configuration in force, and where each value came from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

import typer
from pydantic import JsonValue, TypeAdapter

from qbcall.cli import frame
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.frame import Setting
from qbcall.cli.line import stamp
from qbcall.cli.options import Common, with_common
from qbcall.cli.program_lines import ConfigLine
from qbcall.config import Config
from qbcall.config_layers import leaves

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


@with_common
def show(
    common: Common,
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Tell which layer each value came from.")] = False,
) -> None:
    """Show the configuration in force; secrets are masked."""

    def body(setting: Setting) -> ExitCode:
        values, origins = shown(setting.config), setting.loaded.origins
        setting.output.line(
            ConfigLine.model_validate({**stamp(time.monotonic()), "values": values, "origins": origins})
        )
        if not common.json:
            width = max(map(len, _texts(values)))
            for path, text in zip(values, _texts(values), strict=True):
                setting.output.write(f"{text:{width}}  # {origins[path]}" if origin else text)
        return ExitCode.OK

    frame.run(common, body)


def shown(config: Config) -> dict[str, JsonValue]:
    """Every value by its dotted path; secrets masked."""
    sections = config.model_dump(mode="json")
    masked = {"account.password": str(config.account.password)}
    found = {}
    for path in leaves(Config):
        section, _, key = path.partition(".")
        found[path] = masked[path] if path in masked else sections[section][key]
    return found


def _texts(values: Mapping[str, JsonValue]) -> list[str]:
    return [f"{path} = {_JSON.dump_json(value).decode()}" for path, value in values.items()]
