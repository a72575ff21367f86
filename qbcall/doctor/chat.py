"""Checks of the way to the chat server, and of what it offers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from qbcall.adapters.xmpp_probe import Findings, Place, locate, probe
from qbcall.adapters.xmpp_settings import XmppSettings
from qbcall.doctor.examination import Case
from qbcall.doctor.results import Result, Status, milliseconds
from qbcall.doctor.web_date import web_skew
from qbcall.errors import AuthError, InsecureLink, ServerUnreachable

EXPIRES_SOON = 14
"""Days until a certificate expires, from which on it is time to see to it."""
MAX_SKEW = 5.0
"""Seconds by which two clocks may differ. Times are told in whole seconds."""
CARBONS = "urn:xmpp:carbons:2"

DISTRUST = {
    9: "the clock of this machine is slow, or the certificate is for later: see `clock`",
    10: "the server needs a new certificate; or the clock of this machine is fast",
    18: "account.ca_file = the server's certificate, if you know it; better, give the server one of an authority",
    19: "account.ca_file = certificate of that authority, if you trust it",
    20: "account.ca_file = certificate of that authority; or let the server send its intermediate certificates",
    62: "log in at the domain that the certificate names, or give the server one for the domain of account.jid",
}
"""What to do for each reason of OpenSSL (`X509_V_ERR_*`) not to trust a certificate."""
LATER = ("login", "xep-0198", "xep-0215", "xep-0280", "clock")
"""What needs a login."""


async def check_dns(case: Case) -> Sequence[Result]:
    """Does the name of the server lead anywhere?"""
    places = await locate(case.config.xmpp_settings())
    addresses = dict(zip(places, await asyncio.gather(*map(_addresses, places)), strict=True))
    told = "; ".join(map(_described, places, addresses.values()))
    missing = [place.host for place, found in addresses.items() if not found]
    result = Result(check="dns", status=Status.PASS, detail=told)
    if len(missing) == len(places):
        remedy = "correct the domain in account.jid, or name the server in account.server; is this machine online?"
        return [replace(result, status=Status.FAILURE, remedy=remedy, error=ServerUnreachable(told))]
    if missing:
        remedy = f"correct the SRV records: {', '.join(missing)}"
        return [replace(result, status=Status.WARNING, remedy=remedy)]
    return [result]


async def check_chat(case: Case) -> Sequence[Result]:
    """Log in once, and judge what was seen on the way."""
    settings = case.config.xmpp_settings()
    case.findings = found = await probe(settings)
    blamed = _blamed(found, settings)
    results = [_server(found, settings, blamed), _tls(found, settings, blamed)]
    if blamed in ("server", "tls"):
        return [*results, *(_skipped(name, f"{blamed} failed") for name in LATER)]
    results.append(_login(found, settings))
    if blamed == "login":
        return [*results, *(_skipped(name, "login failed") for name in LATER[1:])]
    skew, source = found.skew, "the server's"
    if skew is None and not settings.plaintext:
        skew, source = await web_skew(settings.domain, settings.ca_file), "its web server's"
    offers = (_stream_management(found), _services(found, case), _carbons(found))
    return [*results, *offers, judge_clock(skew, source)]


# -- names -----------------------------------------------------------------------------------------------------------


async def _addresses(place: Place) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _described(place: Place, addresses: list[str]) -> str:
    source = f"SRV {place.service} " if place.service else ""
    if addresses == [place.host]:
        return f"{source}{place.host}:{place.port}"
    return f"{source}{place.host}:{place.port} -> {', '.join(addresses) or 'no such host'}"


# -- how far the login came ------------------------------------------------------------------------------------------


def _blamed(found: Findings, settings: XmppSettings) -> str:
    """Which check the end of the login belongs to; empty: it succeeded."""
    error = found.error
    encrypted = bool(found.tls)
    match error:
        case None:
            return ""
        case AuthError():
            return "login"
        case InsecureLink():
            spoken = encrypted or (settings.plaintext and "connected" in found.seconds)
            return "login" if spoken and found.distrust is None else "tls"
    return "login" if encrypted else "server"


def _server(found: Findings, settings: XmppSettings, blamed: str) -> Result:
    make = partial(Result, check="server", subject=settings.server)
    if blamed == "server":
        remedy = "is the server running, and is it account.server? Does a firewall block its port?"
        detail = str(found.error).removeprefix(f"{settings.server}: ")
        return make(status=Status.FAILURE, detail=detail, remedy=remedy, error=found.error)
    if "connected" not in found.seconds:
        return make(status=Status.SKIPPED, detail="not tried: see tls")
    took = found.seconds["connected"]
    return make(status=Status.PASS, detail=f"reached at {found.peer} in {milliseconds(took)}", ms=took * 1000)


def _tls(found: Findings, settings: XmppSettings, blamed: str) -> Result:
    make = partial(Result, check="tls")
    if blamed == "tls":
        code = getattr(found.distrust, "verify_code", None)
        remedy = DISTRUST.get(code or 0, "the server must offer TLS (STARTTLS, or at port 5223 from the first byte)")
        return make(status=Status.FAILURE, detail=str(found.error), remedy=remedy, error=found.error)
    if settings.plaintext:
        return make(status=Status.SKIPPED, detail="account.plaintext: the server is on this machine")
    if blamed == "server":
        return make(status=Status.SKIPPED, detail="server failed")
    if found.expires is None:
        return make(status=Status.PASS, detail=found.tls)
    days = (found.expires - datetime.now(UTC)).days
    detail = f"{found.tls}, certificate good for {days} days, until {found.expires:%Y-%m-%d}"
    if days < EXPIRES_SOON:
        return make(status=Status.WARNING, detail=detail, remedy="the server needs a new certificate soon")
    return make(status=Status.PASS, detail=detail)


def _login(found: Findings, settings: XmppSettings) -> Result:
    make = partial(Result, check="login", subject=settings.jid)
    match found.error:
        case None:
            took = found.seconds["login"]
            trip = "" if found.round_trip is None else f", round trip {milliseconds(found.round_trip)}"
            return make(status=Status.PASS, detail=f"in {milliseconds(took)}{trip}", ms=took * 1000)
        case AuthError():
            remedy = "correct account.jid or the password (QBCALL_PASSWORD, account.password_file, keyring)"
        case InsecureLink():
            remedy = "let the server offer SCRAM; account.sasl_plain = true shows it the password, under TLS only"
        case _:
            remedy = "look into the log of the server"
    detail = str(found.error).removeprefix(f"{settings.jid}: ")
    return make(status=Status.FAILURE, detail=detail, remedy=remedy, error=found.error)


def _skipped(check: str, why: str) -> Result:
    return Result(check=check, status=Status.SKIPPED, detail=why)


# -- what the server offers ------------------------------------------------------------------------------------------


def _stream_management(found: Findings) -> Result:
    make = partial(Result, check="xep-0198")
    if found.stream_management:
        return make(status=Status.PASS, detail="stream management: sessions outlive a broken connection")
    remedy = "Prosody: module smacks; ejabberd: mod_stream_mgmt"
    return make(status=Status.WARNING, detail="no stream management: a break of the chat costs more", remedy=remedy)


def _services(found: Findings, case: Case) -> Result:
    make = partial(Result, check="xep-0215")
    ice = case.config.ice
    if not case.config.ice_settings().discover:
        why = "servers are configured in ice.servers" if ice.servers else "ice.discover is off"
        return make(status=Status.SKIPPED, detail=f"not needed: {why}")
    remedy = "Prosody: module external_services; ejabberd: mod_stun_disco; or fill in ice.servers"
    alone = "only participants in the same network are reached"
    if found.services is None:
        return make(status=Status.WARNING, detail=f"names no STUN or TURN servers: {alone}", remedy=remedy)
    unusable = ", ".join(f"{count} with a wrong {reason}" for reason, count in found.unusable.items())
    if not found.services:
        return make(status=Status.WARNING, detail=f"names no usable server ({unusable}): {alone}", remedy=remedy)
    urls = ", ".join(url for server in found.services for url in server.urls)
    if unusable:
        return make(status=Status.WARNING, detail=f"names {urls}; unusable: {unusable}", remedy="correct them there")
    return make(status=Status.PASS, detail=f"names {urls}")


def _carbons(found: Findings) -> Result:
    if found.features is None:
        return _skipped("xep-0280", "the server does not say what it has")
    if CARBONS in found.features:
        return Result(check="xep-0280", status=Status.PASS, detail="message carbons")
    return _skipped("xep-0280", "no message carbons; qbcall tells the other devices of the account by itself")


def judge_clock(skew: float | None, source: str) -> Result:
    """Is the clock of this machine right, which is so many seconds ahead of another one?"""
    if skew is None:
        return _skipped("clock", "the server does not tell its time (XEP-0202)")
    make = partial(Result, check="clock", ms=skew * 1000)
    if abs(skew) <= MAX_SKEW:
        return make(status=Status.PASS, detail=f"within {MAX_SKEW:g} s of {source}")
    detail = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} {source}: credentials may look expired"
    return make(status=Status.WARNING, detail=detail, remedy="timedatectl set-ntp true")
