"""The cameras, microphones, loudspeakers and screens of this machine, and what is missing to use them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from qbcall.errors import SourceError
from qbcall.media import camera
from qbcall.media.sound_devices import library

SYSFS = Path("/sys/class/video4linux")
DEV = Path("/dev")


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One device, or a kind of which there is none."""

    kind: str
    """`camera`, `microphone`, `speaker` or `screen`."""
    name: str
    """For people; empty when there is none."""
    spec: str
    """What `--source` or `--sink` takes; empty when it cannot be used."""
    missing: str = ""
    """What is missing to use it, and how to get it; empty when nothing is."""


def devices(dev: Path = DEV, sysfs: Path = SYSFS) -> list[DeviceInfo]:
    """Every device that could be used, and for each kind without one, why. Never raises.

    Args:
        dev: where device files are.
        sysfs: where Linux tells the names of cameras.
    """
    return [*_cameras(dev, sysfs), *_sound(), *_screens()]


def _cameras(dev: Path, sysfs: Path) -> Iterator[DeviceInfo]:
    lacks = "" if _importable("cv2") else f"OpenCV is missing; {camera.REMEDY}"
    numbers = sorted(int(match[1]) for path in _listed(dev) if (match := re.fullmatch(r"video(\d+)", path.name)))
    for number in numbers:
        name = _text(sysfs / f"video{number}" / "name") or f"/dev/video{number}"
        yield DeviceInfo("camera", name, "" if lacks else f"camera:{number}", lacks)
    if not numbers:
        yield DeviceInfo("camera", "", "", f"there is no {dev}/video*")


def _sound() -> Iterator[DeviceInfo]:
    try:
        found = list(library("devices", SourceError).query_devices())
        lacks = "the sound system has none"
    except Exception as error:  # PortAudio raises whatever its back ends do
        found, lacks = [], str(error).removeprefix("devices: ")
    for kind, spec, channels in (
        ("microphone", "mic", "max_input_channels"),
        ("speaker", "speaker", "max_output_channels"),
    ):
        names = [str(device["name"]) for device in found if device[channels] > 0]
        yield from (DeviceInfo(kind, name, spec) for name in names)
        if not names:
            yield DeviceInfo(kind, "", "", lacks)


def _screens() -> Iterator[DeviceInfo]:
    display = os.environ.get("DISPLAY", "")
    if display:
        yield DeviceInfo("screen", f"X11 display {display}", "screen")
    else:
        yield DeviceInfo("screen", "", "", "there is no X11 display (DISPLAY is not set)")


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
