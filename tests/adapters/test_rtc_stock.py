"""With an aiortc or aioice that is not as we know it, calls work all the same, with fewer promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from aiortc import RTCRtpSender

from qbcall.adapters import rtc_sender
from tests.adapters.other_aiortc import CHANGES, ENCODERS, PATH

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("changed", CHANGES)
def test_call_works_with_other_libraries_after_a_warning(changed: str) -> None:
    warned = CHANGES[changed][2]
    command = [sys.executable, "-m", "tests.adapters.other_aiortc", changed]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert len(told["logged"]) == len(warned), told["logged"]
    assert all(any(what in message for message in told["logged"]) for what in warned), told["logged"]
    assert told["encoders"] == (2 if ENCODERS in warned else 1)
    assert told["unimpaired"].startswith("impairment: ") == (PATH in warned)


@pytest.mark.parametrize("name", [*rtc_sender.TAKEN, *rtc_sender.CALLED])
@pytest.mark.parametrize("instead", [None, 5, print, lambda self, more, others: None])
def test_senders_that_are_otherwise_are_noticed(name: str, instead: object) -> None:
    """Nothing of it raises, whatever stands there."""
    assert not rtc_sender.is_known(type("Other", (RTCRtpSender,), {name: instead}))


def test_pinned_aiortc_is_known() -> None:
    """If this fails, aiortc has changed: read its sender, then change `rtc_sender.py`."""
    assert rtc_sender.ENCODES_ONCE
