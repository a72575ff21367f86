"""Logging in: which servers are used, which are refused, and what is told about it."""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from slixmpp.util.sasl.mechanisms import SCRAM

from qbcall.adapters import xmpp_stream
from qbcall.adapters.xmpp import XmppSettings
from qbcall.adapters.xmpp_scram import salted_password
from qbcall.adapters.xmpp_settings import is_loopback
from qbcall.core.inputs import LinkBroke
from qbcall.devserver import DevServer
from qbcall.devserver_files import Plan, write_files
from qbcall.errors import AuthError, InsecureLink, LinkDown, ServerUnreachable
from tests.adapters.xmpp_room import HEADER, PROCEED, SASL, features, impostor, linked, online, run
from tests.prosody import NEEDS_PROSODY, settings

LOCAL = XmppSettings(jid="ann@localhost", password="right", host="127.0.0.1", plaintext=True)


async def refusal(wanted: XmppSettings) -> LinkBroke:
    """The one thing that is posted when a login fails."""
    async with linked(wanted) as (link, inbox):
        link.dial()
        broke = await inbox.next(LinkBroke)
    assert inbox.unread == []
    return broke


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
        assert "no-such-host.invalid" in str(broke.reason)

    run(scenario)


def test_refused_port_is_unreachable() -> None:
    async def scenario() -> None:
        broke = await refusal(XmppSettings(jid="ann@localhost", password="x", host="127.0.0.1", port=closed_port()))
        assert isinstance(broke.reason, ServerUnreachable)
        assert not broke.fatal

    run(scenario)


def test_mute_server_is_unreachable_after_the_login_timeout() -> None:
    async def scenario() -> None:
        async with impostor() as server:
            broke = await refusal(replace(LOCAL, port=server.port, login_timeout=0.1))
        assert isinstance(broke.reason, ServerUnreachable)
        assert "within 0.1 s" in str(broke.reason)
        assert not broke.fatal

    run(scenario)


@pytest.mark.parametrize("host", ["192.0.2.1", "chat.example.org", None])
def test_plaintext_to_another_machine_is_refused_before_connecting(
    host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*args: object) -> None:
        pytest.fail("connected")

    monkeypatch.setattr(xmpp_stream.XmppStream, "connect", connect)

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


# -- a misbehaving server --------------------------------------------------------------------------------------------


def nonce_of(auth: str) -> str:
    """The client's nonce in its first message."""
    found = re.search(r">([^<]+)</auth>", auth)
    assert found, auth
    return base64.b64decode(found[1]).decode().rpartition("r=")[2]


def challenge(iterations: int) -> Callable[[str], str]:
    def line(heard: str) -> str:
        text = f"r={nonce_of(heard)}abc,s={base64.b64encode(b'salt').decode()},i={iterations}"
        return f"<challenge xmlns='{SASL}'>{base64.b64encode(text.encode()).decode()}</challenge>"

    return line


@pytest.mark.parametrize(
    ("plaintext", "offered", "why"),
    [
        (False, features("EXTERNAL", "PLAIN", "SCRAM-SHA-256"), "no TLS"),
        (False, features(), "no TLS"),
        (True, features("EXTERNAL", "PLAIN", "ANONYMOUS"), "ANONYMOUS, EXTERNAL, PLAIN"),
        (True, features("PLAIN", starttls=True), "PLAIN"),
        (True, features(starttls=True), "wants TLS"),
        (True, "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>", "nothing"),
    ],
)
def test_server_with_an_unsafe_login_gets_nothing(plaintext: bool, offered: str, why: str) -> None:
    async def scenario() -> None:
        async with impostor(HEADER + offered, *[HEADER + features("PLAIN")] * 3) as server:
            broke = await refusal(replace(LOCAL, port=server.port, plaintext=plaintext))
        assert isinstance(broke.reason, InsecureLink)
        assert broke.fatal
        assert why in str(broke.reason)
        (only,) = server.heard
        assert only.startswith("<stream:stream")

    run(scenario)


