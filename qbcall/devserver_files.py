"""The files a private Prosody needs: configuration, accounts, and with TLS a certificate authority of its own."""

from __future__ import annotations

import datetime
import shutil
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CONFIG = string.Template("""\
pidfile = $place .. "/prosody.pid"
data_path = $place .. "/data"
certificates = $place .. "/certs"
plugin_paths = { $place .. "/modules" }
installer_plugin_path = $place .. "/plugins"
daemonize = false
run_as_root = $run_as_root
log = { info = $place .. "/prosody.log" }

interfaces = { $host }
local_interfaces = { $host }
c2s_ports = { $port }
c2s_direct_tls_ports = {}
legacy_ssl_ports = {}
s2s_ports = {}
s2s_direct_tls_ports = {}
http_ports = { $http_port }
http_interfaces = { $host }
http_default_host = $domain
https_ports = {}
modules_disabled = { "s2s" }
modules_enabled = {
  "roster", "saslauth", "disco", "ping", "time", "smacks", "carbons", "blocklist", "pep", "http", "bosh",
  "websocket",
  $more_modules
}

authentication = "internal_plain"
storage = { default = "memory", accounts = "internal" }
allow_registration = false
c2s_require_encryption = $tls
allow_unencrypted_plain_auth = false
consider_bosh_secure = true
consider_websocket_secure = true
smacks_hibernation_time = 30
-- The usual collector holds up every other message by a millisecond.
gc = { mode = "generational" }
-- Without this, an acknowledgement waits up to 45 ms for the next packet.
network_settings = { nagle = false }
limits = { c2s = { rate = "100mb/s", burst = "2s" } }
external_services = { $services }
qbcall_signals_token = $signals_token
$certificate

VirtualHost $domain
""")
"""Prosody 0.12 (https://prosody.im/doc/configure); every value is put in by `lua`."""

CERTIFICATE = string.Template(
    'ssl = { certificate = $place .. "/certs/server.crt", key = $place .. "/certs/server.key" }'
)
SIGNALS_MODULE = Path(__file__).parent / "prosody" / "mod_qbcall_signals.lua"
"""Lets a web service send signals into calls: `docs/server-signals.md`."""
VALIDITY = datetime.timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class ExternalService:
    """A STUN or TURN server that the chat server names to its users (XEP-0215)."""

    type: str
    """`stun`, `stuns`, `turn` or `turns`."""
    host: str
    port: int
    transport: str = "udp"
    """`udp` or `tcp`."""
    username: str | None = None
    """The same for everybody."""
    password: str | None = field(default=None, repr=False)
    """With `username`."""
    secret: str | None = field(default=None, repr=False)
    """Shared with the TURN server (coturn's `static-auth-secret`): each answer gets credentials of its own."""
    ttl: int | None = None
    """Seconds that an answer is good for; None: with `secret` a day, else for ever."""

    def as_lua(self) -> str:
        """The table that Prosody reads (https://prosody.im/doc/modules/mod_external_services)."""
        given = {one.name: getattr(self, one.name) for one in fields(self)} | {"algorithm": "turn"}
        return "{ " + ", ".join(f"{name} = {lua(value)}" for name, value in given.items() if value is not None) + " }"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a server is to be like."""

    place: Path
    """Directory of its own, existing and empty."""
    host: str
    port: int
    http_port: int
    domain: str
    accounts: Mapping[str, str]
    tls: bool
    services: Sequence[ExternalService]
    run_as_root: bool
    signals_token: str = ""
    """What a web service shows that may send signals into calls; empty: none may."""


def write_files(plan: Plan) -> Path | None:
    """Write everything; the certificate of the authority to trust is given back, if there is TLS."""
    (plan.place / "certs").mkdir()
    ca_file = _write_certificates(plan) if plan.tls else None
    place = lua(str(plan.place))
    values = {
        "place": place,
        "run_as_root": lua(plan.run_as_root),
        "host": lua(plan.host),
        "port": lua(plan.port),
        "http_port": lua(plan.http_port),
        "tls": lua(plan.tls),
        "more_modules": ", ".join(map(lua, _more_modules(plan))),
        "certificate": CERTIFICATE.substitute(place=place) if plan.tls else "",
        "services": ", ".join(one.as_lua() for one in plan.services),
        "signals_token": lua(plan.signals_token),
        "domain": lua(plan.domain),
    }
    # A copy: the server may run as a user who cannot read where qbcall is installed.
    (plan.place / "modules").mkdir()
    shutil.copy(SIGNALS_MODULE, plan.place / "modules")
    (plan.place / "prosody.cfg.lua").write_text(CONFIG.substitute(values), encoding="utf-8")
    _accounts(plan.place, plan.domain).mkdir(parents=True)
    for name, password in plan.accounts.items():
        write_account(plan.place, plan.domain, name, password)
    return ca_file


def write_account(place: Path, domain: str, name: str, password: str) -> Path:
    """Write the file of an account, which Prosody reads at each login; its path is given back."""
    file = _accounts(place, domain) / f"{encoded(name)}.dat"
    file.write_text(f'return {{ ["password"] = {lua(password)} }};\n', encoding="utf-8")
    return file


def _accounts(place: Path, domain: str) -> Path:
    return place / "data" / encoded(domain) / "accounts"


def lua(value: str | int | bool) -> str:
    """A value as Lua writes it; text in bytes, so that nothing in it can end the string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'


def encoded(name: str) -> str:
    """A name as Prosody's `util.datamanager` writes it in file names."""
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02x}" for byte in name.encode())


def _more_modules(plan: Plan) -> Iterator[str]:
    if plan.tls:
        yield "tls"
    if plan.services:
        yield "external_services"
    if plan.signals_token:
        yield SIGNALS_MODULE.stem.removeprefix("mod_")


def _write_certificates(plan: Plan) -> Path:
    certs = plan.place / "certs"
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "qbcall devserver")])
    ca = _certificate(ca_name, ca_name, ca_key.public_key(), ca_key.public_key())
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(_usage(authority=True), critical=True)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "qbcall devserver of this machine")])
    server = _certificate(subject, ca_name, server_key.public_key(), ca_key.public_key())
    names = x509.SubjectAlternativeName([x509.DNSName(plan.domain)])
    server = server.add_extension(names, critical=False).add_extension(_usage(authority=False), critical=True)
    pem = serialization.Encoding.PEM
    ca_file = certs / "ca.crt"
    ca_file.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (certs / "server.crt").write_bytes(server.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    key_file = certs / "server.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ca_file


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, issuer_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """With the key identifiers that RFC 5280, section 4.2.1, asks for; Python 3.13 and later insist on them."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
