"""`qbcall devices`: what can be a source or sink on this machine."""

from __future__ import annotations

import dataclasses
import time

from qbcall.cli import frame
from qbcall.cli.exit_codes import ExitCode
from qbcall.cli.frame import Setting
from qbcall.cli.line import stamp
from qbcall.cli.options import Common, with_common
from qbcall.cli.program_lines import DeviceLine


@with_common
def devices(common: Common) -> None:
    """List cameras, microphones, loudspeakers and screens, and what is missing to use them."""

    def body(setting: Setting) -> ExitCode:
        from qbcall.media.devices import devices as found  # noqa: PLC0415 - may load the sound library

        for device in found():
            line = {**stamp(time.monotonic()), **dataclasses.asdict(device)}
            setting.output.line(DeviceLine.model_validate(line))
            if not common.json:
                told = device.name if device.spec else f"{device.name or 'none'}: {device.missing}"
                setting.output.write(f"{device.kind:11} {device.spec or '-':10} {told}")
        return ExitCode.OK

    frame.run(common, body)
