"""Servers that misbehave: an unsafe one is refused for good, one that talks nonsense is left for later."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qbcall.adapters import xmpp_login
from qbcall.devserver_files import Plan, write_files
from qbcall.errors import AuthError, InsecureLink, LinkDown, LinkError, ServerUnreachable
from tests.adapters.xmpp_room import HEADER, LOCAL, PROCEED, SASL, features, impostor, refusal, run


def test_name_that_leads_away_from_loopback_gets_no_login_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbcall.adapters.xmpp_safety.is_loopback", lambda address: address != "127.0.0.1")

    async def scenario() -> None:
        async with impostor(HEADER + features("SCRAM-SHA-1")) as server:
            broke = await refusal(replace(LOCAL, host="localhost", port=server.port))
        assert isinstance(broke.reason, InsecureLink)
        assert broke.fatal
        assert "127.0.0.1: without TLS" in str(broke.reason)
        assert len(server.heard) == 1

    run(scenario)


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


@pytest.mark.parametrize("sasl_plain", [False, True])
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
def test_server_with_an_unsafe_login_gets_nothing(plaintext: bool, offered: str, why: str, sasl_plain: bool) -> None:
    async def scenario() -> None:
        async with impostor(HEADER + offered, *[HEADER + features("PLAIN")] * 3) as server:
            broke = await refusal(replace(LOCAL, port=server.port, plaintext=plaintext, sasl_plain=sasl_plain))
        assert isinstance(broke.reason, InsecureLink)
        assert broke.fatal
        assert why in str(broke.reason)
        (only,) = server.heard
        assert only.startswith("<stream:stream")

    run(scenario)


def certified(place: Path, domain: str) -> tuple[ssl.SSLContext, Path | None]:
    """A context for a server of a domain, and the authority to trust."""
    ca_file = write_files(
        Plan(
            place=place,
            host="127.0.0.1",
            port=1,
            http_port=2,
            domain=domain,
            accounts={},
            tls=True,
            run_as_root=False,
            services=(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(place / "certs" / "server.crt", place / "certs" / "server.key")
    return context, ca_file


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(
    ("domain", "known", "why"),
    [
        ("localhost", True, "but PLAIN"),  # so TLS was good
        ("example.org", True, "Hostname mismatch"),
        ("localhost", False, "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_certificate_must_be_trusted_and_for_the_domain(
    direct: bool, domain: str, known: bool, why: str, tmp_path: Path
) -> None:
    context, ca_file = certified(tmp_path, domain)
    offer = HEADER + features("PLAIN")
    lines = [offer] if direct else [HEADER + features(starttls=True), PROCEED, offer]

    async def scenario() -> None:
        async with impostor(*lines, tls=context, direct=direct) as server:
            if direct:
                patch.setattr(xmpp_login, "DIRECT_TLS_PORT", server.port)
            wanted = replace(LOCAL, port=server.port, plaintext=False, ca_file=ca_file if known else None)
            broke = await refusal(wanted)
        assert isinstance(broke.reason, InsecureLink)
        assert broke.fatal
        assert why in str(broke.reason)

    with pytest.MonkeyPatch.context() as patch:
        run(scenario)


def test_server_without_tls_at_a_port_with_tls_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with impostor(HEADER + features("SCRAM-SHA-1")) as server:
            monkeypatch.setattr(xmpp_login, "DIRECT_TLS_PORT", server.port)
            broke = await refusal(replace(LOCAL, port=server.port, plaintext=False))
        assert isinstance(broke.reason, InsecureLink)
        assert not [text for text in server.heard if "<stream" in text]

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
    ("proof", "error"), [("v=AAAA", InsecureLink), ("", LinkDown), ("v=", LinkDown), ("e=other-error", LinkDown)]
)
def test_server_that_does_not_prove_that_it_knows_the_password_is_left(proof: str, error: type[LinkError]) -> None:
    """RFC 5802, section 3: the client checks the signature of the server."""
    success = f"<success xmlns='{SASL}'>{base64.b64encode(proof.encode()).decode()}</success>"

    async def scenario() -> None:
        under = HEADER + "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
        async with impostor(HEADER + features("SCRAM-SHA-1"), challenge(4096), success, under) as server:
            broke = await refusal(replace(LOCAL, port=server.port))
        assert type(broke.reason) is error
        assert not [text for text in server.heard if "<bind" in text]

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
        "<!DOCTYPE m [<!ENTITY a 'x'>]><m>&a;</m>",
        "<message>&a;</message>",
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


def test_stream_with_a_document_type_is_left_before_the_login() -> None:
    """RFC 6120, section 11.1, forbids it: entities of it would grow everything that follows."""

    async def scenario() -> None:
        for start in ("<!DOCTYPE s [<!ENTITY a 'x'>]>", "<?xml version='1.0'?>\n<!DOCTYPE s>", "<!-- -->"):
            async with impostor(start + HEADER + features("SCRAM-SHA-1")) as server:
                broke = await refusal(replace(LOCAL, port=server.port))
            assert isinstance(broke.reason, LinkDown)
            assert not broke.fatal
            assert len(server.heard) == 1

    run(scenario)


def test_stream_with_an_xml_declaration_is_used() -> None:
    async def scenario() -> None:
        async with impostor("<?xml version='1.0'?> " + HEADER + features("PLAIN")) as server:
            broke = await refusal(replace(LOCAL, port=server.port))
        assert isinstance(broke.reason, InsecureLink)

    run(scenario)
