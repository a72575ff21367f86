"""`--report FILE`: written whatever becomes of the call, and refused before it begins."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import jsonschema
import pytest

from qbcall import MemoryHub, SinkError
from qbcall.cli import reports
from qbcall.cli.output import Output
from qbcall.report import document, write_document
from tests.cli.conftest import Qbcall
from tests.cli.programs import Place, scenario
from tests.report.test_page import Reader
from tests.test_client import clients, run


def read(path: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(document.schema()).validate(told)
    return told


async def exists(path: Path) -> None:
    """Wait until the file is there."""
    while not await asyncio.to_thread(path.exists):
        pass


@pytest.mark.prosody
def test_both_sides_of_a_call_report_it(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await place.start("bob", "answer", "--once", "--report", "bob.html")
        await bob.until("link.online")
        ann = await place.start("ann", "call", "bob@localhost", "--duration", "2", "--report", "ann.json")
        told, heard = await ann.end(), await bob.end()
        assert (told[-1]["code"], heard[-1]["code"]) == (0, 0)
        report = read(tmp_path / "ann.json")
        assert (report["me"], report["end_reason"]) == ("ann@localhost", "hung_up")
        peers = report["peers"]
        assert isinstance(peers, list)
        assert peers[0]["samples"]
        assert peers[0]["states"][-1]["state"] == "closed"
        words = "".join(Reader((tmp_path / "bob.html").read_text(encoding="utf-8")).words)
        assert "Call of bob@localhost with ann@localhost" in words

    scenario(tmp_path, play)


@pytest.mark.prosody
def test_call_that_ctrl_c_ends_is_reported(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await place.start("bob", "answer", "--after", "60")
        await bob.until("link.online")
        ann = await place.start("ann", "call", "bob@localhost", "--report", "ann.json")
        await bob.until("call.incoming")
        ann.process.send_signal(signal.SIGINT)
        assert (await ann.end())[-1]["code"] == 130
        assert read(tmp_path / "ann.json")["end_reason"] == "hung_up"

    scenario(tmp_path, play)


@pytest.mark.prosody
def test_each_call_of_a_bot_is_reported(tmp_path: Path) -> None:
    """Those after the first have a number; a call that was rejected is told too."""

    async def play(place: Place) -> None:
        bob = await place.start("bob", "bot", "qbcall.bots:Echo", "--calls", "2", "--report", "bob.json")
        await bob.until("link.online")
        for number, name in enumerate(("one", "two")):
            words = ("call", "bob@localhost", "--duration", "0.5", "--report", f"{name}.json")
            assert (await (await place.start("ann", *words)).end())[-1]["code"] == 0
            if number == 0:  # the bot goes on, and the report is there
                await bob.until("call.ended")
                await exists(tmp_path / "bob.json")
        assert (await bob.end())[-1]["code"] == 0
        calls = [read(tmp_path / name)["call"] for name in ("one.json", "two.json")]
        assert [read(tmp_path / name)["call"] for name in ("bob.json", "bob-2.json")] == calls

    scenario(tmp_path, play)


@pytest.mark.prosody
def test_report_that_became_impossible_is_told_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()

    async def play(place: Place) -> None:
        bob = await place.start("bob", "answer", "--once")
        await bob.until("link.online")
        ann = await place.start("ann", "call", "bob@localhost", "--duration", "0.5", "--report", "reports/ann.html")
        await ann.until("call.state", new="connected")
        folder.rmdir()
        end = (await ann.end())[-1]
        assert end["code"] == 12
        assert "reports/ann.html" in str(end["error"])

    scenario(tmp_path, play)


@pytest.mark.parametrize("ends", [True, False])
def test_report_that_fails_in_any_way_is_told_and_the_others_are_written(
    ends: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the calls are over, or go on when the command ends."""

    def write(told: document.Document, path: Path) -> None:
        if path.name == "ann.json":
            raise ValueError("no such figure")
        write_document(told, path)

    monkeypatch.setattr(reports, "write_document", write)

    async def play(stack: AsyncExitStack, hub: MemoryHub) -> None:
        (ann,) = await clients(stack, hub, "ann")
        written = reports.Reports(ann, tmp_path / "ann.json", Output(json=False, quiet=False))
        calls = [await ann.call(f"{name}@example.org") for name in ("bob", "cat", "dan")]
        for call in calls if ends else ():
            await call.hang_up()
            await call.ended()
        with pytest.raises(SinkError, match=r"ann\.json: ValueError\('no such figure'\)$"):
            await written.finish()
        for call in calls:
            await call.hang_up()
            await call.ended()
        assert [read(tmp_path / name)["call"] for name in ("ann-2.json", "ann-3.json")] == [
            one.id for one in calls[1:]
        ]

    run(play)
    assert "no such figure" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["call", "bob@localhost"], ["answer"], ["bot", "qbcall.bots:Echo"]])
@pytest.mark.parametrize(("file", "code"), [("a.pdf", 2), ("a", 2), ("gone/a.html", 12), ("here.json", 12)])
@pytest.mark.usefixtures("password")
def test_report_that_cannot_be_is_refused_before_anything_is_sent(
    command: list[str], file: str, code: int, qbcall: Qbcall, tmp_path: Path
) -> None:
    """The server does not exist: whoever asked it would end with code 5."""
    (tmp_path / "here.json").mkdir()
    where = ("--jid", "ann@localhost", "--server", "127.0.0.1:1", "--plaintext", "--json")
    ran = qbcall(*command, "--report", file, *where)
    assert ran.code == code
    assert file in str(ran.lines[-1]["error"])


def test_schema_of_reports_is_printed(qbcall: Qbcall) -> None:
    assert json.loads(qbcall("schema", "--report").stdout) == document.schema()
