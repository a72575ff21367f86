"""A group call: everybody is connected to everybody (QuickBlox: mesh)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import permutations

from tests.interop.members import JsMember, Member, PyMember, gather
from tests.interop.room import Room
from tests.interop.words import BANDWIDTH, WORDS


def answer_of(member: Member) -> dict[str, str]:
    """What a member says with its accept."""
    return {"device": f"<{member.user}> & Co. 🙂", "nothing": ""}


class Mesh:
    """A call that the first member made, and all others were called."""

    def __init__(self, members: Sequence[Member], video: bool) -> None:
        self.members = members
        self.video = video
        self.accepted_at: dict[int, float] = {}
        """When a user was told to accept, on the event loop's clock."""

    @classmethod
    async def dial(cls, room: Room, kinds: str, *, video: bool = True) -> Mesh:
        """Users come online, and the first calls the others; all ring.

        Args:
            room: of the scenario.
            kinds: see `gather`.
            video: whether it is a video call.
        """
        mesh = cls(await gather(room, kinds), video)
        caller, *callees = mesh.members
        await caller.dial([one.user for one in callees], video, WORDS)
        words = WORDS | (BANDWIDTH if isinstance(caller, JsMember) else {})
        assert await asyncio.gather(*(one.rings(caller.user) for one in callees)) == [words] * len(callees)
        return mesh

    async def accept(self, *members: Member) -> None:
        """Members accept, one soon after the other; the caller is told the words of each."""
        for one in members:
            self.accepted_at[one.user] = asyncio.get_running_loop().time()
            await one.accept(answer_of(one))
        for one in members:
            assert await self.members[0].told_accept(one.user) == answer_of(one)

    async def connected(self, *members: Member, latecomer: Member | None = None) -> None:
        """Wait until each of the members sees and hears each other.

        Args:
            members: who takes part.
            latecomer: only the links of this one are new.
        """
        pairs = [pair for pair in permutations(members, 2) if latecomer in (None, *pair)]
        await asyncio.gather(*(one.linked(other.user) for one, other in pairs))
        await asyncio.gather(*(one.receives(other.user, self.video) for one, other in pairs))

    async def goes_on(self, *members: Member) -> None:
        """Wait until each of the members saw and heard more of each other."""
        await asyncio.gather(*(one.receives_more(other.user, self.video) for one, other in permutations(members, 2)))
        assert all(one.open for one in members)

    def delay(self, one: PyMember, other: Member) -> float:
        """Seconds from the later accept to the connection of two, at the first one's side; the caller accepted."""
        at = one.call.peer(one.py.jid(other.user)).connected_at
        assert at is not None, "connected"
        return at - max(self.accepted_at.get(user, 0.0) for user in (one.user, other.user))

    def answered(self) -> Iterator[tuple[PyMember, Member]]:
        """Links between callees that qbcall answers: who answers, who offers."""
        for one, other in permutations(self.members[1:], 2):
            if isinstance(one, PyMember) and one.user < other.user:
                yield one, other

    async def tabulate(self, room: Room) -> None:
        """Put what went over each link between qbcall and the SDK into the table."""
        caller = self.members[0]
        for one, other in permutations(self.members, 2):
            if isinstance(one, PyMember) and isinstance(other, JsMember):
                leads = caller is one or (caller is not other and one.user > other.user)
                names = (f"qbcall {one.user}", f"JS {other.user}")
                room.note(
                    " > ".join(names if leads else reversed(names)),
                    self.delay(one, other),
                    one.py.found(other.user),
                    await other.js.seen(one.user, other.session),
                )
