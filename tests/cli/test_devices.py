"""`qbcall devices`."""

from __future__ import annotations

from pathlib import Path

import pytest

from qbcall.cli import devices
from tests.cli.conftest import Qbcall


@pytest.fixture
def two_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in ((10, "Desk"), (2, "Door")):
        folder = tmp_path / "sys" / f"video{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
    monkeypatch.setattr(devices, "CAMERAS", tmp_path / "sys")
    monkeypatch.setenv("DISPLAY", ":7")


@pytest.mark.usefixtures("two_cameras")
def test_devices_are_listed_as_sources_name_them(qbcall: Qbcall) -> None:
    run = qbcall("devices")
    assert run.code == 0
    assert [line.split(None, 2) for line in run.stdout.splitlines()][:3] == [
        ["camera", "camera:2", "Door"],
        ["camera", "camera:10", "Desk"],
        ["screen", "screen", "X11 display :7"],
    ]


@pytest.mark.usefixtures("two_cameras")
def test_devices_are_json_lines_for_programs(qbcall: Qbcall) -> None:
    run = qbcall("devices", "--json")
    found = [line["spec"] for line in run.lines if line["type"] == "device"]
    assert found[:3] == ["camera:2", "camera:10", "screen"]


def test_machine_without_devices_is_told_what_works(
    qbcall: Qbcall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "CAMERAS", tmp_path / "none")
    monkeypatch.setattr(devices, "sound", lambda setting: [])
    monkeypatch.delenv("DISPLAY", raising=False)
    run = qbcall("devices")
    assert (run.code, run.stdout) == (0, "")
    assert "file:PATH" in run.stderr
