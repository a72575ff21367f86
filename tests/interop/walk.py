"""Random legal sequences of one call each: somebody calls, things happen, everybody leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from qbcall import AudioTrackAdded
from tests.interop.js_user import PATIENCE
from tests.interop.players import JsPlayer, Move, Player, PyPlayer, some_info

MOST_MOVES = 6
MORE_MOVES = 4
"""Where media flows, for then more is legal."""
LIMITS = (0.0, 0.01, 0.05, 0.2)
"""Seconds between two moves, if nothing happens meanwhile."""
NOTHING = Move("nothing", lambda: asyncio.sleep(0))
HEARS = "async (user, session) => (await agent.seen(user, session)).packets >= 3"


class Lane:
    """One user of the SDK, with one device or two, and the users of qbcall about it."""

    def __init__(self, js: Sequence[JsPlayer], pys: Sequence[PyPlayer], seed: str) -> None:
        self.js = js
        self.pys = pys
        self.told: list[str] = []
        """What was done in the present sequence, to be shown when it fails."""
        self._seed = seed
        self._others = sorted({one.user for one in pys})

    @property
    def players(self) -> list[Player]:
        """Everybody."""
        return [*self.js, *self.pys]

    async def sequence(self, number: int, media: bool) -> None:
        """Play one.

        Args:
            number: which; the same one makes the same choices, as far as the others leave them.
            media: whether it goes on until sound arrives on both sides.
        """
        rng = Random(f"{self._seed}/{number}")
        self.told = [f"sequence {number}"]
        cast = await (self._talk(rng) if media else self._open(rng))
        for _ in range(rng.randrange(MOST_MOVES + 1) + media * MORE_MOVES):
            await rng.choice(cast).news(rng.choice(LIMITS))
            some = rng.sample(cast, rng.choice([1, 1, 2]))
            await asyncio.gather(*(self._move(one, rng) for one in some))
        await self._end(rng)

    async def flushed(self) -> None:
        """Wait until all that was sent arrived."""
        for one in reversed(self.players):
            await one.flushed()

    # -- details -----------------------------------------------------------------------------------------------------

    async def _open(self, rng: Random) -> list[Player]:
        one, other = rng.choice(self.js), rng.choice(self.pys)
        all_others = [user for user in self._others if user != other.user]
        to_py, to_js = [other.user], [one.user]
        match rng.choice(["py", "js", "py group", "js group", "glare", "two at once"]):
            case "py":
                some = [self._call(other, to_js, rng)]
            case "js":
                some = [self._call(one, to_py, rng)]
            case "py group":
                some = [self._call(other, [*to_js, *all_others], rng)]
            case "js group":
                some = [self._call(one, self._others, rng)]
            case "glare":
                some = [self._call(other, to_js, rng), self._call(one, to_py, rng)]
            case _:
                some = [self._call(other, to_js, rng), self._call(rng.choice(self.pys), to_js, rng)]
        await asyncio.gather(*some)
        return self.players

    async def _call(self, player: Player, users: Sequence[int], rng: Random) -> None:
        video, info = rng.random() < 0.5, some_info(rng)
        self.told.append(f"{player.user} calls {users} {'video' if video else 'audio'}")
        await player.call(rng.sample(users, len(users)), video, info)

    async def _move(self, player: Player, rng: Random) -> None:
        moves = [*await player.moves(rng), NOTHING]
        (move,) = rng.choices(moves, [move.weight for move in moves])
        self.told.append(f"{player.user}: {move.name}")
        await move.do()

    async def _talk(self, rng: Random) -> list[Player]:
        """Two call and accept, and wait for sound on both sides."""
        one, other = rng.choice(self.js), rng.choice(self.pys)
        video = rng.random() < 0.5
        await self.flushed()
        if rng.random() < 0.5:
            self.told.append(f"{other.user} and {one.user} talk")
            call = await other.py.call([one.user], video=video, info=some_info(rng))
            await one.js.expect("call", session=call.id)
            await one.js.accept(some_info(rng), call.id)
        else:
            self.told.append(f"{one.user} and {other.user} talk")
            session = await one.js.call([other.user], video=video, info=some_info(rng))
            call = await other.rings(session)
            await other.py.accept(call, some_info(rng))
        await call.connected(PATIENCE)
        await other.py.expect(AudioTrackAdded, call=call)
        await one.js.until(HEARS, other.user, call.id)
        return [one, other]

    async def _end(self, rng: Random) -> None:
        """All leave, in any order; once more, whoever was called in this very moment."""
        async with asyncio.timeout(PATIENCE):
            while not all([await one.idle() for one in self.players]):
                for one in rng.sample(self.players, len(self.players)):
                    self.told.append(f"{one.user} leaves")
                    await one.leave()
                    await one.news(rng.choice(LIMITS))
