"""With an aiortc that is not as we know it, calls work all the same: each peer has an encoder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from aiortc import RTCRtpSender

from qbcall.adapters import rtc_sender
from tests.adapters.other_aiortc import CHANGES

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("changed", CHANGES)
def test_call_works_with_another_aiortc_after_one_warning(changed: str) -> None:
    command = [sys.executable, "-m", "tests.adapters.other_aiortc", changed]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    (warning,) = told["logged"]
    assert "each peer costs an encoder" in warning
    assert abs(told["encoded"] - 2 * told["seen"]) <= 20  # for two peers
    assert abs(told["pitch"] - 500) <= 50


@pytest.mark.parametrize("name", [*rtc_sender.TAKEN, *rtc_sender.CALLED])
@pytest.mark.parametrize("instead", [None, 5, print, lambda self, more, others: None])
def test_senders_that_are_otherwise_are_noticed(name: str, instead: object) -> None:
    """Nothing of it raises, whatever stands there."""
    assert not rtc_sender.is_known(type("Other", (RTCRtpSender,), {name: instead}))


def test_pinned_aiortc_is_known() -> None:
    """If this fails, aiortc has changed: read its sender, then change `rtc_sender.py`."""
    assert rtc_sender.ENCODES_ONCE
