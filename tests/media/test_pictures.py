"""The contact sheet, and the list of devices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qbcall.media.contact_sheet import contact_sheet
from qbcall.media.devices import devices


def sheet_of(
    rows: dict[str, dict[str, Path | None]], tmp_path: Path
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    contact_sheet(rows, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        return np.asarray(image.convert("RGB"), np.uint8)


def test_contact_sheet_shows_what_each_saw_and_crosses_out_what_is_missing(tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), (250, 10, 10)).save(tmp_path / "red.png")
    rows: dict[str, dict[str, Path | None]] = {
        "ann": {"ann": None, "bob": tmp_path / "red.png"},
        "bob": {"ann": tmp_path / "missing.png", "bob": None},
    }
    with_red = sheet_of(rows, tmp_path)
    red = np.argwhere((with_red[..., 0] > 200) & (with_red[..., 1] < 60))
    assert len(red) > 10_000
    height, width, _ = with_red.shape
    assert red[:, 0].max() < height * 0.7
    assert red[:, 1].min() > width * 0.4
    rows["bob"]["ann"] = tmp_path / "red.png"
    assert len(np.argwhere(sheet_of(rows, tmp_path)[..., 0] > 200)) != len(red)


def test_contact_sheet_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        contact_sheet({"ann": {}}, tmp_path / "nowhere" / "sheet.png")


def test_every_kind_of_device_is_listed_with_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", "")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video2").touch()
    (tmp_path / "sysfs" / "video2").mkdir(parents=True)
    (tmp_path / "sysfs" / "video2" / "name").write_text("Film Camera\n")
    found = devices(tmp_path / "dev", tmp_path / "sysfs")
    assert {device.kind for device in found} >= {"camera", "screen"}
    (camera,) = [device for device in found if device.kind == "camera"]
    assert camera.name == "Film Camera"
    assert camera.spec == "camera:2" or "OpenCV" in camera.missing
    assert all(device.missing for device in found if not device.spec)
