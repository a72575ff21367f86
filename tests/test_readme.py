"""What the README prints works as printed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from qbcall.devserver import DevServer

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PATIENCE = 40.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_python_block_compiles() -> None:
    for block in blocks("python"):
        compile(block, "README.md", "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT: snippets of coroutines


def test_every_link_leads_to_a_file() -> None:
    root = Path(__file__).parent.parent
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert not [link for link in links if not (root / link).exists()]


@pytest.mark.prosody
def test_the_echo_bot_answers_a_call_from_the_shell(tmp_path: Path) -> None:
    bot = tmp_path / "echo.py"
    bot.write_text(blocks("python")[0], encoding="utf-8")

    async def scenario() -> None:
        async with DevServer(accounts=("ci", "echo")) as server, asyncio.timeout(PATIENCE):
            echo = await start(server, "echo", sys.executable, str(bot))
            assert echo.stdout is not None
            assert await echo.stdout.readline() == b"call echo@localhost\n"
            words = ("call", "echo@localhost", "--source", "test:size=160x120,fps=15", "--duration", "2")
            more = ("--sink", "verify", "--expect", "answered", "--json")
            caller = await start(server, "ci", sys.executable, "-m", "qbcall", *words, *more)
            said, _ = await caller.communicate()
            assert caller.returncode == 0, said
            lines = [json.loads(line) for line in said.splitlines()]
            (ended,) = [line for line in lines if line["type"] == "call.ended"]
            assert ended["peers"]["echo@localhost"]["frames"]["video"] > 0
            assert await echo.stdout.readline() == b"ci@localhost was here: remote_hung_up\n"
            echo.terminate()
            await echo.communicate()

    asyncio.run(scenario())


async def start(server: DevServer, user: str, *words: str) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "QBCALL_JID": f"{user}@{server.domain}",
        "QBCALL_PASSWORD": server.accounts[user],
        "QBCALL_SERVER": f"{server.host}:{server.port}",
        "QBCALL_ACCOUNT__PLAINTEXT": "true",
        "QBCALL_ICE__ADDRESSES": '["127.0.0.1"]',
        "QBCALL_MEDIA__SOURCE": "test:size=160x120,fps=15",
        "PYTHONUNBUFFERED": "1",
    }
    return await asyncio.create_subprocess_exec(
        *words, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
