"""A DTLS client that sends media right behind the last flight of its handshake: "false start" (RFC 7918).

It has its keys then, and knows who the server is: OpenSSL has checked that it signed the key exchange, and aiortc
compares its certificate with the fingerprint in the description before any media is sent. What is missing comes a
round trip later: the server's Finished tells whether anybody changed what both said before, e.g. to talk them into a
worse cipher. So this is done only with ciphers of which none is known to be weak (section 5.1). A Finished that is
wrong ends the connection, as ever.
"""

from __future__ import annotations

from aiortc import RTCDtlsTransport
from OpenSSL import SSL

VERSION = "DTLSv1.2"
"""DTLS 1.3 needs no such thing."""
CIPHERS = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305")
"""Forward secret, and authenticated encryption."""
WAITING = b"SSLv3/TLS write finished"
"""OpenSSL's name of the state in which a client waits for the server's last flight."""


def start_early(dtls: RTCDtlsTransport) -> None:
    """Have a client's handshake end with its last flight; what follows is checked when it comes."""
    receive = dtls._recv_next

    async def recv_next() -> None:
        assert dtls._ssl is not None, "it has begun"
        if not dtls.encrypted and has_keys(dtls._ssl):
            dtls.encrypted = True  # ends the loop of `_do_handshake`
            return
        await receive()
        if dtls.encrypted and is_finished(dtls._ssl):
            del dtls._recv_next

    if dtls._role == "client":
        dtls._recv_next = recv_next  # type: ignore[method-assign]


def has_keys(client: SSL.Connection) -> bool:
    """Whether it only waits for the server's Finished, and may send before."""
    return (
        client.get_state_string() == WAITING
        and client.get_protocol_version_name() == VERSION
        and client.get_cipher_name() in CIPHERS
    )


def is_finished(client: SSL.Connection) -> bool:
    """Whether the handshake is over.

    Raises:
        ConnectionError: it failed. aiortc passes over that in what comes after a handshake.
    """
    try:
        client.do_handshake()
    except SSL.WantReadError:
        return False
    except SSL.Error as error:
        raise ConnectionError("the end of the DTLS handshake is wrong") from error
    return True


def _names(method: str) -> set[str]:
    return set(vars(RTCDtlsTransport)[method].__code__.co_names)


_KNOWN = (
    {"encrypted", "_ssl", "do_handshake", "_write_ssl", "_recv_next"} <= _names("_do_handshake"),
    {"DTLSv1_get_timeout", "DTLSv1_handle_timeout", "encrypted", "bio_write"} <= _names("_recv_next"),
    {"_do_handshake", "_validate_peer_identity", "_setup_srtp", "_role"} <= _names("start"),
    {"_recv_next"} <= _names("_RTCDtlsTransport__run"),
)
if not all(_KNOWN):
    raise ImportError("aiortc does its DTLS handshake otherwise than in aiortc 1.16: it cannot send before its end")
