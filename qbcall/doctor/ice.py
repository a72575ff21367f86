"""Checks of the addresses of this machine, and of STUN and TURN servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from qbcall.adapters.rtc_addresses import local_addresses
from qbcall.adapters.rtc_probe import (
    NothingRelayed,
    RefusedByRelay,
    Server,
    UntrustedRelay,
    ask_stun,
    ask_turn,
    path_mtu,
)
from qbcall.doctor.examination import SERVERS_UNKNOWN, Case
from qbcall.doctor.results import Result, Status, milliseconds
from qbcall.errors import MediaError

STUN_PATIENCE = 3.0
"""Seconds that a STUN server may take to answer."""
TURN_PATIENCE = 4.0
"""Seconds that a TURN server may take to give addresses, and again to relay a packet."""
LARGEST_PACKET = 1400
"""Bytes of an IP packet with a piece of a picture: 1300 of VP8 or H.264, and the headers of RTP, SRTP, TURN, UDP and
IPv6."""
SIZES = (1500, 1450, LARGEST_PACKET, 1350, 1280, 1200, 1000)
"""Of IP packets that are tried, in bytes."""
TURN_PORT, TURNS_PORT = 3478, 5349
"""Where TURN servers listen, if not told otherwise (RFC 7065)."""


async def check_addresses(case: Case) -> Sequence[Result]:
    """Has this machine an address that participants can be told?"""
    settings = case.config.ice_settings()
    found = local_addresses(settings)
    if found:
        return [Result(check="addresses", status=Status.PASS, detail=", ".join(found))]
    wanted = ", ".join(settings.addresses) or "all but loopback"
    detail = f"this machine has no address to offer (wanted: {wanted})"
    remedy = "connect it to a network; correct ice.addresses"
    return [Result(check="addresses", status=Status.FAILURE, detail=detail, remedy=remedy, error=MediaError(detail))]


# -- STUN ------------------------------------------------------------------------------------------------------------


async def check_stun(case: Case) -> Sequence[Result]:
    """Does every STUN server answer?"""
    if case.servers is None:
        return [Result(check="stun", status=Status.SKIPPED, detail=SERVERS_UNKNOWN)]
    asked = [server for server in case.servers if server.scheme.startswith("stun")]
    if not asked:
        relays = any(server.scheme.startswith("turn") for server in case.servers)
        why = "there is none; TURN servers tell the public address, too" if relays else "there is none"
        return [Result(check="stun", status=Status.SKIPPED, detail=why)]
    return await asyncio.gather(*(_ask_stun(case, server) for server in asked))


async def _ask_stun(case: Case, server: Server) -> Result:
    make = partial(Result, check="stun", subject=f"{server.scheme}:{server.host}:{server.port}")
    if server.scheme == "stuns":
        return make(status=Status.SKIPPED, detail="STUN over TLS is not used by qbcall")
    try:
        async with asyncio.timeout(STUN_PATIENCE):
            seconds, seen = await ask_stun(server)
    except TimeoutError:
        why = f"no answer within {STUN_PATIENCE:g} s"
    except MediaError as error:
        why = str(error)
    else:
        case.answers = case.answers or server
        detail = f"answers in {milliseconds(seconds)}: this machine is seen as {seen[0]}"
        return make(status=Status.PASS, detail=detail, ms=seconds * 1000)
    remedy = f"take it out of ice.servers, or let UDP to port {server.port} out: calls may wait for it"
    return make(status=Status.WARNING, detail=why, remedy=remedy)


# -- TURN ------------------------------------------------------------------------------------------------------------


async def check_turn(case: Case) -> Sequence[Result]:
    """Does every TURN server relay, over each transport?"""
    if case.servers is None:
        return [Result(check="turn", status=Status.SKIPPED, detail=SERVERS_UNKNOWN)]
    named = [server for server in case.servers if server.scheme.startswith("turn")]
    if not named:
        return [_no_turn(case)]
    return await asyncio.gather(*(_ask_turn(case, server, server in named) for server in variants(named)))


def variants(named: Sequence[Server]) -> list[Server]:
    """Those that are named, then the transports of the same servers that are not: UDP, TCP and TLS."""
    found = list(named)
    for server in named:
        plain = server.port if server.scheme == "turn" else TURN_PORT
        for scheme, port, transport in (
            ("turn", plain, "udp"),
            ("turn", plain, "tcp"),
            ("turns", TURNS_PORT, "tcp"),
        ):
            other = replace(server, scheme=scheme, port=port, transport=transport)
            if (server.host, _over(other)) not in {(one.host, _over(one)) for one in found}:
                found.append(other)
    return found


def _no_turn(case: Case) -> Result:
    relay_only = case.config.ice.transport_policy == "relay"
    make = partial(Result, check="turn", remedy="add a TURN server to [[ice.servers]]")
    if relay_only:
        detail = "there is none, and ice.transport_policy = relay"
        return make(status=Status.FAILURE, detail=detail, error=MediaError(detail))
    if case.config.ice_settings().discover:
        return make(status=Status.SKIPPED, detail="there is none: see xep-0215", remedy="")
    return make(status=Status.WARNING, detail="there is none: participants behind firewalls are not reached")


async def _ask_turn(case: Case, server: Server, named: bool) -> Result:
    make = partial(Result, check=f"turn-{_over(server)}", subject=server.url)
    if server.scheme == "turns" and server.transport == "udp":
        return make(status=Status.SKIPPED, detail="TURN over DTLS is not used by qbcall")
    try:
        relayed = await ask_turn(server, TURN_PATIENCE)
    except MediaError as error:
        if not named:
            return make(status=Status.SKIPPED, detail=f"calls do not use it, and it could not be: {error}")
        return make(status=Status.FAILURE, detail=str(error), remedy=_remedy(server, error), error=error)
    if named:
        case.relays = True
    if server.transport == "udp":
        case.answers = case.answers or server
    more = "" if named else "; calls do not use it: name it where UDP may be blocked"
    detail = f"allocation in {milliseconds(relayed.allocation)}, relayed echo in {milliseconds(relayed.echo)}{more}"
    return make(status=Status.PASS, detail=detail, ms=relayed.allocation * 1000)


def _over(server: Server) -> str:
    if server.scheme == "turns":
        return "tls" if server.transport == "tcp" else "dtls"
    return server.transport


def _remedy(server: Server, error: MediaError) -> str:
    match error:
        case RefusedByRelay(code=401 | 441):
            return "correct username and credential; if the chat server makes them, its secret and both clocks"
        case RefusedByRelay(code=486 | 508):
            return "the TURN server is full, or its quota for this user is used up"
        case RefusedByRelay(code=403) | NothingRelayed():
            return (
                "let the TURN server relay to itself (coturn: allowed-peer-ip, external-ip), "
                "and open its relay ports (UDP 49152 to 65535)"
            )
        case UntrustedRelay():
            return "give the TURN server a certificate of an authority that this machine trusts, for that name"
    way = f"{server.transport.upper()} to port {server.port}"
    return f"is it running there? Let {way} out of this network; or take it out of ice.servers"


# -- MTU -------------------------------------------------------------------------------------------------------------


async def check_mtu(case: Case) -> Sequence[Result]:
    """Do packets as large as those of pictures come through?"""
    if case.answers is None:
        return [Result(check="mtu", status=Status.SKIPPED, detail="no STUN or TURN server answers over UDP")]
    make = partial(Result, check="mtu", subject=case.answers.host)
    try:
        believed, largest = await path_mtu(case.answers, SIZES)
    except MediaError as error:
        return [make(status=Status.SKIPPED, detail=f"cannot be measured: {error}")]
    detail = f"packets of {largest} bytes come through unfragmented"
    if largest >= LARGEST_PACKET:
        return [make(status=Status.PASS, detail=detail)]
    remedy = f"raise the MTU of the tunnel or VPN (this machine believes {believed or '?'}): pictures may not arrive"
    if not largest:
        return [
            make(status=Status.WARNING, detail=f"not even packets of {SIZES[-1]} bytes come through", remedy=remedy)
        ]
    return [make(status=Status.WARNING, detail=f"only {detail}, pictures have {LARGEST_PACKET}", remedy=remedy)]
