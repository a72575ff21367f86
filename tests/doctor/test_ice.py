"""Checks of addresses, STUN and TURN servers, and of calls through them."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from qbcall.adapters.rtc_probe import Server
from qbcall.devserver import DevServer
from qbcall.doctor import calls, ice
from qbcall.doctor.ice import variants
from qbcall.errors import MediaError
from tests.coturn import NEEDS_COTURN, coturn
from tests.doctor.surgery import FAILURE, OK, SKIPPED, WARNING, account, examined, run, turn
from tests.prosody import NEEDS_PROSODY

PATHS = ("addresses", "stun", "turn", "mtu")
CALLS = ("turn", "call-direct", "call-relay")
NOBODY: dict[str, object] = {"jid": "ann@localhost", "password": "x", "server": "127.0.0.1:1"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "STUN_PATIENCE", 1.0)
    monkeypatch.setattr(ice, "TURN_PATIENCE", 2.0)


@contextmanager
def silent_port() -> Iterator[int]:
    """Of a UDP server that never answers."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield server.getsockname()[1]


# -- without a TURN server -------------------------------------------------------------------------------------------


def test_nothing_configured_is_skipped_or_warned_about() -> None:
    async def scenario() -> None:
        report = await examined(NOBODY, {"discover": False}, only=(*PATHS, "call-relay"))
        assert report.statuses == [
            ("addresses", OK),
            ("stun", SKIPPED),
            ("turn", WARNING),
            ("mtu", SKIPPED),
            ("call-relay", SKIPPED),
        ]
        assert report.about("addresses").detail == "127.0.0.1"

    run(scenario)


def test_servers_that_an_unreachable_chat_server_should_name_are_skipped_with_the_reason() -> None:
    async def scenario() -> None:
        report = await examined(NOBODY, only=("server", "stun", "turn", "call-relay"))
        for check in ("stun", "turn", "call-relay"):
            assert report.about(check).status is SKIPPED
        assert "chat server" in report.about("stun").detail

    run(scenario)


def test_machine_without_an_address_to_offer_fails() -> None:
    async def scenario() -> None:
        report = await examined(NOBODY, {"addresses": ["nosuch0"]}, only=("addresses", "call-direct"))
        assert report.statuses == [("addresses", FAILURE), ("call-direct", FAILURE)]
        assert "nosuch0" in report.about("addresses").detail
        assert "no address to offer" in report.about("call-direct").detail

    run(scenario)


@NEEDS_PROSODY
def test_relay_only_without_a_relay_fails() -> None:
    async def scenario() -> None:
        async with DevServer() as server:
            report = await examined(
                account(server), {"transport_policy": "relay"}, only=("server", "turn", "call-relay")
            )
        assert report.about("turn").status is FAILURE
        assert "[[ice.servers]]" in report.about("turn").remedy
        assert report.about("call-relay").status is SKIPPED

    run(scenario)


def test_dead_stun_servers_are_warnings_that_say_why() -> None:
    async def scenario() -> None:
        with silent_port() as silent, socket.socket(type=socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            refused = closed.getsockname()[1]
            closed.close()
            urls = [
                f"stun:127.0.0.1:{silent}",
                f"stun:127.0.0.1:{refused}",
                "stun:nosuch.invalid",
                "stuns:127.0.0.1",
            ]
            report = await examined(NOBODY, {"servers": [{"urls": urls}]}, only=("stun", "mtu"))
        found = [(result.status, result.detail) for result in report.results]
        assert found == [
            (WARNING, "no answer within 1 s"),
            (WARNING, "nothing listens there"),
            (WARNING, "there is no such host"),
            (SKIPPED, "STUN over TLS is not used by qbcall"),
            (SKIPPED, "no STUN or TURN server answers over UDP"),
        ]
        assert all("ice.servers" in result.remedy for result in report.results if result.status is WARNING)

    run(scenario)


def test_path_that_loses_large_packets_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in front of coturn's place, that drops what is too large for the tunnel it plays."""

    class Narrow(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            if len(data) <= 1280 - 28:
                answer = b"\x01\x01\x00\x0c" + data[4:20] + bytes.fromhex("002000080001000000000000")
                self.transport.sendto(answer, address)  # type: ignore[attr-defined]  # it is one of datagrams

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Narrow, local_addr=("127.0.0.1", 0))
        try:
            url = f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}"
            report = await examined(NOBODY, {"servers": [{"urls": url}]}, only=("stun", "mtu"))
        finally:
            transport.close()
        mtu = report.about("mtu")
        assert mtu.status is WARNING
        assert "only packets of 1280 bytes" in mtu.detail
        assert "MTU" in mtu.remedy

    monkeypatch.setattr("qbcall.adapters.rtc_probe.RESEND", 0.1)
    run(scenario)