@pytest.mark.parametrize(("domain", "trusted"), [("localhost", True), ("example.org", False)])
def test_certificate_must_be_for_the_domain(domain: str, trusted: bool, tmp_path: Path) -> None:
    ca_file = write_files(
        Plan(
            place=tmp_path,
            host="127.0.0.1",
            port=1,
            http_port=2,
            domain=domain,
            accounts={},
            tls=True,
            run_as_root=False,
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certs" / "server.crt", tmp_path / "certs" / "server.key")

    async def scenario() -> None:
        under_tls = HEADER + features("PLAIN")
        async with impostor(HEADER + features(starttls=True), PROCEED, under_tls, tls=context) as server:
            broke = await refusal(replace(LOCAL, port=server.port, plaintext=False, ca_file=ca_file))
        assert isinstance(broke.reason, InsecureLink)
        assert broke.fatal
        assert ("but PLAIN" if trusted else "Hostname mismatch") in str(broke.reason)

    run(scenario)


def test_server_that_injects_after_starttls_gets_nothing() -> None:
    """What follows `<proceed/>` in clear text must not count as said under TLS."""

    async def scenario() -> None:
        async with impostor(HEADER + features(starttls=True), PROCEED + features("SCRAM-SHA-1")) as server:
            broke = await refusal(replace(LOCAL, port=server.port, plaintext=False))
        assert isinstance(broke.reason, InsecureLink)
        assert not [text for text in server.heard if "<auth" in text]

    run(scenario)


@pytest.mark.parametrize("iterations", [200_001, 10**15])
def test_too_many_iterations_are_refused(iterations: int) -> None:
    async def scenario() -> None:
        async with impostor(HEADER + features("SCRAM-SHA-1"), challenge(iterations)) as server:
            broke = await refusal(replace(LOCAL, port=server.port))
        assert isinstance(broke.reason, InsecureLink)
        assert broke.fatal
        assert str(iterations) in str(broke.reason)
        assert len(server.heard) == 2

    run(scenario)


def test_allowed_iterations_are_answered() -> None:
    async def scenario() -> None:
        failure = f"<failure xmlns='{SASL}'><not-authorized/></failure>"
        async with impostor(HEADER + features("SCRAM-SHA-1"), challenge(4096), failure) as server:
            broke = await refusal(replace(LOCAL, port=server.port))
        assert isinstance(broke.reason, AuthError)
        assert len(server.heard) == 3

    run(scenario)


@pytest.mark.parametrize(
    "line",
    [
        f"<success xmlns='{SASL}'/>",
        f"<challenge xmlns='{SASL}'>!!</challenge>",
        f"<challenge xmlns='{SASL}'>{base64.b64encode(b'nonsense').decode()}</challenge>",
        "</stream:stream>",
        "no <xml",
        "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        f"<failure xmlns='{SASL}'><temporary-auth-failure/></failure>",
        "<iq type='result' id='1'/><message type='headline'/>",
        f"<message>{'x' * 700_000}",
    ],
)
def test_server_that_talks_nonsense_is_left_for_later(line: str) -> None:
    async def scenario() -> None:
        async with impostor(HEADER + features("SCRAM-SHA-1"), line) as server:
            wanted = replace(LOCAL, port=server.port, login_timeout=0.5)
            broke = await refusal(wanted)
        assert isinstance(broke.reason, ServerUnreachable | LinkDown)
        assert not broke.fatal

    run(scenario)


# -- SCRAM -----------------------------------------------------------------------------------------------------------


def scram(name: str) -> SCRAM:
    security = {"encrypted": True, "unencrypted_scram": False, "binding_proposed": False, "tls_version": None}
    return SCRAM(name, {"username": b"user", "password": b"pencil"}, security)  # type: ignore[no-untyped-call]  # is none


@pytest.mark.parametrize(
    ("name", "salt", "expected"),
    [
        # RFC 5802, section 5, and RFC 7677, section 3.
        ("SCRAM-SHA-1", "QSXCR+Q6sek8bf92", "1d96ee3a529b5a5f9e47c01f229a2cb8a6e15f7d"),
        (
            "SCRAM-SHA-256",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d",
        ),
    ],
)
def test_salted_password_is_that_of_the_rfc(name: str, salt: str, expected: str) -> None:
    assert salted_password(scram(name), "pencil", base64.b64decode(salt), 4096).hex() == expected


def test_salted_password_has_a_limit() -> None:
    with pytest.raises(InsecureLink, match="200001 iterations"):
        salted_password(scram("SCRAM-SHA-1"), b"pencil", b"salt", 200_001)


def test_slixmpp_uses_the_fast_function() -> None:
    assert vars(SCRAM)["Hi"] is salted_password
