"""Run benchmarks by name, or all of them.

A benchmark is a module of this package with a function `run(*, smoke)`, plain or async, that returns what it
measured, one printable thing a line, or generates it. A module without it is a part of others.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import pkgutil
import sys
from collections.abc import AsyncIterator
from types import ModuleType

import benchmarks


def found(names: list[str]) -> dict[str, ModuleType]:
    """The benchmarks of this package by name; only these, if any are named. Others are not imported."""
    public = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in public if name in (names or public)}
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def run(module: ModuleType, *, smoke: bool) -> None:
    """Run one, and print what it measured."""
    measured = module.run(smoke=smoke)
    if inspect.isasyncgen(measured):
        asyncio.run(follow(measured))
        return
    for line in asyncio.run(measured) if inspect.iscoroutine(measured) else measured:
        print(f"  {line}", flush=True)


async def follow(measured: AsyncIterator[object]) -> None:
    """Print it as it is measured."""
    async for line in measured:
        print(f"  {line}", flush=True)


def main(arguments: list[str]) -> int:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="*", help="a module of this package; default: all")
    parser.add_argument("--smoke", action="store_true", help="run each once, to see that it works")
    options = parser.parse_args(arguments)
    chosen = found(options.name)
    unknown = [name for name in options.name if name not in chosen]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    for name, module in chosen.items():
        print(f"{name}:", flush=True)
        run(module, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
