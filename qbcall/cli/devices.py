"""`qbcall devices`: what can be a source or sink on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from qbcall.cli import frame
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.frame import Setting
from qbcall.cli.lines import DeviceLine, stamp
from qbcall.cli.options import Common, with_common
from qbcall.errors import SourceError

CAMERAS = Path("/sys/class/video4linux")
"""Where Linux lists cameras: `video<N>/name`."""
SOUND = (("microphone", "mic", "input"), ("loudspeaker", "speaker", "output"))
"""Kind, name as source or sink, kind in PortAudio's words."""


class Device(NamedTuple):
    """Something that can be a source or sink."""

    kind: str
    spec: str
    """As `--source` and `--sink` take it."""
    name: str


@with_common
def devices(common: Common) -> None:
    """List cameras, screens, microphones and loudspeakers."""

    def body(setting: Setting) -> ExitCode:
        found = [*cameras(CAMERAS), *screens(os.environ.get("DISPLAY", "")), *sound(setting)]
        for device in found:
            setting.output.line(DeviceLine.model_validate({**stamp(time.monotonic()), **device._asdict()}))
            if not common.json:
                setting.output.write(f"{device.kind:12} {device.spec:10} {device.name}")
        if not found:
            setting.output.say("there are none; the sources test, file:PATH, silence and none need no device")
        return ExitCode.OK

    frame.run(common, body)


def cameras(directory: Path) -> Iterator[Device]:
    """What Linux knows as cameras; one camera may be listed twice, as it may have a second node for metadata."""
    numbers = sorted(int(path.name[5:]) for path in directory.glob("video*") if path.name[5:].isdecimal())
    for number in numbers:
        name = (directory / f"video{number}" / "name").read_text(encoding="utf-8", errors="replace").strip()
        yield Device("camera", f"camera:{number}", name)


def screens(display: str) -> Iterator[Device]:
    """The X11 display."""
    if display:
        yield Device("screen", "screen", f"X11 display {display}")


def sound(setting: Setting) -> Iterator[Device]:
    """The default microphone and loudspeaker; says so if the library for them is missing."""
    from qbcall.media.sound_devices import library  # noqa: PLC0415 - only this command needs it

    try:
        sounddevice = library("sound devices", SourceError)
    except SourceError as error:
        setting.output.say(str(error))
        return
    for kind, spec, way in SOUND:
        try:
            yield Device(kind, spec, str(sounddevice.query_devices(kind=way)["name"]))
        except (ValueError, sounddevice.PortAudioError):  # there is none
            continue
