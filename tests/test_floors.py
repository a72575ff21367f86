"""The floors of docs/architecture.md: who may import what. A file imports its own floor and those below, never up."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "qbcall").rglob("*.py"))

FLOORS = {
    "errors": 0,
    "core": 1,
    "dialects": 2,
    "media": 2,
    "adapters": 3,
    "driver": 4,
    "subscriptions": 4,
    "cli": 6,
    "demo": 6,
    "demo_board": 6,
    "demo_file": 6,
    "bots": 6,
    "devserver": 6,
    "__main__": 6,
}
"""By the first name below `qbcall`; the API, its configuration and whatever is not named here is on floor 5."""
API_FLOOR = 5

OWN_PACKAGES = {
    "core": {"core", "errors"},
    "dialects": {"core", "errors", "dialects"},
    "media": {"core", "errors", "media"},
}
"""Packages that import no others of qbcall's."""
STANDARD_LIBRARY_ONLY = {"errors", "core", "dialects"}
NOT_IN_CORE = {"asyncio", "time", "random", "logging", "secrets", "threading", "socket", "os"}
"""The core has no clock, randomness, log or I/O: time and names are arguments."""
HOMES = {
    "slixmpp": "qbcall/adapters/xmpp",
    "aiortc": "qbcall/adapters/rtc",
    "aioice": "qbcall/adapters/rtc",
}
"""Libraries that only files of one adapter know, by the beginning of their path."""
LAZY = {"cv2", "sounddevice", "keyring"}
"""Optional libraries: imported when they are used, since qbcall works where importing them fails."""


class Import(NamedTuple):
    """One imported module, with dots."""

    module: str
    lazy: bool
    """Within a function, or for type checkers only."""


def imports(source: str) -> Iterator[Import]:
    """Every import in a file, those for type checkers too; ruff bans relative ones."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                yield from (Import(name.name, lazy) for name in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from (Import(f"{module}.{name.name}", lazy) for name in names)
        inside = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        inside |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(source), lazy=False)


def problems(path: str, source: str) -> list[str]:
    """What in this file breaks the rules above."""
    part = path.removesuffix(".py").split("/")[1]
    found: list[str] = []
    for module, lazy in imports(source):
        top, _, rest = module.partition(".")
        if top == "qbcall":
            found += own_problems(part, rest.partition(".")[0])
            continue
        if part in STANDARD_LIBRARY_ONLY and top not in sys.stdlib_module_names:
            found.append(f"{module}: {part} knows the standard library only")
        if part == "core" and top in NOT_IN_CORE:
            found.append(f"{module}: the core is pure")
        if not path.startswith(HOMES.get(top, "")):
            found.append(f"{module}: belongs into {HOMES[top]}*.py")
        if top in LAZY and not lazy:
            found.append(f"{module}: must be imported where it is used")
    return [f"{path} imports {problem}" for problem in found]


def own_problems(part: str, name: str) -> Iterator[str]:
    """What is wrong with a file of `part` importing `qbcall.<name>`."""
    if name == "__version__":
        return
    if FLOORS.get(name, API_FLOOR) > FLOORS.get(part, API_FLOOR):
        yield f"qbcall.{name}: that is a floor up"
    if name not in OWN_PACKAGES.get(part, {name}):
        yield f"qbcall.{name}: {part} knows {', '.join(sorted(OWN_PACKAGES[part]))} only"


@pytest.mark.parametrize("path", FILES)
def test_file_imports_only_what_its_floor_may(path: str) -> None:
    assert problems(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source", "problem"),
    [
        ("qbcall/core/peer.py", "import asyncio", "asyncio: the core is pure"),
        ("qbcall/core/peer.py", "from os.path import join", "os.path.join: the core is pure"),
        ("qbcall/core/peer.py", "import numpy as np", "numpy: core knows the standard library only"),
        ("qbcall/core/peer.py", "from qbcall import driver", "qbcall.driver: that is a floor up"),
        ("qbcall/errors.py", "from qbcall.core.model import User", "qbcall.core: that is a floor up"),
        ("qbcall/dialects/xml.py", "import slixmpp", "slixmpp: dialects knows the standard library only"),
        ("qbcall/dialects/xml.py", "from qbcall.media import frames", "qbcall.media: dialects knows core, dialects"),
        ("qbcall/media/frames.py", "from aiortc import x", "aiortc.x: belongs into qbcall/adapters/rtc*.py"),
        ("qbcall/media/frames.py", "def f():\n  import slixmpp", "slixmpp: belongs into qbcall/adapters/xmpp*.py"),
        ("qbcall/media/frames.py", "import qbcall.adapters.rtc", "qbcall.adapters: that is a floor up"),
        ("qbcall/media/camera.py", "try:\n  import cv2\nexcept ImportError: pass", "cv2: must be imported where"),
        ("qbcall/adapters/rtc.py", "import slixmpp", "slixmpp: belongs into qbcall/adapters/xmpp*.py"),
        ("qbcall/driver.py", "from qbcall.client import Client", "qbcall.client: that is a floor up"),
        ("qbcall/client.py", "if x:\n  from qbcall.cli import main", "qbcall.cli: that is a floor up"),
    ],
)
def test_wrong_import_is_found(path: str, source: str, problem: str) -> None:
    found = problems(path, source)
    assert len(found) >= 1
    assert problem in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "qbcall/core/peer.py",
            "import heapq\nfrom qbcall.core.model import User\nfrom qbcall.errors import UsageError",
        ),
        ("qbcall/dialects/xml.py", "import secrets\nfrom qbcall.core.model import User"),
        (
            "qbcall/adapters/xmpp.py",
            "import slixmpp\nfrom qbcall.dialects import Dialect\nfrom qbcall import __version__",
        ),
        ("qbcall/media/camera.py", "def open():\n  import cv2"),
        ("qbcall/cli/call.py", "from qbcall import Client"),
    ],
)
def test_right_import_is_let_through(path: str, source: str) -> None:
    assert problems(path, source) == []
