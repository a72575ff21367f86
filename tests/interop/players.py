"""Users who do, at any moment, anything that is legal for them at that moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypedDict

from qbcall import Call, CallState, IncomingCall, InvalidState, PeerState, User
from qbcall.core.model import CallId, Candidate
from qbcall.core.signals import Accept, Candidates, Invite, RestartOffer, Signal
from tests.interop.js_user import PATIENCE, JsUser
from tests.interop.py_user import PyUser
from tests.interop.telling_link import TellingLink

Info = dict[str, str]


@dataclass(frozen=True, slots=True)
class Move:
    """What may be done now."""

    name: str
    do: Callable[[], Awaitable[object]]
    weight: int = 2
    """How often it is chosen, beside others: most calls are to be accepted, and to last for some moves."""


UNDER_WAY = (CallState.CONNECTING, CallState.CONNECTED)
RECENT = 50
"""Signals among which those of the present call are."""
TEXTS = ("", " ", "x", "a & b", "<x/>", "\"'", "Grüße", "👋🏽", "日本語", "]]>", "&amp;", "0", "a\nb", "y" * 500)


def some_info(rng: Random) -> Info:
    """Words of an application: none, a few, or very many."""
    count = rng.choice([0, 0, 1, 2, 3, 50])
    return {f"{rng.choice(['key', 'Ä', '_'])}{n}": rng.choice(TEXTS) for n in range(count)}


class Player(Protocol):
    """One device of one user."""

    user: int

    async def call(self, users: Sequence[int], video: bool, info: Info) -> None:
        """Call users, if that is possible now."""

    async def moves(self, rng: Random) -> list[Move]:
        """What may be done now with the calls that there are."""

    async def leave(self) -> None:
        """Leave all calls."""

    async def idle(self) -> bool:
        """Whether there is no call."""

    async def news(self, limit: float) -> None:
        """Wait until something happened that was not waited for before, for `limit` seconds at most."""

    async def flushed(self) -> None:
        """Having left all calls, wait until all is over: what was sent arrived."""


class PyPlayer:
    """A user of qbcall."""

    def __init__(self, py: PyUser) -> None:
        self.py = py
        self.user = py.user

    async def call(self, users: Sequence[int], video: bool, info: Info) -> None:
        """See `Player`."""
        with suppress(InvalidState):  # a call with the same users is live
            await self.py.call(users, video=video, info=info)

    async def moves(self, rng: Random) -> list[Move]:
        """See `Player`."""
        return [move for call in self.live() for move in self._moves(call, rng)]

    async def leave(self) -> None:
        """See `Player`."""
        for call in self.live():
            await call.hang_up()
            await call.ended()

    async def idle(self) -> bool:
        """See `Player`."""
        return not self.live()

    async def news(self, limit: float) -> None:
        """See `Player`."""
        with suppress(AssertionError):
            await self.py.heard.expect(lambda event: True, "event", limit)

    async def flushed(self) -> None:
        """See `Player`."""
        assert isinstance(self.py.client.link, TellingLink)
        await self.py.client.link.link.round_trip()

    async def rings(self, session: str) -> Call:
        """Wait until this call rings."""
        wanted = f"IncomingCall {session}"
        await self.py.heard.expect(
            lambda event: isinstance(event, IncomingCall) and event.call == session, wanted, PATIENCE
        )
        return self.py.client.calls[CallId(session)]

    def live(self) -> list[Call]:
        """Calls that are not over."""
        return [call for call in self.py.client.calls.values() if call.end_reason is None]

    def _moves(self, call: Call, rng: Random) -> Iterator[Move]:
        info = some_info(rng)
        yield Move("hang up", lambda: call.hang_up(info), 1)
        if call.incoming and call.state is CallState.PENDING:
            yield Move("accept", lambda: self._accept(call, info), 6)
            yield Move("reject", lambda: self._reject(call, info, busy=rng.random() < 0.5))
        elif call.state in UNDER_WAY:
            to = rng.choice([None, *call.peers])
            yield Move("update", lambda: call.update(info, to))
            yield from self._said(call, rng)

    def _said(self, call: Call, rng: Random) -> Iterator[Move]:
        """Signals that are legal, but that qbcall by itself sends rarely or never."""
        said = {type(sent.signal): sent for sent in self.py.sent.all[-RECENT:] if sent.head.call == call.id}
        if Accept in said:
            yield Move("accept again", self._say(call, said[Accept].to, said[Accept].signal))
        for user, peer in call.peers.items():
            if peer.state in (PeerState.CHECKING, PeerState.CONNECTED):
                yield Move("candidates", self._say(call, user, some_candidates(call, rng)))
            invited = said.get(Invite)
            if peer.state is PeerState.CONNECTED and invited is not None and isinstance(invited.signal, Invite):
                fresh = RestartOffer(call=call.id, offer_id=f"{rng.getrandbits(128):x}", offer=invited.signal.offer)
                yield Move("restart", self._say(call, user, fresh))

    def _say(self, call: Call, to: User, signal: Signal) -> Callable[[], Awaitable[object]]:
        async def say() -> None:
            assert self.py.client.link is not None, "online"
            self.py.client.link.send(to, call.head, signal)

        return say

    async def _reject(self, call: Call, info: Info, *, busy: bool) -> None:
        with suppress(InvalidState):  # it crossed a call of this user's own, and is being answered by itself
            await call.reject(info, busy=busy)

    async def _accept(self, call: Call, info: Info) -> None:
        with suppress(InvalidState):  # it ended while media was opened
            await self.py.accept(call, info)


def some_candidates(call: Call, rng: Random) -> Candidates:
    """Paths that lead nowhere."""
    ports = [rng.randrange(1024, 65536) for _ in range(rng.randrange(1, 9))]
    made = (f"candidate:{n} 1 udp 2130706431 127.0.0.1 {port} typ host" for n, port in enumerate(ports, 1))
    return Candidates(call=call.id, candidates=tuple(Candidate(candidate=text, mid="0", line=0) for text in made))


class Live(TypedDict):
    """A session of the SDK that is not over."""

    id: str
    ringing: bool
    mine: bool


class JsPlayer:
    """A user of the SDK."""

    def __init__(self, js: JsUser) -> None:
        self.js = js
        self.user = js.user

    async def call(self, users: Sequence[int], video: bool, info: Info) -> None:
        """See `Player`."""
        if await self.idle():  # the SDK has no second call to the same users
            await self.js.call(users, video=video, info=info)

    async def moves(self, rng: Random) -> list[Move]:
        """See `Player`."""
        return [move for session in await self.live() for move in self._moves(session, rng)]

    async def leave(self) -> None:
        """See `Player`."""
        await self.js.leave()

    async def idle(self) -> bool:
        """See `Player`."""
        return not await self.live()

    async def news(self, limit: float) -> None:
        """See `Player`."""
        with suppress(AssertionError):
            await self.js.heard.expect(lambda event: True, "event", limit)

    async def flushed(self) -> None:
        """See `Player`."""
        await self.js.page.evaluate("() => new Promise((done) => QB.chat.ping(done))")
        await self.js.until(f"() => ({LIVE})().length === 0")  # the SDK obeys a hang-up 10 ms later

    async def live(self) -> list[Live]:
        """Sessions that are not over."""
        found: list[Live] = await self.js.page.evaluate(LIVE)
        return found

    def _moves(self, session: Live, rng: Random) -> Iterator[Move]:
        info, name = some_info(rng), session["id"]
        yield Move("stop", lambda: self.js.stop(info, name), 1)
        if session["ringing"] and not session["mine"]:
            yield Move("accept", lambda: self._accept(info, name), 6)
            yield Move("reject", lambda: self.js.reject(info, name))
        elif not session["ringing"]:
            yield Move("update", lambda: self.js.update(info, name))

    async def _accept(self, info: Info, session: str) -> None:
        from playwright.async_api import Error

        try:
            await self.js.accept(info, session)
        except Error as error:  # told to the application: of a group call that rings, the caller hung up just now
            if "signalingState is 'closed'" not in error.message:
                raise


LIVE = """() => Object.values(QB.webrtc.sessions)
    .filter((one) => one.state === 1 || one.state === 2)
    .map((one) => ({ id: one.ID, ringing: one.state === 1, mine: one.initiatorID === one.currentUserID }))"""
