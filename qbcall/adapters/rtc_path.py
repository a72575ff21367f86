"""The network path of a peer connection: an ICE transport under aiortc that waits for nobody.

aioice gathers every candidate before it shows one, so each dead STUN or TURN server holds an offer up for 5 s; and it
sleeps 20 ms between two looks at its checks. Here an offer leaves with the addresses of this machine. Servers are
asked meanwhile; what they answer is told, and tried (RFC 8838).

aioice also mixes up those who answer one offer. One offer may be answered by several devices of a user, and only the
one whose answer was taken is listened to. A caller that has no answer yet cannot tell them apart: aioice answers the
connectivity checks of all, and hands on media of any sender. So the DTLS hello of a device that accepted a moment too
late would get into the handshake with the other, and break it. A check names the username fragments of both sides
(RFC 8445, section 7.3): they tell senders apart here.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, Connection, StunProtocol, TransportPolicy
from aioice.stun import Message, parse_message
from aioice.turn import UDP_SOCKET_BUFFER_SIZE, TurnTransport

from qbcall.adapters import rtc_socket
from qbcall.adapters.rtc_search import Search
from qbcall.adapters.rtc_servers import StunServer, TurnServer, stun_servers, turn_servers
from qbcall.adapters.rtc_settled import settled
from qbcall.adapters.rtc_socket import MediaSocket

log = logging.getLogger("qbcall.adapters.rtc")

Address: TypeAlias = tuple[str, int]

LAST_OF_STUN = b"\x03"
"""First byte of a datagram: up to here it is STUN's (RFC 7983, section 7)."""
MOST_WAITING = 32
"""Datagrams kept until the answer is there; a DTLS hello and its repetitions are a few."""
SERVER_PATIENCE = 5.0
"""Seconds that STUN and TURN servers have to answer; nobody waits for them but who has no other address."""
RELEASE_PATIENCE = 1.0
"""Seconds that a TURN server has to confirm that its address is given back."""
CHECK_INTERVAL = 0.02
"""Seconds between two checks that nothing else calls for (RFC 8445, section 14.2: Ta)."""
UNCHECKED = (CandidatePair.State.WAITING, CandidatePair.State.FROZEN)


