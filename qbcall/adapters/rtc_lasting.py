"""What keeps a path once there is one: it outlives silence, and moves to other addresses by itself.

aioice asks the peer for consent every 5 s, and closes the path after six failures. aiortc then closes all that lies
above, so that a network that was away for half a minute costs the peer connection. Here a path ends when its owner
closes it. While the peer is not reached it is asked five times a second, on the selected pair of addresses and on the
others; the first that answers becomes the selected one. A new address of this machine makes new pairs. The peer needs
no signal to follow: it learns an address from the authentic check that comes from there (RFC 8445, 7.3.1.3).

Nothing here decides about the call: that silence is a loss, and for how long the peer is waited for, is the core's.
Past 30 s without an answer no media is sent (RFC 7675, section 5.1). Differently from there, the peer goes on to be
asked, for as long as the core waits, and an answer gives consent again: it is authentic, and of the same peer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from aioice.ice import CandidatePair, Connection, StunProtocol, TransportPolicy
from aioice.stun import Class, Message

from qbcall.adapters.rtc_addresses import local_addresses
from qbcall.adapters.rtc_freshness import QUIET, Freshness
from qbcall.adapters.rtc_path import SERVER_PATIENCE, Address, Path, PathProtocol, parameters
from qbcall.adapters.rtc_search import Search
from qbcall.adapters.rtc_servers import TurnServer, turn_servers

log = logging.getLogger("qbcall.adapters.rtc")

OPEN_QUESTIONS = 64
"""Questions whose answers are still taken, however late."""
TRIED_AT_ONCE = 10
"""Other pairs that are asked at one time."""
MOST_SOCKETS = 16
"""Sockets of one path; more are rather the addresses of networks that were left."""
ADDRESS_INTERVAL = 1.0
"""Seconds between two looks at the addresses of this machine, each of which takes a third of a millisecond."""
URGENT_ADDRESS_INTERVAL = 0.2
"""The same while the peer is not reached."""
RELAY_INTERVAL = 5.0
"""Seconds between two attempts to get other addresses of TURN servers, while the peer is not reached."""
MOST_RELAYS = 4
"""Addresses at TURN servers that one path keeps."""
SUCCEEDED = CandidatePair.State.SUCCEEDED


class LastingPath(Path):
    """A path that only its owner ends."""

    def __init__(self, search: Search, **named: Any) -> None:
        super().__init__(search, **named)
        self._freshness: Freshness | None = None
        self._questions: deque[Question] = deque()
        self._turn = 0
        self._looked_at = 0.0
        self._listening: asyncio.Task[None] | None = None
        self._relaying: asyncio.Task[None] | None = None
        self._relayed_at = -RELAY_INTERVAL

    @property
    def heard_at(self) -> float | None:
        """When the peer was last heard, in seconds of the event loop's clock; None: it is not connected."""
        return None if self._freshness is None else self._freshness.heard_at

    async def query_consent(self) -> None:
        """Ask the peer for its consent, and for a sign of life, until the path is closed."""
        loop = asyncio.get_running_loop()
        freshness = self._freshness = Freshness(loop.time())
        while True:
            await asyncio.sleep(freshness.pause(loop.time()))
            now = loop.time()
            freshness.look(now)
            self._look_at_addresses(
                freshness, now, URGENT_ADDRESS_INTERVAL if freshness.is_broken(now) else ADDRESS_INTERVAL
            )
            if freshness.must_ask(now):
                self._ask_selected(freshness, now)
            if freshness.is_broken(now):
                self._relay_anew(now)
                self._ask_others()

    async def sendto(self, data: bytes, component: int) -> None:
        """See `send_now`."""
        self.send_now(data)

    def send_now(self, data: bytes) -> None:
        """Send, if the peer consents; what is sent while it cannot be reached is lost, as on any network.

        Raises:
            ConnectionError: there is no path yet, or no more.
        """
        pair = self._nominated.get(1)
        if self._freshness is not None and not self._freshness.may_send(asyncio.get_running_loop().time()):
            return
        if pair is None:
            raise ConnectionError("there is no path")
        protocol = pair.protocol
        if protocol in self._protocols:
            assert isinstance(protocol, PathProtocol), "a path has no others"
            protocol.send_now(data, pair.remote_addr)

    async def close(self) -> None:
        """Close it."""
        for task in (self._listening, self._relaying):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await super().close()

    # -- what is heard -----------------------------------------------------------------------------------------------

    def heard(self, protocol: StunProtocol, sender: Address) -> None:
        """Media came."""
        if self._is_selected(protocol, sender):
            self._note(selected=True)
        elif any((one._network_host, one.port) == sender for one in self._remote_candidates):
            self._follow(protocol, sender)
            self._note(selected=False)

    def check_incoming(self, message: Message, addr: Address, protocol: StunProtocol) -> None:
        """An authentic check came."""
        selected = self._is_selected(protocol, addr)
        super().check_incoming(message, addr, protocol)
        if not selected:
            self._follow(protocol, addr)
        self._note(selected=selected)

    def answered(self, question: Question) -> None:
        """An authentic answer came."""
        pair, freshness = question.pair, self._freshness
        if freshness is None or self._closing:
            return
        now = asyncio.get_running_loop().time()
        pair.state = SUCCEEDED
        if pair is self._nominated.get(pair.component):
            freshness.answered(now)
        elif freshness.is_broken(now) and pair.protocol in self._protocols:
            log.debug("the path goes on over %s", pair)
            self._select(pair, freshness)
        self._note(selected=False)

    def check_complete(self, pair: CandidatePair) -> None:
        """A check of aioice's own ended; one that worked selects its pair.

        Where this side decides, a pair that works is left for no other, unless the peer turns up at a new address.
        aioice selects the pair whose check happens to end last: after a loss that would be any of those that work.
        """
        selected, freshness = self._nominated.get(pair.component), self._freshness
        super().check_complete(pair)
        if freshness is None or selected is None or self._nominated.get(pair.component) is selected:
            return
        now = asyncio.get_running_loop().time()
        if self.ice_controlling and pair.remote_candidate.type != "prflx" and freshness.quiet_for(now) < QUIET:
            self._nominated[pair.component] = selected
        else:
            freshness.selected(now)

    def protocol_lost(self, protocol: StunProtocol) -> None:
        """A relay was lost, or a socket; or the path is being closed."""
        if self._closing or self._freshness is None:
            super().protocol_lost(protocol)
        elif protocol in self._protocols:
            self._freshness.gone = self._freshness.gone or self._is_used(protocol)
            self._drop(protocol)

    def sending_failed(self, error: Exception) -> None:
        """This machine could not send: the address may be gone, or the way to the network."""
        if self._freshness is not None and not isinstance(error, ConnectionRefusedError):  # that one is the peer's
            self._look_at_addresses(self._freshness, asyncio.get_running_loop().time(), URGENT_ADDRESS_INTERVAL)

    def _note(self, *, selected: bool) -> None:
        if self._freshness is not None and self._freshness.heard(
            asyncio.get_running_loop().time(), selected=selected
        ):
            self._search.heard_again()

    def _follow(self, protocol: StunProtocol, sender: Address) -> None:
        """The peer uses another pair. So does this side if its own is quiet; one side first, or they swap."""
        now = asyncio.get_running_loop().time()
        if self._freshness is None or self._freshness.quiet_for(now) < QUIET * (2 if self.ice_controlling else 1):
            return
        for pair in self._check_list:
            if pair.protocol is protocol and pair.remote_addr == sender and pair.state is SUCCEEDED:
                self._select(pair, self._freshness)
                return

    # -- what is asked -----------------------------------------------------------------------------------------------

    def _is_selected(self, protocol: StunProtocol, sender: Address) -> bool:
        pair = self._nominated.get(1)
        return pair is not None and pair.protocol is protocol and pair.remote_addr == sender

    def _select(self, pair: CandidatePair, freshness: Freshness) -> None:
        pair.nominated = True
        self._nominated[pair.component] = pair
        now = asyncio.get_running_loop().time()
        freshness.selected(now)
        self._ask_selected(freshness, now)  # it tells the peer, too

    def _ask_selected(self, freshness: Freshness, now: float) -> None:
        freshness.asked(now)
        for pair in self._nominated.values():
            if pair.protocol in self._protocols:
                self._question(pair, nominate=self.ice_controlling)

    def _ask_others(self) -> None:
        """Ask some of the other pairs, the next ones the next time."""
        for remote in self._remote_candidates:
            self._pair_remote_candidate(remote)
        self.sort_check_list()
        selected = self._nominated.get(1)
        others = [pair for pair in self._check_list if pair is not selected and pair.task is None]
        for number in range(min(TRIED_AT_ONCE, len(others))):
            self._question(others[(self._turn + number) % len(others)], nominate=False)
        self._turn += TRIED_AT_ONCE

    def _question(self, pair: CandidatePair, *, nominate: bool) -> None:
        assert self.remote_password is not None, "it is connected"
        request = self.build_request(pair, nominate=nominate)
        request.add_message_integrity(self.remote_password.encode())
        self._questions.append(Question(self, pair, request, self.remote_password))
        if len(self._questions) > OPEN_QUESTIONS:
            self._questions.popleft().forget()
        pair.protocol.send_stun(request, pair.remote_addr)

    # -- addresses of this machine -----------------------------------------------------------------------------------

    def _look_at_addresses(self, freshness: Freshness, now: float, interval: float) -> None:
        """At most once in the interval."""
        busy = self._listening is not None and not self._listening.done()
        if busy or now < self._looked_at + interval or self._transport_policy is not TransportPolicy.ALL:
            return
        self._looked_at = now
        present = local_addresses(self._search.ice)
        selected = self._nominated.get(1)
        if selected is not None and selected.local_candidate.type == "host":
            lost = selected.protocol not in self._protocols
            freshness.gone = lost or selected.local_candidate.host not in present
        known = {one.local_candidate.host for one in self._protocols}
        new = [address for address in present if address not in known]
        if new:
            self._make_room(len(new), present)
            self._listening = asyncio.get_running_loop().create_task(self._listen_at(new), name="qbcall-addresses")

    async def _listen_at(self, addresses: list[str]) -> None:
        for address in addresses:
            await self._listen(address)
        if self._freshness is not None and self._freshness.is_broken(asyncio.get_running_loop().time()):
            self._ask_others()

    def _relay_anew(self, now: float) -> None:
        """A TURN server knows this side by its address, which may be another now: here, or at a router on the way."""
        servers = turn_servers(self._search.ice.servers)
        busy = self._relaying is not None and not self._relaying.done()
        if servers and not busy and now >= self._relayed_at + RELAY_INTERVAL:
            self._relayed_at = now
            self._relaying = asyncio.get_running_loop().create_task(self._allocate(servers), name="qbcall-relay")

    async def _allocate(self, servers: list[TurnServer]) -> None:
        try:
            async with asyncio.timeout(SERVER_PATIENCE):
                await asyncio.gather(*map(self._relayed, servers), return_exceptions=True)
        except TimeoutError:
            log.debug("no TURN server answered within %g s", SERVER_PATIENCE)
        relays = [one for one in self._protocols if one.local_candidate.type == "relay" and not self._is_used(one)]
        old = relays[: max(0, len(relays) - MOST_RELAYS)]
        for protocol in old:
            self._drop(protocol)
        await asyncio.gather(*(protocol.close() for protocol in old))

    def _make_room(self, number: int, present: list[str]) -> None:
        left = [one for one in self._protocols if one.local_candidate.type == "host"]
        left = [one for one in left if one.local_candidate.host not in present and not self._is_used(one)]
        for protocol in left[: max(0, len(self._protocols) + number - MOST_SOCKETS)]:
            self._drop(protocol)
            protocol.transport.close()

    def _is_used(self, protocol: StunProtocol) -> bool:
        return any(pair.protocol is protocol for pair in self._nominated.values())

    def _drop(self, protocol: StunProtocol) -> None:
        self._protocols.remove(protocol)
        for pair in [pair for pair in self._check_list if pair.protocol is protocol]:
            if pair.task is not None:
                pair.task.cancel()
            self._check_list.remove(pair)