def test_each_turn_server_is_asked_over_each_transport_once() -> None:
    named = [
        Server("turn", "a", 3478, "udp", "u", "p"),
        Server("turn", "a", 3478, "tcp", "u", "p"),
        Server("turns", "b", 443, "tcp"),
    ]
    assert [server.url for server in variants(named)] == [
        "turn:a:3478?transport=udp",
        "turn:a:3478?transport=tcp",
        "turns:b:443?transport=tcp",
        "turns:a:5349?transport=tcp",
        "turn:b:3478?transport=udp",
        "turn:b:3478?transport=tcp",
    ]


# -- with one --------------------------------------------------------------------------------------------------------


@NEEDS_COTURN
def test_good_relay_passes_over_udp_tcp_and_tls_and_calls_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with coturn(tls=True) as relay:
            monkeypatch.setenv("SSL_CERT_FILE", str(relay.ca_file))
            plain = f"localhost:{relay.port}"
            urls = (f"turn:{plain}", f"turn:{plain}?transport=tcp", f"turns:localhost:{relay.tls_port}")
            servers = [{"urls": f"stun:{plain}"}, turn(relay, *urls)]
            report = await examined(NOBODY, {"servers": servers}, only=(*PATHS, *CALLS))
        checks = ("addresses", "stun", "turn-udp", "turn-tcp", "turn-tls", "mtu", "call-direct", "call-relay")
        assert report.statuses == [(check, OK) for check in checks]
        assert "host to host" in report.about("call-direct").detail
        # What checks first is known by the check, before its candidate arrives.
        assert re.search("relay to (relay|prflx)", report.about("call-relay").detail)
        assert "1500" in report.about("mtu").detail
        assert all((report.about(check).ms or 0) > 0 for check in checks if check not in ("addresses", "mtu"))

    run(scenario)


@NEEDS_COTURN
def test_wrong_credentials_fail_and_the_relayed_call_is_skipped() -> None:
    async def scenario() -> None:
        async with coturn() as relay:
            servers = [turn(relay, credential="hunter2")]
            report = await examined(NOBODY, {"servers": servers}, only=("turn", "call-relay"))
        udp = report.about("turn-udp")
        assert udp.status is FAILURE
        assert "401" in udp.detail
        assert "credential" in udp.remedy
        assert "hunter2" not in str(report.results)
        assert report.about("turn-tcp").status is SKIPPED  # not named
        assert report.about("call-relay").detail == "no TURN server works"

    run(scenario)


@NEEDS_COTURN
def test_blocked_tcp_fails_where_it_is_named_and_udp_goes_on() -> None:
    async def scenario() -> None:
        async with coturn("no-tcp") as relay:
            place = f"turn:{relay.host}:{relay.port}"
            servers = [turn(relay, place, f"{place}?transport=tcp")]
            report = await examined(NOBODY, {"servers": servers}, only=("turn",))
        assert report.about("turn-udp").status is OK
        tcp = report.about("turn-tcp")
        assert tcp.status is FAILURE
        assert tcp.detail == "nothing listens there"
        assert "TCP to port" in tcp.remedy

    run(scenario)


@NEEDS_COTURN
def test_certificate_of_a_relay_that_is_not_trusted_fails() -> None:
    async def scenario() -> None:
        async with coturn(tls=True) as relay:
            servers = [turn(relay, f"turns:localhost:{relay.tls_port}")]
            tls = (await examined(NOBODY, {"servers": servers}, only=("turn",))).about("turn-tls")
        assert tls.status is FAILURE
        assert "not trusted" in tls.detail
        assert "certificate" in tls.remedy

    run(scenario)


@NEEDS_COTURN
def test_relay_that_gives_addresses_but_relays_nothing_fails() -> None:
    async def scenario() -> None:
        async with coturn("denied-peer-ip=127.0.0.1") as relay:
            report = await examined(NOBODY, {"servers": [turn(relay)]}, only=("turn",))
        udp = report.about("turn-udp")
        assert udp.status is FAILURE
        assert "403" in udp.detail
        assert "allowed-peer-ip" in udp.remedy

    run(scenario)


def test_call_whose_frames_are_missing_fails_with_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CARDS", 10_000)
    monkeypatch.setattr(calls, "MEDIA_PATIENCE", 0.5)

    async def scenario() -> None:
        direct = (await examined(NOBODY, only=("call-direct",))).about("call-direct")
        assert direct.status is FAILURE
        assert "not all frames arrived" in direct.detail
        assert isinstance(direct.error, MediaError)

    run(scenario)


@NEEDS_COTURN
def test_silent_relay_fails_in_time() -> None:
    async def scenario() -> None:
        with silent_port() as silent:
            servers = [{"urls": f"turn:127.0.0.1:{silent}", "username": "u", "credential": "p"}]
            report = await examined(NOBODY, {"servers": servers}, only=("turn",))
        assert report.about("turn-udp").detail == "no answer within 2 s"
        assert report.about("turn-udp").status is FAILURE

    run(scenario)
