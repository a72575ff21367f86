"""Logging in: which servers are used, which are refused, and what is told about it."""

from __future__ import annotations

import hashlib
import socket
import string
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qbcall import devserver_files
from qbcall.adapters import xmpp_login
from qbcall.adapters.xmpp import XmppSettings
from qbcall.adapters.xmpp_settings import is_loopback
from qbcall.core.inputs import LinkBroke
from qbcall.devserver import DevServer
from qbcall.errors import AuthError, InsecureLink, LinkDown, ServerUnreachable
from tests.adapters.xmpp_room import LOCAL, impostor, online, refusal, run
from tests.prosody import NEEDS_PROSODY, settings


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


# -- a real server ---------------------------------------------------------------------------------------------------


@NEEDS_PROSODY
@pytest.mark.parametrize("tls", [False, True])
def test_right_password_comes_up_with_a_random_resource(tls: bool) -> None:
    async def scenario() -> None:
        async with DevServer(tls=tls) as server:
            async with online(settings(server)) as (link, inbox, device), online(settings(server)) as (_, _, other):
                assert device.startswith("ann@localhost/qbcall-")
                assert device != other
                assert 0 < await link.round_trip() < 10
            assert inbox.unread == []

    run(scenario)


@NEEDS_PROSODY
def test_password_is_salted_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 iterations take 30 ms: media of a running call must not wait for them."""
    threads: list[threading.Thread] = []

    def watched(*what: Any) -> bytes:
        threads.append(threading.current_thread())
        return salted(*what)

    salted = hashlib.pbkdf2_hmac
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", watched)

    async def scenario() -> None:
        async with DevServer() as server, online(settings(server)):
            pass

    run(scenario)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


@NEEDS_PROSODY
@pytest.mark.parametrize("password", ["", "pässwörd £ \" ' < & \\", "x" * 200])
def test_odd_password_works_and_a_wrong_one_is_fatal(password: str) -> None:
    async def scenario() -> None:
        async with DevServer(accounts={"ann": password or "x", "bob": "other"}) as server:
            if password:
                async with online(settings(server)):
                    pass
            broke = await refusal(settings(server, password="wrong"))
            assert isinstance(broke.reason, AuthError)
            assert broke.fatal
            assert "ann@localhost" in str(broke.reason)
            assert "wrong" not in str(broke.reason)

    run(scenario)


@NEEDS_PROSODY
def test_account_added_to_a_running_server_logs_in() -> None:
    async def scenario() -> None:
        async with DevServer(accounts=("ann",)) as server, online(settings(server)):
            server.add_account("bob")
            async with online(settings(server, "bob")) as (_, _, device):
                assert device.startswith("bob@localhost/")

    run(scenario)


@NEEDS_PROSODY
def test_resource_that_is_given_is_used() -> None:
    async def scenario() -> None:
        async with DevServer() as server, online(settings(server, resource="phone")) as (_, _, device):
            assert device == "ann@localhost/phone"

    run(scenario)


@NEEDS_PROSODY
def test_untrusted_certificate_is_fatal_before_the_password_is_used() -> None:
    async def scenario() -> None:
        async with DevServer(tls=True) as server:
            broke = await refusal(settings(server, ca_file=None))
            assert isinstance(broke.reason, InsecureLink)
            assert broke.fatal
            assert "certificate" in str(broke.reason)

    run(scenario)


@NEEDS_PROSODY
def test_server_without_scram_is_shown_the_password_only_where_that_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only_plain = 'disable_sasl_mechanisms = { "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256" }\nVirtualHost'
    template = devserver_files.CONFIG.template.replace("VirtualHost", only_plain)
    monkeypatch.setattr(devserver_files, "CONFIG", string.Template(template))

    async def scenario() -> None:
        async with DevServer(tls=True) as server:
            broke = await refusal(settings(server))
            assert isinstance(broke.reason, InsecureLink)
            assert "no SCRAM to log in, but PLAIN" in str(broke.reason)
            async with online(settings(server, sasl_plain=True)) as (_, _, device):
                assert device.startswith("ann@localhost/")
            broke = await refusal(settings(server, sasl_plain=True, password="wrong"))
            assert isinstance(broke.reason, AuthError)

    run(scenario)


@NEEDS_PROSODY
def test_server_without_tls_is_refused_unless_plaintext_was_asked_for() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            broke = await refusal(settings(server, plaintext=False))
            assert isinstance(broke.reason, InsecureLink)
            assert broke.fatal
            assert "no TLS" in str(broke.reason)

    run(scenario)


@NEEDS_PROSODY
def test_server_that_wants_tls_refuses_plaintext() -> None:
    async def scenario() -> None:
        async with DevServer(tls=True) as server:
            broke = await refusal(settings(server, plaintext=True))
            assert isinstance(broke.reason, InsecureLink)
            assert "wants TLS" in str(broke.reason)

    run(scenario)


@NEEDS_PROSODY
def test_same_resource_again_is_a_conflict_for_the_first() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            same = settings(server, resource="phone")
            async with online(same) as (_, first, _), online(same) as (_, second, _):
                broke = await first.next(LinkBroke)
                assert isinstance(broke.reason, LinkDown)
                assert broke.fatal
                assert "conflict" in str(broke.reason)
                assert second.unread == []

    run(scenario)


# -- no server -------------------------------------------------------------------------------------------------------


def test_unknown_host_is_unreachable() -> None:
    async def scenario() -> None:
        broke = await refusal(XmppSettings(jid="ann@no-such-host.invalid", password="x", host="no-such-host.invalid"))
        assert isinstance(broke.reason, ServerUnreachable)
        assert not broke.fatal
        assert "no-such-host.invalid:5222" in str(broke.reason)

    run(scenario)


def test_refused_port_is_unreachable() -> None:
    async def scenario() -> None:
        port = closed_port()
        broke = await refusal(XmppSettings(jid="ann@localhost", password="x", host="127.0.0.1", port=port))
        assert isinstance(broke.reason, ServerUnreachable)
        assert not broke.fatal
        assert str(broke.reason).startswith(f"127.0.0.1:{port}: ")

    run(scenario)


def test_mute_server_is_unreachable_after_the_login_timeout() -> None:
    async def scenario() -> None:
        async with impostor() as server:
            broke = await refusal(replace(LOCAL, port=server.port, login_timeout=0.1))
        assert isinstance(broke.reason, ServerUnreachable)
        assert str(broke.reason) == f"127.0.0.1:{server.port}: not logged in within 0.1 s"
        assert not broke.fatal

    run(scenario)


@pytest.mark.parametrize("host", ["192.0.2.1", "chat.example.org", None])
def test_plaintext_to_another_machine_is_refused_before_connecting(
    host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*args: object) -> None:
        pytest.fail("connected")

    monkeypatch.setattr(xmpp_login.XmppLogin, "connect", connect)

    async def scenario() -> None:
        broke = await refusal(XmppSettings(jid="ann@chat.example.org", password="x", host=host, plaintext=True))
        assert isinstance(broke.reason, InsecureLink)
        assert broke.fatal
        assert (host or "chat.example.org") in str(broke.reason)

    run(scenario)


def test_ca_file_that_is_none_is_fatal(tmp_path: Path) -> None:
    async def scenario() -> None:
        broke = await refusal(replace(LOCAL, plaintext=False, ca_file=tmp_path))
        assert isinstance(broke.reason, InsecureLink)
        assert "ca_file" in str(broke.reason)

    run(scenario)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("LOCALHOST.", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_password_is_not_shown() -> None:
    assert "right" not in repr(LOCAL)
