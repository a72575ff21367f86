"""`qbcall signal send` and `qbcall signal listen`, each a process of its own, over a real server on loopback."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Line, Qbcall, types
from tests.cli.programs import Place, Program, scenario

ME = ("--jid", "ann@localhost")
BOB = "bob@localhost"
over_prosody = pytest.mark.prosody


def of(lines: list[Line], name: str) -> list[Line]:
    return [line for line in lines if line["type"] == name]


def told(lines: list[Line]) -> list[tuple[object, object, object]]:
    """Who signalled what."""
    return [(line["sender"], line["signal_type"], line["data"]) for line in of(lines, "signal")]


async def listening(place: Place, *words: str, name: str = "bob") -> Program:
    program = await place.start(name, "signal", "listen", *words)
    await program.until("link.online")
    return program


@over_prosody
def test_signal_arrives_and_both_leave(tmp_path: Path) -> None:
    """VS-001, VS-006, VS-020."""

    async def play(place: Place) -> None:
        bob = await listening(place, "--count", "1")
        ann = await place.start("ann", "signal", "send", BOB, "--type", "chat", "--data", "hi & <bye>\té", "--ack")
        sent, heard = await ann.end(), await bob.end()
        assert (sent[-1]["code"], heard[-1]["code"]) == (0, 0)
        assert told(heard) == [("ann@localhost", "chat", "hi & <bye>\té")]
        assert told(sent) == told(heard), "all includes the sender"
        (mine,), (theirs,), (delivered,) = of(sent, "signal.sent"), of(heard, "signal"), of(sent, "signal.delivered")
        assert mine["id"] == theirs["id"] == delivered["id"]
        assert mine["call"] == theirs["call"]
        assert "signal.not_sent" not in types(sent)

    scenario(tmp_path, play)


@over_prosody
def test_text_of_a_file_goes_to_one_of_two(tmp_path: Path) -> None:
    """VS-002, VS-009: 8192 bytes, line ends as they are."""
    text = "é\r\n" * 2048
    (tmp_path / "text").write_bytes(text.encode())

    async def play(place: Place) -> None:
        bob, cat = await listening(place), await listening(place, "--count", "1", name="cat")
        words = ("--data-file", "text", "--to", "CAT@localhost", "--ack")
        ann = await place.start("ann", "signal", "send", BOB, "cat@localhost", *words)
        sent, of_cat = await ann.end(), await cat.end()
        await bob.until("call.ended")  # maybe before media came
        bob.process.send_signal(signal.SIGINT)
        of_bob = await bob.end()
        assert (sent[-1]["code"], of_cat[-1]["code"], of_bob[-1]["code"]) == (0, 0, 130)
        assert told(of_cat) == [("ann@localhost", "", text)]
        assert told(of_bob) == told(sent) == []

    scenario(tmp_path, play, accounts=("ann", "bob", "cat"))


@over_prosody
def test_lines_go_as_they_come_and_a_wrong_one_fails_alone(tmp_path: Path) -> None:
    """VS-003, VS-008."""

    async def play(place: Place) -> None:
        bob = await listening(place)
        ann = await place.start("ann", "signal", "send", BOB, "--type", "log", "--lines")
        await ann.type(b"first\n")
        await bob.until("signal", data="first")
        await ann.type(b"x" * 8192 + b"\n" + b"x" * 20_000 + b"\n\xff\n\n")
        for number in range(200):
            await ann.type(f"{number}\n".encode())
        await ann.type(b"last")
        assert ann.process.stdin is not None
        ann.process.stdin.close()
        sent = await ann.end()
        await bob.until("call.ended")
        bob.process.send_signal(signal.SIGTERM)
        heard = await bob.end()
        numbers = [str(number) for number in range(200)]
        assert [data for _, _, data in told(heard)] == ["first", "x" * 8192, "", *numbers, "last"]
        assert {type for _, type, _ in told(heard)} == {"log"}
        assert sent[-1]["code"] == 13
        assert sent[-1]["error"] == "line 3: data has 20000 bytes in UTF-8, at most 8192 (413); 1 more failed"
        assert len(of(sent, "signal.sent")) == 204

    scenario(tmp_path, play)


@over_prosody
def test_call_that_is_over_before_the_input_ends_the_sender(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await listening(place, "--count", "2")
        ann = await place.start("ann", "signal", "send", BOB, "--lines", "--ack")
        await ann.type(b"one\ntwo\n")
        heard, sent = await bob.end(), await ann.end()
        assert [data for _, _, data in told(heard)] == ["one", "two"]
        assert len(of(sent, "signal.delivered")) == 2
        assert (heard[-1]["code"], sent[-1]["code"]) == (0, 13)
        assert sent[-1]["error"] == "the call was over before the input (404)"

    scenario(tmp_path, play)


@over_prosody
def test_who_does_not_take_part_gets_nothing_and_that_is_told(tmp_path: Path) -> None:
    """VS-016."""

    async def play(place: Place) -> None:
        bob = await listening(place)
        cat = await place.start("cat", "answer", "--once", "--reject")
        await cat.until("link.online")
        ann = await place.start("ann", "signal", "send", BOB, "cat@localhost", "--data", "hi")
        sent, _ = await ann.end(), await cat.end()
        assert (await bob.until("signal"))["data"] == "hi"
        assert (sent[-1]["code"], sent[-1]["error"]) == (13, "cat@localhost is not in the call (404)")
        assert len(of(sent, "signal.sent")) == 1

    scenario(tmp_path, play, accounts=("ann", "bob", "cat"))


@over_prosody
def test_nobody_accepts_exits_as_a_call_does(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await place.start("bob", "answer", "--once", "--reject")
        await bob.until("link.online")
        ann = await place.start("ann", "signal", "send", BOB)
        assert (await ann.end())[-1]["code"] == 6
        assert (await bob.end())[-1]["code"] == 0

    scenario(tmp_path, play)


@over_prosody
def test_listener_tells_and_counts_one_type_only(tmp_path: Path) -> None:
    """VS-004."""

    async def play(place: Place) -> None:
        bob = await listening(place, "--type", "chat", "--count", "1", "--allow", "jid:ann@*")
        ann = await place.start("ann", "signal", "send", BOB, "--type", "other", "--data", "1", "--ack")
        assert (await ann.end())[-1]["code"] == 0
        ann = await place.start("ann", "signal", "send", BOB, "--type", "chat", "--data", "2", "--ack")
        assert (await ann.end())[-1]["code"] == 0
        assert told(await bob.end()) == [("ann@localhost", "chat", "2")]

    scenario(tmp_path, play)


@over_prosody
def test_listener_leaves_after_its_time(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await place.start("bob", "signal", "listen", "--duration", "0.5")
        assert types(await bob.end()) == ["hello", "link.online", "exit"]
        assert bob.process.returncode == 0
        bob = await place.start("bob", "signal", "listen", "--count", "1", "--timeout", "1.5")
        assert (await bob.end())[-1]["code"] == 124

    scenario(tmp_path, play)


@over_prosody
def test_calls_with_media_send_and_tell_signals(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await place.start("bob", "answer", "--once")
        await bob.until("link.online")
        words = ("--audio", "--duration", "0.5", "--signal", "topic=a=b", "--signal", "empty=")
        ann = await place.start("ann", "call", BOB, *words)
        sent, heard = await ann.end(), await bob.end()
        assert (sent[-1]["code"], heard[-1]["code"]) == (0, 0)
        assert told(heard) == [("ann@localhost", "topic", "a=b"), ("ann@localhost", "empty", "")]
        assert of(heard, "participant.joined")

    scenario(tmp_path, play)


@over_prosody
def test_ctrl_c_stops_a_sender_that_waits_for_input(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        bob = await listening(place)
        ann = await place.start("ann", "signal", "send", BOB, "--lines")
        await ann.until("participant.joined")
        ann.process.send_signal(signal.SIGINT)
        assert (await ann.end())[-1]["code"] == 130
        await bob.until("call.ended")

    scenario(tmp_path, play)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--type", "a b"), "type 'a b' has ' ' in it"),
        (("--type", "x" * 129), "type has 129 characters, at most 128"),
        (("--data", "x" * 8193), "data has 8193 bytes in UTF-8, at most 8192"),
        (("--data", "é" * 4097), "data has 8194 bytes in UTF-8, at most 8192"),
        (("--data", "\x01"), "data has '\\x01' in it, which XML cannot carry"),
        (("--to", "cat@localhost"), "--to must be one of bob@localhost, not cat@localhost"),
        (("--to", "no jid"), "no jid"),
        (("--ttl", "0"), "--ttl must be more than 0 s and finite, not 0"),
        (("--ttl", "nan"), "--ttl must be more than 0 s and finite, not nan"),
        (("--data", "x", "--lines"), "--data, --data-file and --lines exclude each other"),
        (("--data-file", "gone"), "'gone' does not exist"),
        (("--data-file", "long"), "--data-file: long has more than 8192 bytes"),
        (("--data-file", "binary"), "data is not UTF-8: invalid start byte at byte 1"),
    ],
)
def test_what_cannot_be_sent_exits_2(qbcall: Qbcall, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """VS-008, VS-011, VS-012, VS-013, VS-017. There is no server, and not even a password."""
    (tmp_path / "long").write_bytes(b"x" * 8193)
    (tmp_path / "binary").write_bytes(b"x\xff")
    run = qbcall("signal", "send", BOB, *words, *ME, "--json")
    assert run.code == 2
    assert told in " ".join(run.stderr.split())
    assert types(run.lines) == ["hello", "exit"]
    assert told in str(run.lines[-1]["error"])


@pytest.mark.parametrize("words", ["nothing", "a b=x", "t=" + "x" * 8193])
@pytest.mark.usefixtures("password")
def test_signal_of_a_call_that_cannot_be_sent_exits_2(qbcall: Qbcall, words: str) -> None:
    run = qbcall("call", BOB, *ME, "--signal", words)
    assert (run.code, run.stdout) == (2, "")


def test_listener_of_a_type_that_cannot_be_exits_2(qbcall: Qbcall) -> None:
    run = qbcall("signal", "listen", *ME, "--type", "a b")
    assert run.code == 2
    assert "type 'a b'" in run.stderr


def test_misspelled_option_names_the_help_of_the_command(qbcall: Qbcall) -> None:
    run = qbcall("signal", "send", BOB, "--too", "x")
    assert run.code == 2
    assert "(see: qbcall signal send --help)" in run.stderr
