"""Runs the checks, one after the other; none can hold up or break the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from qbcall.adapters.rtc_addresses import IceServer
from qbcall.adapters.rtc_probe import Server, servers_of
from qbcall.adapters.xmpp_probe import Findings
from qbcall.config import Config
from qbcall.doctor.results import Result, Status
from qbcall.errors import QbcallError

log = logging.getLogger("qbcall.doctor")


SERVERS_UNKNOWN = "the chat server names the servers, but there was no login"


@dataclass
class Case:
    """What is examined, and what earlier checks found that later ones need."""

    config: Config
    findings: Findings | None = None
    """About the chat server; None: it was not asked, or did not answer in time."""
    answers: Server | None = None
    """A STUN or TURN server that answers over UDP."""
    relays: bool = False
    """Whether some TURN server that calls use works."""

    @property
    def ice_servers(self) -> tuple[IceServer, ...] | None:
        """STUN and TURN servers as calls use them; None: the chat server should name them, but was not reached."""
        settings = self.config.ice_settings()
        if not settings.discover:
            return settings.servers
        if self.findings is None or self.findings.error is not None:
            return None
        return self.findings.services or ()

    @property
    def servers(self) -> list[Server] | None:
        """As `ice_servers`, each URL for itself."""
        return None if self.ice_servers is None else servers_of(self.ice_servers)


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table."""

    name: str
    """Of its results, or what they begin with."""
    title: str
    """For people, while it runs."""
    limit: float
    """Seconds that it may take."""
    run: Callable[[Case], Awaitable[Sequence[Result]]]
    late: type[QbcallError]
    """What it means for a call if this is not finished in time."""


async def examine(
    config: Config, checks: Sequence[Check], begun: Callable[[Check], None] = lambda _: None
) -> AsyncIterator[Result]:
    """Run the checks; `begun` is told each before it runs."""
    case = Case(config)
    for check in checks:
        begun(check)
        for result in await _run(check, case):
            yield result


async def _run(check: Check, case: Case) -> Sequence[Result]:
    try:
        async with asyncio.timeout(check.limit):
            return await check.run(case)
    except TimeoutError:
        detail = f"not finished within {check.limit:g} s"
        remedy = "is the network of this machine very slow, or the machine very busy?"
        why: Exception = check.late(detail)
    except Exception as error:
        log.debug("the check %s broke", check.name, exc_info=True)
        detail, remedy, why = f"broke: {error!r}", "this is a fault of qbcall: please report it", error
    return [Result(check=check.name, status=Status.FAILURE, detail=detail, remedy=remedy, error=why)]
