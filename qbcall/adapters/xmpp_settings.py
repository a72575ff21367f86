"""Where and how to log in to a chat server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

CLIENT_PORT = 5222
DIRECT_TLS_PORT = 5223
"""XEP-0368: TLS from the first byte, by custom at this port."""


@dataclass(frozen=True, kw_only=True)
class XmppSettings:
    """Where and how to log in."""

    jid: str
    """Bare JID of the account."""
    password: str = field(repr=False)
    host: str | None = None
    """Address of the server; None: DNS tells it (RFC 6120, section 3.2)."""
    port: int | None = None
    """With `host`; None: 5222. At 5223 TLS is spoken from the first byte."""
    plaintext: bool = False
    """Without TLS; for servers on loopback only, refused otherwise."""
    ca_file: Path | None = None
    """PEM file of the authorities that are trusted instead of the system's."""
    sasl_plain: bool = False
    """Show the password to a server that offers no SCRAM (RFC 4616), under verified TLS only."""
    login_timeout: float = 15.0
    """Seconds from dialing to `LinkUp`."""
    answer_timeout: float = 4.0
    """Seconds without an answer of the server, after something was sent, until the link counts as dead."""
    idle_interval: float = 5.0
    """Seconds without a question until the server is asked: TCP alone notices a dead link after many minutes."""
    stream_management: bool = True
    """Use XEP-0198 where the server has it: cheaper confirmations, and sessions that outlive their connection."""
    resource: str | None = None
    """Name of this device; None: a random one."""
    trusted_components: tuple[str, ...] = ()
    """Domains whose messages count as the server's, besides the account's own."""

    @property
    def domain(self) -> str:
        """Of the account."""
        return self.jid.partition("@")[2]

    @property
    def trusted(self) -> frozenset[str]:
        """Senders whose messages count as the server's: bare domains, which no user can write from."""
        return frozenset(domain.lower() for domain in (self.domain, *self.trusted_components))

    @property
    def address(self) -> str | None:
        """What is connected to; None: what DNS tells, which is not asked where loopback is meant."""
        return self.host or (self.domain if self.plaintext else None)

    @property
    def server(self) -> str:
        """For people: host and port, or the domain whose server DNS tells."""
        return f"{self.address}:{self.port or CLIENT_PORT}" if self.address else self.domain


def is_loopback(host: str) -> bool:
    """Whether a connection to this address cannot leave the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
