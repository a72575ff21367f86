"""`qbcall doctor`: what people and programs are told, and the exit code."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from qbcall.cli.doctor import code_of
from qbcall.devserver import DevServer
from qbcall.doctor.results import Result, Status
from qbcall.errors import AuthError, MediaError
from tests.adapters.test_turn import ephemeral
from tests.cli.conftest import Line, Qbcall, types
from tests.cli.programs import Place, scenario
from tests.coturn import NEEDS_COTURN, coturn

DOCS = Path(__file__).parent.parent.parent / "docs" / "doctor.md"


def checks(lines: list[Line]) -> dict[str, str]:
    """Check -> status."""
    return {str(line["check"]): str(line["status"]) for line in lines if line["type"] == "doctor.check"}


@pytest.mark.prosody
@NEEDS_COTURN
def test_where_everything_works_it_exits_0(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        async with coturn() as relay, DevServer(tls=True, external_services=[ephemeral(relay)]) as server:
            environment = {
                "QBCALL_SERVER": f"{server.host}:{server.port}",
                "QBCALL_PASSWORD": server.accounts["ann"],
                "QBCALL_ACCOUNT__PLAINTEXT": "false",
                "QBCALL_ACCOUNT__CA_FILE": str(server.ca_file),
            }
            doctor = await place.start("ann", "doctor", **environment)
            lines = await doctor.end()
        found = checks(lines)
        assert set(found) == {
            *("dns", "server", "tls", "login", "xep-0198", "xep-0215", "xep-0280", "clock", "addresses", "stun"),
            *("turn-udp", "turn-tcp", "turn-tls", "mtu", "call-direct", "call-relay"),
        }
        for check in found:
            assert f"`{check}`" in DOCS.read_text(encoding="utf-8")
        assert {check for check, status in found.items() if status != "pass"} == {"stun", "turn-tls"}
        assert types(lines)[-2:] == ["doctor.summary", "exit"]
        assert lines[-2]["counts"] == {"pass": 14, "warning": 0, "failure": 0, "skipped": 2}
        assert lines[-1]["code"] == 0
        said = await doctor.whole()
        assert "a call to itself, through TURN ..." in said  # it takes longer than a second
        assert "calls will work from here" in said

    scenario(tmp_path, play)


@pytest.mark.prosody
def test_server_that_lacks_something_exits_14(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        doctor = await place.start("ann", "doctor")
        lines = await doctor.end()
        assert checks(lines)["xep-0215"] == "warning"
        assert checks(lines)["call-direct"] == "pass"
        assert lines[-1]["code"] == 14

    scenario(tmp_path, play)


@pytest.mark.prosody
def test_wrong_password_exits_4_and_the_other_checks_run(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        doctor = await place.start("ann", "doctor", QBCALL_PASSWORD="hunter2")
        lines = await doctor.end()
        found = checks(lines)
        assert (found["login"], found["xep-0198"], found["call-direct"]) == ("failure", "skipped", "pass")
        assert lines[-1]["code"] == 4
        assert "hunter2" not in await doctor.whole()

    scenario(tmp_path, play)


@pytest.mark.prosody
def test_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        reached = asyncio.Event()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.set()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as silent:
            port = silent.sockets[0].getsockname()[1]
            doctor = await place.start("ann", "doctor", QBCALL_SERVER=f"127.0.0.1:{port}")
            await reached.wait()
            doctor.process.send_signal(signal.SIGINT)
            lines = await doctor.end()
        assert types(lines) == ["hello", "doctor.check", "exit"]
        assert lines[-1]["code"] == 130

    scenario(tmp_path, play)


def test_people_read_a_line_for_each_check_with_its_remedy(qbcall: Qbcall, password: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    run = qbcall("doctor", "--jid", "ann@localhost", "--server", address, "--plaintext")
    assert run.code == 5
    assert run.stdout == ""
    told = [line for line in run.stderr.splitlines() if line.startswith(("pass", "failure", "skipped"))]
    assert any(line.startswith(f"failure  server      {address}: ") and " => " in line for line in told)
    assert "calls will not work as configured: (" in run.stderr


def test_wrong_configuration_exits_3_before_anything_is_checked(
    qbcall: Qbcall, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QBCALL_ICE__TRANSPORT_POLICY", "relay")
    monkeypatch.setenv("QBCALL_ICE__DISCOVER", "false")
    run = qbcall("doctor", "--jid", "ann@localhost", "--json")
    assert (run.code, types(run.lines)) == (3, ["hello", "exit"])


def test_first_failure_decides_the_exit_code() -> None:
    def result(status: Status, error: Exception | None = None) -> Result:
        return Result(check="x", status=status, detail="", error=error)

    passed, warned, skipped = (result(one) for one in (Status.PASS, Status.WARNING, Status.SKIPPED))
    assert code_of([passed, skipped]) == 0
    assert code_of([warned, passed]) == 14
    assert code_of([warned, result(Status.FAILURE, AuthError("x")), result(Status.FAILURE, MediaError("x"))]) == 4
    assert code_of([result(Status.FAILURE, MediaError("x")), warned]) == 9
