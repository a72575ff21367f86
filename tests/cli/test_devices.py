"""`qbcall devices`."""

from __future__ import annotations

import pytest

from qbcall.media import devices
from qbcall.media.devices import DeviceInfo
from tests.cli.conftest import Qbcall


@pytest.fixture(autouse=True)
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [DeviceInfo("camera", "Door", "camera:2"), DeviceInfo("screen", "", "", "there is no X11 display")]
    monkeypatch.setattr(devices, "devices", lambda: found)


def test_devices_are_listed_with_what_names_them(qbcall: Qbcall) -> None:
    run = qbcall("devices")
    assert run.code == 0
    assert [line.split(None, 2) for line in run.stdout.splitlines()] == [
        ["camera", "camera:2", "Door"],
        ["screen", "-", "none: there is no X11 display"],
    ]


def test_devices_are_json_lines_for_programs(qbcall: Qbcall) -> None:
    told = [line for line in qbcall("devices", "--json").lines if line["type"] == "device"]
    assert [(line["kind"], line["spec"], line["missing"]) for line in told] == [
        ("camera", "camera:2", ""),
        ("screen", "", "there is no X11 display"),
    ]
