"""Members of a group call: users of qbcall and of the QuickBlox SDK behind one face, so that tests can mix them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from qbcall import Call, EndReason, IncomingCall, PeerAccepted, PeerConnected, PeerHungUp, PeerRejected
from qbcall.core.signals import Invite
from tests.interop.js_user import ENOUGH_FRAMES, ENOUGH_PACKETS, PATIENCE, JsUser
from tests.interop.py_user import PyUser
from tests.interop.room import Room

CALLER, *CALLEES = 1002, 1001, 1003, 1004
"""The caller's number is between the callees', for it has no meaning in a call."""
REDIALS = 3
"""Seconds between two invitations; the least that qbcall allows. A user of the SDK goes deaf when another callee's
invitation is repeated before its answer arrived, so it must not be shorter on a busy machine."""
SMALL = {"source": "test:size=160x120,fps=10"}
Words = Mapping[str, object]


class Member(Protocol):
    """One who is called, or calls."""

    user: int

    async def dial(self, users: Sequence[int], video: bool, info: Mapping[str, str]) -> None:
        """Call users."""

    async def rings(self, caller: int) -> Words:
        """Wait until a call comes in; what the caller says with it is given back."""

    async def accept(self, info: Mapping[str, str]) -> None:
        """Accept."""

    async def reject(self, info: Mapping[str, str]) -> None:
        """Reject."""

    async def leave(self, info: Mapping[str, str]) -> None:
        """Hang up, or cancel."""

    async def told_accept(self, user: int) -> Words:
        """Wait until a user accepts an invitation of this one; the user's words are given back."""

    async def told_reject(self, user: int) -> Words:
        """Wait until a user rejects the call; the user's words are given back."""

    async def told_leave(self, user: int) -> Words:
        """Wait until a user hangs up; the user's words are given back."""

    async def invited(self, user: int, times: int) -> None:
        """Wait until this one invited a user so often."""

    async def linked(self, user: int) -> None:
        """Wait until there is a path to a user."""

    async def receives(self, user: int, video: bool) -> None:
        """Wait until a user's own card and tone came."""

    async def receives_more(self, user: int, video: bool) -> None:
        """Wait until more of them came than so far."""

    async def closed(self) -> EndReason | None:
        """Wait until the call is over here; why is given back, which the SDK does not say."""

    @property
    def rung(self) -> int:
        """How many calls rang here."""

    @property
    def open(self) -> bool:
        """Whether the call is not over here."""


class PyMember:
    """A user of qbcall in a group call."""

    def __init__(self, py: PyUser) -> None:
        self.py = py
        self.user = py.user
        self._call: Call | None = None

    @property
    def call(self) -> Call:
        """The call."""
        assert self._call is not None, "called, or was called"
        return self._call

    async def dial(self, users: Sequence[int], video: bool, info: Mapping[str, str]) -> None:
        """See `Member`."""
        self._call = await self.py.call(users, video=video, info=info)

    async def rings(self, caller: int) -> Words:
        """See `Member`."""
        self._call = await self.py.ringing(caller)
        return self.call.info

    async def accept(self, info: Mapping[str, str]) -> None:
        """See `Member`."""
        await self.py.accept(self.call, info)

    async def reject(self, info: Mapping[str, str]) -> None:
        """See `Member`."""
        await self.call.reject(info)

    async def leave(self, info: Mapping[str, str]) -> None:
        """See `Member`."""
        await self.call.hang_up(info)

    async def told_accept(self, user: int) -> Words:
        """See `Member`."""
        return (await self.py.expect(PeerAccepted, user=user, call=self.call)).info

    async def told_reject(self, user: int) -> Words:
        """See `Member`."""
        return (await self.py.expect(PeerRejected, user=user, call=self.call)).info

    async def told_leave(self, user: int) -> Words:
        """See `Member`."""
        return (await self.py.expect(PeerHungUp, user=user, call=self.call)).info

    async def invited(self, user: int, times: int) -> None:
        """See `Member`."""
        for _ in range(times):
            await self.py.sent.expect(
                lambda sent: isinstance(sent.signal, Invite) and sent.to == self.py.jid(user), "Invite", PATIENCE
            )

    async def linked(self, user: int) -> None:
        """See `Member`."""
        await self.py.expect(PeerConnected, user=user, call=self.call)

    async def receives(self, user: int, video: bool) -> None:
        """See `Member`."""
        await self.py.receives(user, video=video)

    async def receives_more(self, user: int, video: bool) -> None:
        """See `Member`."""
        await self.py.receives(user, video=video, more=self.py.found(user))

    async def closed(self) -> EndReason | None:
        """See `Member`."""
        async with asyncio.timeout(PATIENCE):
            return await self.call.ended()

    @property
    def rung(self) -> int:
        """See `Member`."""
        return len(self.py.told(IncomingCall))

    @property
    def open(self) -> bool:
        """See `Member`."""
        return self.call.end_reason is None


