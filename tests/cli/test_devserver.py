"""`qbcall devserver`, a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from tests.cli.programs import PATIENCE, Program
from tests.signals_room import request


@pytest.mark.prosody
def test_devserver_says_where_signals_are_taken_and_for_which_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "qbcall", "devserver", "ann", "bob", "--json"),
            cwd=tmp_path,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
        )
        program = Program(process)
        try:
            ready = await program.until("devserver.ready")
            url, token = str(ready["signals"]), str(ready["signals_token"])
            assert url.startswith("http://127.0.0.1:")
            for shown, expected in ((token, 404), ("x", 403)):
                headers = {"Authorization": f"Bearer {shown}"}
                status, _ = await asyncio.to_thread(request, "POST", f"{url}/unknown", b"{}", headers)
                assert status == expected
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = (await process.stderr.read()).decode()
            assert url in said
            assert token in said
            await program.end()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def whole() -> None:
        async with asyncio.timeout(PATIENCE):
            await scenario()

    asyncio.run(whole())
