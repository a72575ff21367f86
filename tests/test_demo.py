"""The demo is honest: it runs the main job, and does not call a bad direction good."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from qbcall.demo import NAMES, run
from qbcall.demo_board import Board
from qbcall.errors import SourceError
from tests.media.pieces import make_file

GOOD = {
    "video_frames": 30,
    "cards": 30,
    "out_of_order": 0,
    "name": "bob",
    "tone": 550.0,
    "tone_expected": 550,
    "tone_ok": True,
}


def play(out: Path, *, offline: bool, source: str | None = None, impair: str = "", duration: float = 3.0) -> bool:
    people = Console(file=(out.parent / "table.txt").open("w"), width=80)
    try:
        return asyncio.run(
            run(source=source, offline=offline, duration=duration, out=out, people=people, impair=impair)
        )
    finally:
        people.file.close()


def check(out: Path) -> None:
    told = json.loads((out / "summary.json").read_text())
    assert told["ok"]
    assert len(told["directions"]) == 12
    assert all(direction["ok"] and direction["size"] != "-" for direction in told["directions"])
    with Image.open(out / "contact-sheet.png") as sheet:
        assert np.asarray(sheet.convert("RGB")).std() > 10


def test_a_mesh_of_four_without_a_server_delivers_every_direction(tmp_path: Path) -> None:
    assert play(tmp_path / "out", offline=True)
    check(tmp_path / "out")
    lines = (tmp_path / "table.txt").read_text().splitlines()
    assert max(map(len, lines)) <= 80


def test_a_mesh_over_a_bad_network_delivers_every_direction(tmp_path: Path) -> None:
    """Longer than others: a lost packet of the DTLS handshake is sent again after 1 s, then after 2 s."""
    assert play(tmp_path / "out", offline=True, impair="loss=2%,delay=40ms,seed=7", duration=6.0)
    check(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "summary.json").read_text())
    trips = [direction["round_trip"] for direction in told["directions"] if direction["round_trip"] is not None]
    assert min(trips) >= 0.07, "once in each direction"


@pytest.mark.prosody
def test_four_processes_over_a_real_server_deliver_every_direction(tmp_path: Path) -> None:
    assert play(tmp_path / "out", offline=False)
    check(tmp_path / "out")


def test_a_media_file_is_seen_and_heard(tmp_path: Path) -> None:
    clip = make_file(tmp_path / "clip.mkv", seconds=2.0, width=320, height=240)
    assert play(tmp_path / "out", offline=True, source=str(clip))
    check(tmp_path / "out")


def test_a_file_that_is_not_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_text("not media")
    with pytest.raises(SourceError, match=r"no\.mp4"):
        play(tmp_path / "out", offline=True, source=str(tmp_path / "no.mp4"))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({}, ""),
        ({"cards": 20}, "could be read"),
        ({"video_frames": 3, "cards": 3}, "only 3"),
        ({"name": "eve"}, "eve"),
        ({"out_of_order": 1}, "out of order"),
        ({"tone_ok": False, "tone": None}, "tone"),
    ],
)
def test_what_is_wrong_with_a_direction_is_told(wrong: dict[str, object], complaint: str) -> None:
    board = Board(("ann", "bob"))
    peers = {"bob@localhost": {"reports": [GOOD | wrong]}}
    board.feed("ann", {"type": "call.ended", "peers": peers})
    problems = board.directions["bob", "ann"].problems
    assert [complaint in problem for problem in problems] == ([True] if complaint else [])
    assert board.directions["ann", "bob"].problems == ["nothing was received"]
    assert not board.ok


def test_a_participant_that_failed_makes_the_demo_fail() -> None:
    board = Board(NAMES)
    board.feed("bob", {"type": "exit", "code": 9, "error": "no path"})
    assert board.trouble == ["bob: exit code 9: no path"]
    assert not board.ok


def test_what_does_not_come_is_shown_in_place_of_the_state() -> None:
    board = Board(("ann", "bob"))
    direction = board.directions["bob", "ann"]
    board.feed("ann", {"type": "peer.state", "peer": "bob@localhost", "new": "connected"})
    assert direction.shown == "connected"
    for new, shown in (("stalled", "audio stalled"), ("flowing", "connected"), ("lost", "connected")):
        board.feed("ann", {"type": "peer.direction", "peer": "bob@localhost", "kind": "audio", "new": new})
        assert direction.shown == shown
