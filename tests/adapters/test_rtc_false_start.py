"""A DTLS client may send before the server's Finished came, where that is safe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from qbcall.adapters.rtc_false_start import has_keys, is_finished


def side(ciphers: bytes | None) -> SSL.Connection:
    """As aiortc makes it."""
    context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    if ciphers is not None:
        context.set_cipher_list(ciphers)
    return SSL.Connection(context)


def flights(ciphers: bytes | None = None) -> Iterator[tuple[SSL.Connection, SSL.Connection, bytes]]:
    """A client, a server, and each flight before it arrives."""
    client, server = side(ciphers), side(ciphers)
    client.set_connect_state()
    server.set_accept_state()
    one, other = client, server
    while True:
        try:
            one.do_handshake()
        except SSL.WantReadError:
            """It waits for the next flight."""
        try:
            flight = one.bio_read(1500)
        except SSL.WantReadError:
            return
        yield client, server, flight
        other.bio_write(flight)
        one, other = other, one


def test_client_has_its_keys_between_its_last_flight_and_the_end() -> None:
    told = []
    for client, server, _ in flights():
        told.append(has_keys(client))
        assert not has_keys(server)
    assert told == [False, False, True, True]
    assert is_finished(client)
    assert not has_keys(client)


def test_keys_are_those_of_the_end() -> None:
    label, size = b"EXTRACTOR-dtls_srtp", 56
    keys = set()
    for client, server, flight in flights():
        if has_keys(client):
            keys.add((client.export_keying_material(label, size), client.get_selected_srtp_profile()))
        last = client, server, flight
    keys |= {(one.export_keying_material(label, size), one.get_selected_srtp_profile()) for one in last[:2]}
    assert len(keys) == 1


@pytest.mark.parametrize("cipher", [b"ECDHE-ECDSA-AES128-SHA", b"ECDHE-ECDSA-AES256-SHA"])
def test_client_waits_for_the_end_with_a_weaker_cipher(cipher: bytes) -> None:
    assert not any(has_keys(client) for client, _, _ in flights(cipher))