class Path(Connection):
    """Looks for a way to one peer; listens to the peer whose answer was taken, and if it checks nothing, to all."""

    def __init__(self, search: Search, **named: Any) -> None:
        super().__init__(**named)
        self.gathering = False
        """Whether more candidates may be found."""
        self._search = search
        self._asking: asyncio.Task[None] | None = None
        self._next_check: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._fragments: dict[Address, str] = {}
        """Who proved before the answer that it has the offer, and what it is called."""
        self._waiting: deque[tuple[Address, bytes, int, float]] = deque(maxlen=MOST_WAITING)
        self.media: Callable[[bytes, float], bool] | None = None
        """Takes what came from the peer, and when, if it is media; else it waits to be received."""

    # -- our candidates ----------------------------------------------------------------------------------------------

    async def gather_candidates(self) -> None:
        """Until there is one candidate to offer; servers are asked meanwhile, and go on to be asked afterwards."""
        if self._local_candidates_start:
            return
        self._local_candidates_start = True
        if self._transport_policy is TransportPolicy.ALL:
            for address in self._search.addresses:
                await self._listen(address)
        if self._search.ice.servers and not self._closing:
            self.gathering = True
            self._asking = asyncio.get_running_loop().create_task(self._ask(), name="qbcall-gather")
            self._asking.add_done_callback(self._asked)
        await self._until(lambda: bool(self._local_candidates) or not self.gathering)
        self._local_candidates_end = True

    async def gathered(self) -> None:
        """Wait until no more candidates may be found."""
        if self._asking is not None:
            await asyncio.wait({self._asking})

    def stop_gathering(self) -> None:
        """Wait for no server any more."""
        if self._asking is not None:
            self._asking.cancel()

    def _socket(self) -> PathProtocol:
        make = self._search.socket
        return PathProtocol(self) if make is None else make(self)

    async def _listen(self, address: str) -> None:
        protocol = self._socket()
        try:
            transport = await self._open(address, protocol)
        except OSError as error:
            log.debug("%s cannot be used: %s", address, error)
            return
        if self._closing:
            transport.close()
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=1,
            transport="udp",
            priority=candidate_priority(1, "host"),
            host=host,
            port=port,
            type="host",
        )
        self._add_local(protocol.local_candidate, protocol)

    async def _open(self, address: str, protocol: PathProtocol) -> asyncio.DatagramTransport:
        if rtc_socket.KNOWN and self._search.socket is None:  # a bad network has a time of its own
            return MediaSocket(address, protocol)
        loop = asyncio.get_running_loop()
        return (await loop.create_datagram_endpoint(lambda: protocol, local_addr=(address, 0)))[0]

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(SERVER_PATIENCE):
                for error in await asyncio.gather(*self._queries(), return_exceptions=True):
                    if error is not None:
                        log.info("a STUN or TURN server is of no use: %r", error)
        except TimeoutError:
            log.info("a STUN or TURN server did not answer within %g s", SERVER_PATIENCE)

    def _queries(self) -> Iterator[Coroutine[Any, Any, None]]:
        servers = self._search.ice.servers
        for stun in stun_servers(servers):
            for protocol in self._protocols:
                yield self._reflexive(stun, protocol)
        for turn in turn_servers(servers):
            yield self._relayed(turn)

    async def _reflexive(self, server: StunServer, protocol: StunProtocol) -> None:
        self._add_local(await server.ask(protocol), None)

    async def _relayed(self, server: TurnServer) -> None:
        hide = self._transport_policy is TransportPolicy.RELAY
        self._add_local(*await server.allocate(self._socket, 1, hide=hide))

    def _asked(self, _: asyncio.Task[None]) -> None:
        """No more candidates come."""
        self.gathering = False
        self._news.set()
        if self._early_checks_done and not self._closing and not self._check_list_maybe_complete():
            self._check_list_maybe_fail()

    def _add_local(self, candidate: Candidate, protocol: StunProtocol | None) -> None:
        if any((one.host, one.port) == (candidate.host, candidate.port) for one in self._local_candidates):
            return  # redundant: RFC 8445, section 5.1.3
        self._local_candidates.append(candidate)
        if protocol is not None:
            self._protocols.append(protocol)
            for remote in self._remote_candidates:
                self._pair_remote_candidate(remote)
            self.sort_check_list()
            self._check_more()
        self._news.set()
        self._search.found(self, candidate)

    # -- checks ------------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """The answer is there: check pairs of candidates, those that exist and those that come, until one works.

        Raises:
            ConnectionError: none works, and no more candidates can come.
        """
        if self.remote_username is not None:  # else it fails below, whatever may come
            early = list(self._waiting)
            self._waiting.clear()
            for one in early:
                self.take(*one)
            await self._until(
                lambda: bool(self._check_list or self._early_checks) or not self._remote_candidates_expected()
            )
        self._end_if_closed()
        await super().connect()
        self.stop_gathering()
        self._end_if_closed()

    async def close(self) -> None:
        """Close it, whatever it waits for."""
        self._closing = True
        self._news.set()
        if self._next_check is not None:
            self._next_check.cancel()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await super().close()

    def _end_if_closed(self) -> None:
        if self._closing:
            if self._query_consent_task is not None:  # aioice starts it without a look
                self._query_consent_task.cancel()
            raise ConnectionError("closed while it connected")

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not (condition() or self._closing):
            self._news.clear()
            await self._news.wait()

    def _remote_candidates_expected(self) -> bool:
        return self.gathering or super()._remote_candidates_expected()

    def _add_remote_candidate(self, remote_candidate: Candidate, network_host: str) -> None:
        super()._add_remote_candidate(remote_candidate, network_host)
        self._check_more()
        self._news.set()

    def _end_remote_candidates(self) -> None:
        super()._end_remote_candidates()
        self._news.set()

    def _check_periodic(self) -> bool:
        """`Connection.connect` asks this between its sleeps. It needs none: a timer of our own paces the checks."""
        self._check_more()
        return False

    def _check_more(self) -> None:
        """Start the next check, unless one was started just now: its timer goes on then."""
        if self._next_check is None and self._early_checks_done and not self._closing:
            self._check_next()

    def _check_next(self) -> None:
        self._next_check = None
        if not self._check_list_done and any(pair.state in UNCHECKED for pair in self._check_list):
            super()._check_periodic()
            self._next_check = asyncio.get_running_loop().call_later(CHECK_INTERVAL, self._check_next)

    # -- one of several devices --------------------------------------------------------------------------------------

    def take(self, sender: Address, data: bytes, component: int, came: float) -> None:
        """Media came, or before it the handshake, at this time in seconds; before the answer it has to wait."""
        if self.remote_username is None:
            self._waiting.append((sender, data, component, came))
        elif self._fragments.get(sender, self.remote_username) == self.remote_username:
            # What came before is done with first.
            if self.media is not None and self._queue.empty() and self.media(data, came):
                return
            self.data_received(data, component)

    def send_now(self, data: bytes) -> None:
        """Send what needs no waiting.

        Raises:
            ConnectionError: there is no path yet, or no more.
        """
        settled(self.sendto(data, 1))

    @property
    def heard_at(self) -> float | None:
        """When the peer was last heard, in seconds of the event loop's clock; None: it is not connected."""
        return None

    def heard(self, protocol: StunProtocol, sender: Address) -> None:
        """Media came."""

    def sending_failed(self, error: Exception) -> None:
        """This machine could not send."""

    def was_answered(self, request: Message) -> None:
        """An authentic answer came to a check, or one to a question to a server."""

    def request_received(self, message: Message, addr: Address, protocol: StunProtocol) -> None:
        """A check came."""
        super().request_received(message, addr, protocol)
        if self._early_checks and self._early_checks[-1][0] is message:  # it was authentic
            self._fragments[addr] = message.attributes["USERNAME"].partition(":")[2]
            self._news.set()


