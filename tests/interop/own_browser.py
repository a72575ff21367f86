"""A browser of its own for one user: it can be stopped, and may live on an island."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import psutil

from tests.interop.island import V6_HERE, Island

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Browser

    Launch = Callable[[str, str], Awaitable[Browser]]
    """Starts a browser from a program, with one more flag."""


class OwnBrowser:
    """Made by `open`; lives as long as the stack that it is given."""

    def __init__(self, browser: Browser, host: str, port: int, processes: list[psutil.Process]) -> None:
        self.browser = browser
        self.host = host
        self.port = port
        """Where the chat server's HTTP port is found from there."""
        self._processes = processes

    @classmethod
    async def open(
        cls, stack: AsyncExitStack, launch: Launch, program: str, http: tuple[str, int], island: Island | None
    ) -> OwnBrowser:
        """Start it.

        Args:
            stack: closes it.
            launch: starts a browser.
            program: the browser.
            http: host and port of the chat server, seen from this machine.
            island: where it shall live; None: on this machine.
        """
        if island is not None:
            program = str(island.program(program))
            http = (f"[{V6_HERE}]", await island.forward(http[1]))
        mark = f"--qbcall-test={secrets.token_hex(8)}"  # Chromium ignores flags that it does not know
        browser = await launch(program, mark)
        stack.push_async_callback(browser.close)
        found = [process for process in psutil.process_iter() if mark in _command(process)]
        self = cls(browser, *http, found)
        stack.callback(self.thaw)  # before it is closed: a frozen one does not end
        return self

    async def freeze(self) -> None:
        """Stop all of it, as a lid that is closed: it neither sends nor answers, and nothing tells of it."""
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):  # a part of it may end meanwhile
                process.suspend()
        await asyncio.sleep(0)

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def _all(self) -> list[psutil.Process]:
        living = {}
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                living.update({one.pid: one for one in (process, *process.children(recursive=True))})
        return list(living.values())


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