class JsMember:
    """A user of the SDK in a group call."""

    def __init__(self, js: JsUser) -> None:
        self.js = js
        self.user = js.user
        self.session = ""

    async def dial(self, users: Sequence[int], video: bool, info: Mapping[str, str]) -> None:
        """See `Member`."""
        self.session = await self.js.call(users, video=video, info=info)

    async def rings(self, caller: int) -> Words:
        """See `Member`."""
        event = await self.js.expect("call", user=caller)
        self.session = event.session
        return event.info or {}

    async def accept(self, info: Mapping[str, str]) -> None:
        """See `Member`."""
        await self.js.accept(info, self.session)

    async def reject(self, info: Mapping[str, str]) -> None:
        """See `Member`."""
        await self.js.reject(info, self.session)

    async def leave(self, info: Mapping[str, str]) -> None:
        """See `Member`."""
        await self.js.stop(info, self.session)

    async def told_accept(self, user: int) -> Words:
        """See `Member`."""
        return await self._told("accept", user)

    async def told_reject(self, user: int) -> Words:
        """See `Member`."""
        return await self._told("reject", user)

    async def told_leave(self, user: int) -> Words:
        """See `Member`."""
        return await self._told("stop", user)

    async def invited(self, user: int, times: int) -> None:
        """See `Member`."""
        for _ in range(times):
            await self.js.signals.expect(
                lambda signal: signal.sent and (signal.kind, signal.user) == ("call", user), "call", PATIENCE
            )

    async def linked(self, user: int) -> None:
        """See `Member`."""
        await self._told("stream", user)

    async def receives(self, user: int, video: bool) -> None:
        """See `Member`."""
        await self.js.receives(user, video=video, session=self.session)

    async def receives_more(self, user: int, video: bool) -> None:
        """See `Member`."""
        before = await self.js.seen(user, self.session)
        await self.js.until(
            """async (user, session, frames, packets) => {
                const found = await agent.seen(user, session);
                return found.frames >= frames && found.packets >= packets;
            }""",
            user,
            self.session,
            before["frames"] + ENOUGH_FRAMES * video,
            before["packets"] + ENOUGH_PACKETS,
        )
        await self.js.receives(user, video=video, session=self.session)

    async def closed(self) -> EndReason | None:
        """See `Member`."""
        await self.js.expect("close", session=self.session)
        return None

    @property
    def rung(self) -> int:
        """See `Member`."""
        return self.js.kinds().count("call")

    @property
    def open(self) -> bool:
        """See `Member`."""
        return "close" not in self.js.kinds()

    async def _told(self, kind: str, user: int) -> Words:
        return (await self.js.expect(kind, user=user, session=self.session)).info or {}


async def gather(room: Room, kinds: str) -> list[Member]:
    """Users that are online.

    Args:
        room: of the scenario.
        kinds: a letter for each user, `p` for qbcall and `j` for the SDK; the caller's first, then the callees'
            in the order of their numbers.
    """
    return [await _member(room, kind, user) for kind, user in zip(kinds, (CALLER, *CALLEES), strict=False)]


async def _member(room: Room, kind: str, user: int) -> Member:
    if kind == "p":
        return PyMember(await room.py(user, call={"dialing_interval": REDIALS}, media=SMALL))
    return JsMember(await room.js(user, dialingTimeInterval=REDIALS))
