"""Runs a part of a benchmark in a process of its own: what it takes is its own, and so are the ways that it takes."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.ways import Ways, taken

ROOT = Path(__file__).parent.parent


async def apart(ways: Ways, work: Callable[..., Awaitable[object]], *arguments: object) -> Any:
    """The result of a function of a module; it and the arguments are what JSON can say.

    Raises:
        RuntimeError: it failed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.apart", work.__module__, work.__qualname__, json.dumps(arguments)),
        env=ways.environment,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"{work.__module__}.{work.__qualname__} failed")
    return json.loads(output.splitlines()[-1])


if __name__ == "__main__":
    taken()
    function = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
    print(json.dumps(asyncio.run(function(*json.loads(sys.argv[3])))))
