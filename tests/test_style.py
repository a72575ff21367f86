"""House rules that a linter does not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NAMED = [path for folder in ("qbcall", "tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
SAYS_NOTHING = {"util", "utils", "manager", "helper", "helpers", "base", "handler", "handlers", "misc", "common"}


def sleeps(source: str) -> Iterator[int]:
    """Lines that wait for a fixed time; `sleep(0)` only gives way, and on a virtual clock nothing waits."""
    if "VirtualClockLoop" in source:
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="sleep") | ast.Name(id="sleep"), args=[ast.Constant(value=0)]):
                pass
            case ast.Call(func=ast.Attribute(attr="sleep") | ast.Name(id="sleep")):
                yield node.lineno


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tests_await_conditions_and_do_not_sleep(path: Path) -> None:
    assert list(sleeps(path.read_text(encoding="utf-8"))) == []


def test_fixed_sleep_is_found() -> None:
    assert list(sleeps("import time\ntime.sleep(0.1)\nawait_(asyncio.sleep(delay))\nasyncio.sleep(0)")) == [2, 3]


def test_file_names_say_what_is_inside() -> None:
    named = {path.relative_to(ROOT).as_posix(): set(re.split("[_.]", path.stem)) for path in NAMED}
    assert {path for path, words in named.items() if words & SAYS_NOTHING} == set()
