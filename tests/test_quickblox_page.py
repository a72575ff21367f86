"""docs/quickblox.md: the configuration is one, the events of the table exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import qbcall
from qbcall import Config, Event

PAGE = (Path(__file__).parent.parent / "docs" / "quickblox.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `on\w+`.*$", PAGE, flags=re.MULTILINE)


def test_configuration_for_the_cloud_can_be_used() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    config = Config.of(**tomllib.loads(text))
    settings = config.xmpp_settings()
    assert (settings.host, settings.port, settings.sasl_plain) == ("chat.quickblox.com", 5223, True)
    assert [url for server in config.ice_settings().servers for url in server.urls] == [
        "stun:turn.quickblox.com",
        "turn:turn.quickblox.com:3478?transport=udp",
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("`")[1])
def test_event_of_a_listener_exists(row: str) -> None:
    names = re.findall(r"`(\w+)`", row.strip("|").split("|")[-1])
    events = [getattr(qbcall, name) for name in names if name[0].isupper()]
    assert events
    assert all(issubclass(event, Event) for event in events)


def test_all_twelve_listeners_are_there() -> None:
    assert len(ROWS) == 12