class Question:
    """A check that is sent once, in the place of a transaction of aioice's: is the peer there, on this pair?"""

    def __init__(self, path: LastingPath, pair: CandidatePair, request: Message, password: str) -> None:
        self.pair = pair
        self.request = request
        self._path = path
        self._id = request.transaction_id
        self._key = password.encode()
        pair.protocol.transactions[self._id] = self  # type: ignore[assignment]  # only `response_received` is used

    def response_received(self, message: Message, addr: Address) -> None:
        """An answer came, of somebody."""
        authentic = message.check_message_integrity(self._key) and addr == self.pair.remote_addr
        if authentic and message.message_class is Class.RESPONSE:
            self.forget()
            self._path.answered(self)

    def forget(self) -> None:
        """No answer is waited for any more."""
        self.pair.protocol.transactions.pop(self._id, None)


# Of aioice's own parts those are used that are named here, and in `rtc_path`; a release that changes them must be
# noticed at once.
_PARTS = {
    "query_consent": ["self"],
    "sendto": ["self", "data", "component"],
    "check_incoming": ["self", "message", "addr", "protocol"],
    "check_complete": ["self", "pair"],
    "protocol_lost": ["self", "protocol"],
    "build_request": ["self", "pair", "nominate"],
    "_pair_remote_candidate": ["self", "remote_candidate"],
}
_KNOWN = (
    *(name in vars(Connection) and parameters(vars(Connection)[name]) == its for name, its in _PARTS.items()),
    {"_nominated", "_check_list", "_remote_candidates", "_protocols"} <= set(Connection.__init__.__code__.co_names),
    "query_consent" in Connection.connect.__code__.co_names,
    {"_nominated", "_queue"} == {one for one in Connection.protocol_lost.__code__.co_names if one.startswith("_")},
    "response_received" in StunProtocol.datagram_received.__code__.co_names,
)
if not all(_KNOWN):
    raise ImportError("paths are kept otherwise than in aioice 0.13: calls would break")
