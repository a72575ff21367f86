"""Programs that call."""

from __future__ import annotations

import gc

import pytest

from qbcall import running


def test_program_gets_its_result_or_error_and_the_collector_is_as_before() -> None:
    before = gc.get_threshold()

    async def main() -> tuple[int, ...]:
        return gc.get_threshold()

    async def fail() -> None:
        raise ValueError("no")

    assert running.run(main())[0] == running.MANY
    with pytest.raises(ValueError, match="no"):
        running.run(fail())
    assert gc.get_threshold() == before
