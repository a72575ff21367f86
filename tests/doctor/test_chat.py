"""Checks of the way to the chat server."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from pathlib import Path

import pytest

from qbcall import devserver_files
from qbcall.config import Config
from qbcall.devserver import DevServer
from qbcall.devserver_files import ExternalService
from qbcall.doctor import chat, web_date
from qbcall.doctor.chat import judge_clock
from qbcall.doctor.examination import Case, Check, examine
from qbcall.doctor.results import Result
from qbcall.errors import AuthError, InsecureLink, MediaError, ServerUnreachable
from tests.adapters.xmpp_room import HEADER, features, impostor
from tests.doctor.dns import name_server
from tests.doctor.surgery import CHAT, FAILURE, OK, SKIPPED, WARNING, account, examined, run
from tests.prosody import NEEDS_PROSODY

STUN = ExternalService(type="stun", host="127.0.0.1", port=3478)
LATER = ["xep-0198", "xep-0215", "xep-0280", "clock"]


def nobody(jid: str = "ann@localhost", **changed: object) -> dict[str, object]:
    return {"jid": jid, "password": "x", **changed}


@NEEDS_PROSODY
def test_good_server_passes_every_check() -> None:
    async def scenario() -> None:
        async with DevServer(tls=True, external_services=[STUN]) as server:
            report = await examined(account(server), only=CHAT)
        assert report.statuses == [(name, OK) for name in ("dns", "server", "tls", "login", *LATER)]
        assert "29 days" in report.about("tls").detail
        assert "stun:127.0.0.1:3478" in report.about("xep-0215").detail
        assert abs(report.about("clock").ms or 9e9) < 2000
        assert 0 < (report.about("login").ms or 0) < 20_000

    run(scenario)


@NEEDS_PROSODY
def test_wrong_password_fails_the_login_only() -> None:
    async def scenario() -> None:
        async with DevServer(tls=True) as server:
            report = await examined(account(server, password="hunter2"), only=CHAT)
        assert report.statuses[:4] == [("dns", OK), ("server", OK), ("tls", OK), ("login", FAILURE)]
        assert report.statuses[4:] == [(name, SKIPPED) for name in LATER]
        login = report.about("login")
        assert isinstance(login.error, AuthError)
        assert "password" in login.remedy
        assert "hunter2" not in str(report.results)
        assert report.about("clock").detail == "login failed"

    run(scenario)


@NEEDS_PROSODY
def test_server_without_tls_fails_that_check() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            report = await examined(account(server, plaintext=False), only=CHAT)
        assert report.statuses[:4] == [("dns", OK), ("server", OK), ("tls", FAILURE), ("login", SKIPPED)]
        tls = report.about("tls")
        assert "no TLS" in tls.detail
        assert "STARTTLS" in tls.remedy
        assert isinstance(tls.error, InsecureLink)

    run(scenario)


@NEEDS_PROSODY
def test_untrusted_certificate_is_told_with_what_to_do() -> None:
    async def scenario() -> None:
        async with DevServer(tls=True) as server:
            report = await examined(account(server, ca_file=None), only=CHAT)
        tls = report.about("tls")
        assert (report.about("server").status, tls.status, report.about("login").status) == (OK, FAILURE, SKIPPED)
        assert "certificate" in tls.detail
        assert "account.ca_file" in tls.remedy

    run(scenario)


@NEEDS_PROSODY
@pytest.mark.parametrize(
    ("validity", "status", "words"),
    [
        (datetime.timedelta(days=3), WARNING, "new certificate soon"),
        (datetime.timedelta(minutes=-30), FAILURE, "needs a new certificate"),
    ],
)
def test_certificate_near_or_behind_its_end_is_told(
    monkeypatch: pytest.MonkeyPatch, validity: datetime.timedelta, status: object, words: str
) -> None:
    monkeypatch.setattr(devserver_files, "VALIDITY", validity)

    async def scenario() -> None:
        async with DevServer(tls=True) as server:
            tls = (await examined(account(server), only=CHAT)).about("tls")
        assert tls.status is status
        assert words in tls.remedy

    run(scenario)


@NEEDS_PROSODY
def test_server_that_lacks_xeps_gets_warnings() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            assert server.place
            config = server.place / "prosody.cfg.lua"
            text = config.read_text(encoding="utf-8")
            for module in ('"smacks", ', '"carbons", ', '"time", '):
                assert module in text
                text = text.replace(module, "")
            config.write_text(text, encoding="utf-8")
            await server.restart()
            report = await examined(account(server), only=CHAT)
            configured = await examined(account(server), {"servers": [{"urls": "stun:127.0.0.1:3478"}]}, only=CHAT)
        assert report.statuses == [
            ("dns", OK),
            ("server", OK),
            ("tls", SKIPPED),
            ("login", OK),
            ("xep-0198", WARNING),
            ("xep-0215", WARNING),
            ("xep-0280", SKIPPED),
            ("clock", SKIPPED),
        ]
        assert "smacks" in report.about("xep-0198").remedy
        assert "mod_stun_disco" in report.about("xep-0215").remedy
        assert "XEP-0202" in report.about("clock").detail
        assert configured.about("xep-0215").status is SKIPPED

    run(scenario)


def test_no_server_at_all_fails_that_check() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        report = await examined(nobody(server=f"127.0.0.1:{port}"), only=CHAT)
        assert report.statuses[:4] == [("dns", OK), ("server", FAILURE), ("tls", SKIPPED), ("login", SKIPPED)]
        server = report.about("server")
        assert str(port) in server.subject
        assert "account.server" in server.remedy
        assert isinstance(server.error, ServerUnreachable)

    run(scenario)


def test_server_for_other_domains_is_to_blame_and_not_tls() -> None:
    async def scenario() -> None:
        unknown = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        async with impostor(HEADER + unknown) as server:
            report = await examined(nobody(server=f"127.0.0.1:{server.port}"), only=CHAT)
        assert report.about("server").status is FAILURE
        assert "host-unknown" in report.about("server").detail
        assert report.about("tls").status is SKIPPED

    run(scenario)


def test_server_without_scram_fails_the_login() -> None:
    async def scenario() -> None:
        async with impostor(HEADER + features("PLAIN")) as server:
            report = await examined(nobody(server=f"127.0.0.1:{server.port}", plaintext=True), only=CHAT)
        assert report.about("login").status is FAILURE
        assert "sasl_plain" in report.about("login").remedy

    run(scenario)


def test_ca_file_that_is_none_fails_tls_and_the_server_is_not_tried(tmp_path: Path) -> None:
    async def scenario() -> None:
        report = await examined(nobody(server="127.0.0.1:1", ca_file=tmp_path / "gone"), only=CHAT)
        assert (report.about("server").status, report.about("tls").status) == (SKIPPED, FAILURE)
        assert "gone" in report.about("tls").detail

    run(scenario)


@pytest.mark.parametrize(
    ("skew", "status", "words"), [(-40.0, WARNING, "40 s behind"), (70.0, WARNING, "70 s ahead"), (4.0, OK, "")]
)
def test_clock_that_is_wrong_is_a_warning(skew: float, status: object, words: str) -> None:
    result = judge_clock(skew, "the server's")
    assert result.status is status
    assert words in result.detail
    assert result.ms == skew * 1000


@NEEDS_PROSODY
@pytest.mark.parametrize(
    ("date", "status"), [("Thu, 01 Jan 2026 00:00:00 GMT", WARNING), ("soon", SKIPPED), ("", SKIPPED)]
)
def test_clock_of_the_web_server_counts_where_the_chat_server_tells_no_time(
    monkeypatch: pytest.MonkeyPatch, date: str, status: object
) -> None:
    async def scenario() -> None:
        async with DevServer(tls=True) as server:
            assert server.place
            config = server.place / "prosody.cfg.lua"
            config.write_text(config.read_text("utf-8").replace('"time", ', ""), "utf-8")
            await server.restart()
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(server.place / "certs" / "server.crt", server.place / "certs" / "server.key")
            answer = "HTTP/1.1 404 Not Found\r\n" + (f"Date: {date}\r\n" if date else "") + "\r\n"
            async with impostor(answer, tls=context, direct=True) as web:
                monkeypatch.setattr(web_date, "PORT", web.port)
                clock = (await examined(account(server), only=CHAT)).about("clock")
                assert web.heard[0].startswith("HEAD /.well-known/host-meta HTTP/1.1")
        assert clock.status is status
        assert status is SKIPPED or "its web server's" in clock.detail

    run(scenario)


# -- names -----------------------------------------------------------------------------------------------------------


def test_srv_records_are_followed_and_names_in_them_that_lead_nowhere_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        records = {
            "_xmpp-client._tcp.example.invalid": [(1, "localhost", 15222), (2, "gone.invalid", 5222)],
            "_xmpps-client._tcp.example.invalid": [(3, "localhost", 15223)],
        }
        async with name_server(records) as resolver:
            monkeypatch.setattr("qbcall.adapters.xmpp_probe.default_resolver", lambda _: resolver)
            report = await examined(nobody("ann@example.invalid"), only=["dns"])
        dns = report.about("dns")
        assert dns.status is WARNING
        assert dns.detail == (
            "SRV xmpp-client localhost:15222 -> 127.0.0.1; SRV xmpp-client gone.invalid:5222 -> no such host; "
            "SRV xmpps-client localhost:15223 -> 127.0.0.1"
        )
        assert "gone.invalid" in dns.remedy

    run(scenario)


def test_domain_that_is_not_there_fails() -> None:
    async def scenario() -> None:
        dns = (await examined(nobody("ann@example.invalid"), only=["dns"])).about("dns")
        assert dns.status is FAILURE
        assert "example.invalid:5222 -> no such host" in dns.detail
        assert isinstance(dns.error, ServerUnreachable)

    run(scenario)


# -- no check holds up or breaks the others --------------------------------------------------------------------------


def test_check_that_takes_too_long_or_breaks_fails_and_the_others_go_on() -> None:
    async def stuck(_: Case) -> list[Result]:
        await asyncio.Event().wait()
        return []

    async def broken(_: Case) -> list[Result]:
        raise ZeroDivisionError("oh")

    checks = [
        Check("one", "", 0.05, stuck, MediaError),
        Check("two", "", 1, broken, MediaError),
        Check("dns", "", 5, chat.check_dns, ServerUnreachable),
    ]

    async def scenario() -> None:
        config = Config.of(account=nobody(server="127.0.0.1:1"))
        begun: list[str] = []
        results = [result async for result in examine(config, checks, lambda check: begun.append(check.name))]
        assert begun == ["one", "two", "dns"]
        found = [(result.check, result.status, type(result.error)) for result in results]
        assert found == [
            ("one", FAILURE, MediaError),
            ("two", FAILURE, ZeroDivisionError),
            ("dns", OK, type(None)),
        ]
        assert "not finished within 0.05 s" in results[0].detail
        assert "report it" in results[1].remedy

    run(scenario)
