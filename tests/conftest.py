"""What all tests share."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import settings

settings.register_profile("qbcall", deadline=None)  # how long an example takes is the machine's business
settings.load_profile("qbcall")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests with a real server are skipped where there is none."""
    if item.get_closest_marker("prosody") and shutil.which("prosody") is None:
        pytest.skip("prosody is not installed: apt-get install prosody")
