"""Whole calls between commands, each a process of its own, over a real server on loopback."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Line, types
from tests.cli.programs import Place, Program, scenario

pytestmark = pytest.mark.prosody


async def answering(place: Place, *words: str, **environment: str) -> Program:
    """Bob, who waits for a call."""
    bob = await place.start("bob", "answer", "--once", *words, **environment)
    await bob.until("link.online")
    return bob


def ended(lines: list[Line]) -> Line:
    """The end of the only call."""
    assert types(lines).count("call.ended") == 1
    return next(line for line in lines if line["type"] == "call.ended")


def test_call_is_answered_and_hung_up(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await answering(place, "--info", "room=1")
        ann = await place.start(
            "ann", "call", "bob@localhost", "--duration", "1", "--info", "topic=x", "--stats", "0.3"
        )
        told, heard = await ann.end(), await bob.end()
        assert (told[-1]["code"], heard[-1]["code"]) == (0, 0)
        assert next(line for line in heard if line["type"] == "call.incoming")["info"] == {"topic": "x"}
        assert next(line for line in told if line["type"] == "peer.accepted")["info"] == {"room": "1"}
        assert {"link.online", "call.state", "peer.state", "peer.track", "stats"} <= set(types(told))
        for end, peer in ((ended(told), "bob@localhost"), (ended(heard), "ann@localhost")):
            assert end["outcome"] == "answered"
            peers = end["peers"]
            assert isinstance(peers, dict)
            assert peers[peer]["frames"]["audio"] > 0
            assert peers[peer]["frames"]["video"] > 0
            assert peers[peer]["bytes_received"] > 0
            assert peers[peer]["connected_ms"] > 0
            assert isinstance(end["connected"], float)
            assert end["connected"] > 0.5

    scenario(tmp_path, play)


@pytest.mark.parametrize(
    ("reject", "expect", "code", "outcome"),
    [
        (["--reject"], [], 6, "rejected"),
        (["--reject", "not now"], ["--expect", "rejected"], 0, "rejected"),
        (["--reject", "busy"], ["--expect", "busy"], 0, "busy"),
        (["--reject", "busy"], ["--expect", "answered"], 11, "busy"),
    ],
)
def test_call_is_rejected(tmp_path: Path, reject: list[str], expect: list[str], code: int, outcome: str) -> None:
    async def play(place: Place) -> None:
        bob = await answering(place, *reject)
        ann = await place.start("ann", "call", "bob@localhost", *expect)
        told, heard = await ann.end(), await bob.end()
        assert (told[-1]["code"], ended(told)["outcome"]) == (code, outcome)
        assert (heard[-1]["code"], ended(heard)["outcome"]) == (0, "declined")
        info = next(line for line in told if line["type"] == "peer.rejected")["info"]
        assert isinstance(info, dict)
        assert info.get("reason") == ("not now" if "not now" in reject else None)

    scenario(tmp_path, play)


def test_ctrl_c_while_it_rings_cancels_the_call(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await answering(place, "--after", "60")
        ann = await place.start("ann", "call", "bob@localhost")
        await bob.until("call.incoming")
        ann.process.send_signal(signal.SIGINT)
        told, heard = await ann.end(), await bob.end()
        assert (told[-1]["code"], ended(told)["reason"]) == (130, "hung_up")
        assert (heard[-1]["code"], ended(heard)["outcome"]) == (7, "cancelled")

    scenario(tmp_path, play)


def test_ctrl_c_in_the_call_hangs_up(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await answering(place)
        ann = await place.start("ann", "call", "bob@localhost")
        await ann.until("call.state", new="connected")
        await bob.until("call.state", new="connected")
        bob.process.send_signal(signal.SIGINT)
        told, heard = await ann.end(), await bob.end()
        assert (told[-1]["code"], ended(told)["outcome"]) == (0, "answered")
        assert (heard[-1]["code"], ended(heard)["reason"]) == (130, "hung_up")

    scenario(tmp_path, play)


def test_ctrl_c_while_it_logs_in_exits_130(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        reached = asyncio.Event()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.set()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as silent:
            port = silent.sockets[0].getsockname()[1]
            ann = await place.start("ann", "call", "bob@localhost", QBCALL_SERVER=f"127.0.0.1:{port}")
            await reached.wait()
            ann.process.send_signal(signal.SIGINT)
            assert types(await ann.end()) == ["hello", "exit"]
            assert ann.process.returncode == 130

    scenario(tmp_path, play)


def test_callee_that_is_killed_while_it_rings_does_not_answer(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await answering(place, "--after", "60")
        ann = await place.start("ann", "call", "bob@localhost", "--answer-timeout", "10")
        await bob.until("call.incoming")
        bob.process.kill()
        told = await ann.end()
        assert (told[-1]["code"], ended(told)["outcome"]) == (7, "no-answer")
        assert "peer.no_answer" in types(told)

    scenario(tmp_path, play)


def test_bot_echoes_a_call(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await place.start("bob", "bot", "qbcall.bots:Echo", "--calls", "1")
        await bob.until("link.online")
        ann = await place.start("ann", "call", "bob@localhost", "--duration", "1")
        told, heard = await ann.end(), await bob.end()
        assert (told[-1]["code"], heard[-1]["code"]) == (0, 0)
        peers = ended(told)["peers"]
        assert isinstance(peers, dict)
        assert peers["bob@localhost"]["frames"]["video"] > 0

    scenario(tmp_path, play)


def test_time_limit_hangs_up(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await answering(place, "--after", "60")
        ann = await place.start("ann", "call", "bob@localhost", "--timeout", "2")
        told, heard = await ann.end(), await bob.end()
        assert (told[-1]["code"], heard[-1]["code"]) == (124, 7)

    scenario(tmp_path, play)


def test_wrong_password_exits_4(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        ann = await place.start("ann", "call", "bob@localhost", QBCALL_PASSWORD="wrong")
        told = await ann.end()
        assert told[-1]["code"] == 4
        assert "wrong" not in str(told[-1]["error"]).split()

    scenario(tmp_path, play)


def test_refused_port_exits_5(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        ann = await place.start("ann", "call", "bob@localhost", "--server", f"127.0.0.1:{port}")
        told = await ann.end()
        assert told[-1]["code"] == 5

    scenario(tmp_path, play)


def test_missing_source_exits_12(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        ann = await place.start("ann", "call", "bob@localhost", "--source", "file:gone.mp4")
        told = await ann.end()
        assert told[-1]["code"] == 12
        assert "gone.mp4" in str(told[-1]["error"])

    scenario(tmp_path, play)


def test_plain_text_to_another_machine_exits_8(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        ann = await place.start("ann", "call", "bob@localhost", "--server", "192.0.2.1:5222")
        told = await ann.end()
        assert told[-1]["code"] == 8

    scenario(tmp_path, play)