class PathProtocol(StunProtocol):
    """One socket of a path, or one address at a TURN server."""

    receiver: Path

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """See `asyncio.DatagramProtocol`."""
        assert isinstance(data, bytes), "datagrams are no text"
        self.received(data, addr, time.time())

    def received(self, data: bytes, addr: tuple[Any, ...], came: float) -> None:
        """A datagram came, at this time in seconds. Anybody may send anything here."""
        if data[:1] > LAST_OF_STUN:
            sender = addr[0], addr[1]
            self.receiver.heard(self, sender)
            self.receiver.take(sender, data, self.local_candidate.component, came)
            return
        try:
            parse_message(data)  # what is none would go on to DTLS
            super().datagram_received(data, addr)
        except Exception:  # aioice reads what it is sent without many doubts
            log.debug("a STUN message that makes no sense came from %s", addr, exc_info=True)

    def send_now(self, data: bytes, addr: Address) -> None:
        """Send media."""
        self.transport.sendto(data, addr)

    async def send_data(self, data: bytes, addr: Address) -> None:
        """Send media."""
        self.send_now(data, addr)

    async def request(
        self, request: Message, addr: Address, integrity_key: bytes | None = None, retransmissions: int | None = None
    ) -> tuple[Message, Address]:
        """Ask until an answer comes.

        Raises:
            TransactionError: none comes, or an error.
        """
        answer = await super().request(request, addr, integrity_key, retransmissions)
        self.receiver.was_answered(request)
        return answer

    def error_received(self, exc: Exception) -> None:
        """See `asyncio.DatagramProtocol`."""
        self.receiver.sending_failed(exc)

    async def close(self) -> None:
        """Close it; a TURN server that does not answer any more is not waited for."""
        closing = asyncio.ensure_future(super().close())
        await asyncio.wait([closing], timeout=RELEASE_PATIENCE)
        if not closing.done() and isinstance(self.transport, TurnTransport):
            giving_back = getattr(self.transport, _GIVING_BACK)
            giving_back.cancel()
            with suppress(asyncio.CancelledError):
                await giving_back
        await closing


_GIVING_BACK = "_TurnTransport__close_task"


def parameters(function: Callable[..., object]) -> list[str]:
    """What a function takes."""
    return list(inspect.signature(function).parameters)


# Of aioice's own parts those are used that are named here; a release that changes them must be noticed at once.
_PARTS = {
    "request_received": ["self", "message", "addr", "protocol"],
    "data_received": ["self", "data", "component"],
    "_add_remote_candidate": ["self", "remote_candidate", "network_host"],
    "_pair_remote_candidate": ["self", "remote_candidate"],
    "_end_remote_candidates": ["self"],
    "_remote_candidates_expected": ["self"],
    "_check_periodic": ["self"],
    "_check_list_maybe_complete": ["self"],
    "_check_list_maybe_fail": ["self"],
    "sort_check_list": ["self"],
    "gather_candidates": ["self"],
}
_FIELDS = (
    "_check_list _check_list_done _closing _early_checks _early_checks_done _local_candidates _local_candidates_end "
    "_local_candidates_start _protocols _query_consent_task _queue _remote_candidates _transport_policy"
)
_KNOWN = (
    *(name in vars(Connection) and parameters(vars(Connection)[name]) == its for name, its in _PARTS.items()),
    set(_FIELDS.split()) <= set(Connection.__init__.__code__.co_names),
    parameters(StunProtocol.datagram_received) == ["self", "data", "addr"],
    parameters(StunProtocol.request) == ["self", "request", "addr", "integrity_key", "retransmissions"],
    _GIVING_BACK in TurnTransport.__init__.__code__.co_names,
)
if not all(_KNOWN):
    raise ImportError("paths are looked for otherwise than in aioice 0.13: calls would break")
