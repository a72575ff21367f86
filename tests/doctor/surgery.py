"""Examinations of real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from qbcall.config import Config
from qbcall.devserver import DevServer
from qbcall.doctor.checks import CHECKS
from qbcall.doctor.examination import examine
from qbcall.doctor.results import Result, Status
from tests.coturn import Coturn

PATIENCE = 50.0
CHAT = ("dns", "server")
LOOPBACK = ["127.0.0.1"]
OK, WARNING, FAILURE, SKIPPED = Status.PASS, Status.WARNING, Status.FAILURE, Status.SKIPPED


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario, and see that no task of it is left, and that nothing was raised that only the loop hears of."""
    unheard: list[dict[str, Any]] = []

    async def whole() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        async with asyncio.timeout(PATIENCE):
            await scenario()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(whole())
    assert not unheard, unheard


def account(server: DevServer, **changed: object) -> dict[str, object]:
    """Ann's, at this server."""
    return {
        "jid": f"ann@{server.domain}",
        "password": server.accounts["ann"],
        "server": f"{server.host}:{server.port}",
        "plaintext": not server.tls,
        "ca_file": server.ca_file,
        **changed,
    }


def turn(relay: Coturn, *urls: str, **changed: object) -> dict[str, object]:
    """An entry of `ice.servers`."""
    username, credential = relay.credentials()
    named = urls or (f"turn:{relay.host}:{relay.port}",)
    return {"urls": named, "username": username, "credential": credential, **changed}


class Report:
    """What an examination found."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = results

    @property
    def statuses(self) -> list[tuple[str, Status]]:
        """Every line."""
        return [(result.check, result.status) for result in self.results]

    def about(self, check: str, url: str = "") -> Result:
        """The one line of a check, about a server where there are several."""
        (found,) = [result for result in self.results if result.check == check and url in result.subject]
        return found


async def examined(
    account: dict[str, object], ice: dict[str, object] | None = None, only: Sequence[str] = ()
) -> Report:
    """Examine; all checks, or only some."""
    config = Config.of(account=account, ice={"addresses": LOOPBACK, **(ice or {})})
    checks = [check for check in CHECKS if not only or check.name in only]
    return Report([result async for result in examine(config, checks)])
