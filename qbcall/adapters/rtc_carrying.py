"""A path whose checks carry the DTLS handshake (see `rtc_handshake`), where both sides said that they can.

Before a pair of addresses is selected, what DTLS says goes with the checks: with those that are sent in any case, and
with some more on pairs where it can help. From then on it goes as usual. What is lost is repeated sooner than DTLS
does, which waits a second: whether a check arrived is known by its answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from aioice.ice import CandidatePair, Connection, StunProtocol
from aioice.stun import Message

from qbcall.adapters.rtc_handshake import DTLS, HANDSHAKE, LONGEST_CHECK, NAME, Handshake
from qbcall.adapters.rtc_lasting import SUCCEEDED, LastingPath, Question
from qbcall.adapters.rtc_path import CHECK_INTERVAL, Address, parameters
from qbcall.adapters.rtc_search import Search

PAUSES = (0.15, 0.2, 0.4, 0.8)
"""Seconds after which what was said is repeated, unless it arrived; then DTLS does it by itself."""
NOMINATED = 0.02
"""Seconds that an answer to what a check carried has left once its pair is selected: it is right behind."""
MOST_PAIRS = 3
"""Pairs whose checks are sent for the handshake's sake."""
IN_PROGRESS = CandidatePair.State.IN_PROGRESS


