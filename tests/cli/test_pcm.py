"""Plain samples through standard input and output, files and pipes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from qbcall.media.mono import Mono
from tests.chirps import beginnings, chirp
from tests.cli.conftest import Qbcall
from tests.cli.programs import Place, scenario

RATE = 16_000
LONGEST = 10
"""Seconds of sound that one of the chirps is looked for in."""


def chirps(seconds: float) -> bytes:
    """One every half a second."""
    one = np.zeros(RATE // 2, np.int16)
    one[: len(chirp(RATE))] = chirp(RATE)
    return np.tile(one, round(2 * seconds)).tobytes()


def samples(data: bytes) -> Mono:
    return np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16)


@pytest.mark.prosody
def test_sound_goes_from_standard_input_to_standard_output(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        (tmp_path / "speech.raw").write_bytes(chirps(30))
        bob = await place.start("bob", "answer", "--once", "--source", "pcm:speech.raw", "--sink", "pcm:heard.raw")
        await bob.until("link.online")
        words = ("--source", f"pcm:-,rate={RATE}", "--sink", f"pcm:-,rate={RATE}")
        ann = await place.pipe("ann", "call", "bob@localhost", "--audio", *words)
        assert ann.process.stdin is not None
        assert ann.process.stdout is not None
        typing = asyncio.create_task(ann.type(chirps(30)))
        heard = b""
        while not beginnings(samples(heard), RATE):  # nothing but sound is in it
            heard += await ann.process.stdout.readexactly(RATE)
            assert len(heard) < 2 * LONGEST * RATE
        path = tmp_path / "heard.raw"
        while not path.exists() or not beginnings(samples(path.read_bytes()), RATE):
            await ann.process.stdout.readexactly(RATE)
        ann.process.terminate()
        assert (await bob.end())[-1]["code"] == 0
        assert await ann.process.stdout.read() is not None
        assert await ann.process.wait() == 130
        await asyncio.wait([typing])
        typing.exception()

    scenario(tmp_path, play)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sink", "pcm:-", "--json"), "pcm:- and --json cannot share standard output"),
        (("--sink", "pcm:-", "--sink", "pcm:-,rate=8000"), "pcm:- and pcm:-,rate=8000 cannot share standard output"),
    ],
)
@pytest.mark.parametrize("command", [("call", "bob@localhost"), ("answer",), ("bot", "qbcall.bots:Echo")])
def test_standard_output_is_for_one_thing(
    qbcall: Qbcall, password: str, command: tuple[str, ...], words: tuple[str, ...], told: str
) -> None:
    run = qbcall(*command, *words, "--jid", "ann@localhost")
    assert run.code == 2
    assert told in run.stderr
    assert "pcm:/dev/fd/3" in run.stderr
    assert not [line for line in run.stdout.splitlines() if not line.startswith("{")]


@pytest.mark.prosody
def test_sound_in_a_file_and_json_lines_go_together(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await place.start("bob", "answer", "--once")
        await bob.until("link.online")
        ann = await place.start(
            "ann", "call", "bob@localhost", "--audio", "--duration", "1", "--sink", f"pcm:{tmp_path / 'sound.raw'}"
        )
        assert (await ann.end())[-1]["code"] == 0
        assert len(samples((tmp_path / "sound.raw").read_bytes())) > RATE // 2

    scenario(tmp_path, play)


@pytest.mark.prosody
@pytest.mark.parametrize("user", ["ann", "bob"])
def test_call_is_hung_up_when_all_was_said(tmp_path: Path, user: str) -> None:
    async def play(place: Place) -> None:
        (tmp_path / "speech.raw").write_bytes(chirps(1.5))
        said = {
            name: ("--source", "pcm:speech.raw", "--to-the-end") if name == user else () for name in ("ann", "bob")
        }
        bob = await place.start("bob", "answer", "--once", "--sink", "pcm:bob.raw", *said["bob"])
        await bob.until("link.online")
        ann = await place.start("ann", "call", "bob@localhost", "--audio", "--sink", "pcm:ann.raw", *said["ann"])
        assert [(await one.end())[-1]["code"] for one in (ann, bob)] == [0, 0]
        heard = samples((tmp_path / ("bob.raw" if user == "ann" else "ann.raw")).read_bytes())
        assert len(heard) > RATE // 4

    scenario(tmp_path, play)