class CarryingPath(LastingPath):
    """Receives and sends a DTLS handshake before it is connected."""

    def __init__(self, search: Search, **named: Any) -> None:
        super().__init__(search, **named)
        self._handshake = Handshake()
        self._failed = False
        self._selected = asyncio.Event()
        self._checked: dict[CandidatePair, Message] = {}
        """The last check of each pair that carried something."""
        self._heard_on: deque[CandidatePair] = deque(maxlen=MOST_PAIRS)
        """Pairs on which the peer's checks come."""
        self._insisting: set[asyncio.Task[None]] = set()

    @property
    def carries(self) -> bool:
        """Whether both sides said that they can, and there may be a path."""
        return self._search.carries and not (self._failed or self._closing)

    async def connect(self) -> None:
        """See `Path`."""
        try:
            await super().connect()
        except ConnectionError:
            self._failed = True
            self._queue.put_nowait(None)  # ends a handshake that waits
            raise

    async def close(self) -> None:
        """Close it."""
        self._closing = True
        if self._insisting:
            self._calm()
            await asyncio.wait(self._insisting)
        await super().close()

    # -- what is received --------------------------------------------------------------------------------------------

    async def recvfrom(self) -> tuple[bytes, int]:
        """The next datagram; of the handshake also before a pair is selected.

        Raises:
            ConnectionError: there is no path, or no more.
        """
        if self._nominated or not self.carries:
            return await super().recvfrom()
        received = await self._queue.get()
        if received is None:
            raise ConnectionError("no path was found")
        return received

    def check_incoming(self, message: Message, addr: Address, protocol: StunProtocol) -> None:
        """An authentic check came, maybe of another device that has the offer."""
        known = message.attributes["USERNAME"].partition(":")[2] == self.remote_username
        carries = self.carries and known
        if carries and self._handshake.takes(message.attributes.get(NAME, b"")):
            self._came()
            self.data_received(message.attributes[NAME], protocol.local_candidate.component)
        super().check_incoming(message, addr, protocol)
        if carries and not self._nominated:
            for pair in self._check_list:
                if pair.protocol is protocol and pair.remote_addr == addr and pair not in self._heard_on:
                    self._heard_on.append(pair)

    def take(self, sender: Address, data: bytes, component: int, came: float) -> None:
        """See `Path`."""
        if self._handshake.said is not None and self._is_news(sender, data):
            self._came()
        super().take(sender, data, component, came)

    def _is_news(self, sender: Address, data: bytes) -> bool:
        """Whether the peer answers, and does not only repeat what it said."""
        known = any((one._network_host, one.port) == sender for one in self._remote_candidates)
        return known and len(data) <= LONGEST_CHECK and (data[0] not in DTLS or self._handshake.is_new(data))

    def _came(self) -> None:
        self._handshake.came()
        self._calm()

    # -- what is sent ------------------------------------------------------------------------------------------------

    async def sendto(self, data: bytes, component: int) -> None:
        """Send; a handshake before a pair is selected goes with checks.

        Raises:
            ConnectionError: there is no path, or no more.
        """
        if self.carries and data[:1] and data[0] in (HANDSHAKE if self._nominated else DTLS):
            self._calm()
            self._handshake.say(data)
            self._insist()
        if self._nominated or not self.carries:
            await super().sendto(data, component)

    def build_request(self, pair: CandidatePair, nominate: bool) -> Message:
        """A check."""
        request = super().build_request(pair, nominate)
        if self.carries and (not self._heard_on or pair in self._heard_on):
            self._handshake.load(request)
        if NAME in request.attributes:
            self._checked[pair] = request
        return request

    def check_complete(self, pair: CandidatePair) -> None:
        """A check ended, or the peer selected its pair."""
        super().check_complete(pair)
        if self._nominated:
            self._selected.set()
            self._checked.clear()
            self._heard_on.clear()

    def was_answered(self, request: Message) -> None:
        """An authentic answer came to a check."""
        self._handshake.answered(request)

    def answered(self, question: Question) -> None:
        """An authentic answer came to a check that was sent once."""
        pair = question.pair
        self._handshake.answered(question.request)
        super().answered(question)
        if self._freshness is None and not self._closing and pair.state is IN_PROGRESS and pair in self._check_list:
            if pair.task is not None:  # it waits for the answer to another check, which may be lost
                pair.task.cancel()
            pair.nominated = "USE-CANDIDATE" in question.request.attributes or pair.remote_nominated
            self.check_state(pair, SUCCEEDED)
            self.check_complete(pair)

    # -- what is said again ------------------------------------------------------------------------------------------

    def _insist(self) -> None:
        task = asyncio.get_running_loop().create_task(self._repeat(), name="qbcall-handshake")
        self._insisting.add(task)
        task.add_done_callback(self._insisting.discard)

    def _calm(self) -> None:
        for task in self._insisting:
            task.cancel()

    async def _repeat(self) -> None:
        """Say it until something comes back, which ends this; and for once directly when a pair is selected."""
        direct = bool(self._nominated)
        if not direct:
            await self._carry(self._uninformed())
        for pause in PAUSES:
            if not direct and await self._is_selected_within(pause):
                direct = True
                await asyncio.sleep(NOMINATED)
                if self._handshake.said is not None:
                    await super().sendto(self._handshake.said, 1)
                continue
            if direct:
                await asyncio.sleep(pause)
            if not self._handshake.arrived:
                await self._carry(self._useful())

    async def _is_selected_within(self, patience: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._selected.wait()
        return self._selected.is_set()

    async def _carry(self, pairs: list[CandidatePair]) -> None:
        for number, pair in enumerate(pairs):
            if number:
                await asyncio.sleep(CHECK_INTERVAL)
            if pair in self._check_list and pair.protocol in self._protocols:
                self._question(pair, nominate=self.ice_controlling)

    def _useful(self) -> list[CandidatePair]:
        """Pairs that work, or may."""
        if self._nominated:
            return list(self._nominated.values())
        works = [one for one in self._check_list if one.state is SUCCEEDED]
        found = works + [one for one in self._heard_on if one not in works]
        return (found or [one for one in self._check_list if one.state is IN_PROGRESS])[:MOST_PAIRS]

    def _uninformed(self) -> list[CandidatePair]:
        """Those of them whose present check went without it."""
        said = self._handshake.said
        informed = [pair for pair, request in self._checked.items() if request.attributes.get(NAME) == said]
        return [one for one in self._useful() if one not in informed]


# Of aioice's own parts those are used that are named here, and in `rtc_lasting` and `rtc_path`.
_PARTS = {
    "recvfrom": ["self"],
    "build_request": ["self", "pair", "nominate"],
    "check_complete": ["self", "pair"],
    "check_state": ["self", "pair", "state"],
}
_KNOWN = (
    *(name in vars(Connection) and parameters(vars(Connection)[name]) == its for name, its in _PARTS.items()),
    {"_nominated", "_queue"} <= set(Connection.recvfrom.__code__.co_names),
    {"recvfrom"} <= set(Connection.recv.__code__.co_names),
    {"sendto"} <= set(Connection.send.__code__.co_names),
    {"build_request", "request", "check_complete"} <= set(Connection.check_start.__code__.co_names),
)
if not all(_KNOWN):
    raise ImportError("checks are sent otherwise than in aioice 0.13: a handshake cannot go with them")
