"""Whatever the engine is told, in whatever order: only wishes raise, and only what their documentation says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import pytest

from qbcall.core import inputs as what
from qbcall.core import signals as say
from qbcall.core.engine import REMEMBERED_CALLS, Engine
from qbcall.core.model import (
    CallHead,
    CallId,
    CallMedia,
    Candidate,
    Counts,
    DeclineReason,
    Description,
    Device,
    Epoch,
    MediaKind,
    Reception,
    StatsReport,
    User,
)
from qbcall.core.policy import Policy
from qbcall.errors import LinkDown, LinkError, UsageError
from tests.core.watch import Watch

T = TypeVar("T")
USERS = [User(name) for name in "ABCD"]
CALLS = [CallId(f"call-{number}") for number in range(6)]
WISHES = (
    what.GoOnline,
    what.CreateCall,
    what.StartCall,
    what.AcceptCall,
    what.RejectCall,
    what.HangUp,
    what.SendUpdate,
)


class Noise:
    """Random inputs that fit each other often enough to get far."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def one(self, some: Sequence[T]) -> T:
        """One of these."""
        return self.random.choice(some)

    def signal(self) -> say.Signal:
        """A signal, sensible or not."""
        call = self.one(CALLS)
        head = CallHead(
            call=call,
            caller=self.one(USERS),
            callees=tuple(self.random.choices(USERS, k=self.random.randint(0, 4))),
            media=self.one([*CallMedia]),
        )
        some = Description(f"sdp {self.random.randint(0, 5)}")
        candidates = (Candidate("candidate:1"),) * self.random.randint(0, 60)
        signals: list[say.Signal] = [
            *[say.Invite(head=head, offer=some)] * 4,
            *[say.Accept(call=call, answer=some)] * 3,
            say.Decline(call=call, reason=self.one([*DeclineReason])),
            say.End(call=call),
            say.Candidates(call=call, candidates=candidates),
            say.Update(call=call, info={"k": "v"}),
            say.RestartOffer(call=call, offer_id="1", offer=some),
            say.RestartAnswer(call=call, offer_id="1", answer=some),
            say.ReceptionReport(
                call=call, received={self.one(USERS): {self.one([*MediaKind]): self.one([*Reception])}}
            ),
        ]
        return self.one(signals)

    def fact(self) -> what.Input:
        """A fact about a peer connection that exists or not."""
        makers: list[Callable[..., what.Input]] = [
            what.IceChecking,
            what.IceConnected,
            what.IceFailed,
            what.MediaFlowing,
            lambda **key: what.OfferReady(offer=Description("offer"), **key),
            lambda **key: what.AnswerReady(answer=Description("answer"), **key),
            lambda **key: what.CandidatesFound(candidates=(Candidate("candidate:2"),), **key),
            lambda **key: what.MediaBroke(error="odd", **key),
            lambda **key: what.RemoteTrack(kind=self.one([*MediaKind]), **key),
            lambda **key: what.MediaCounted(counts={self.one([*MediaKind]): self.counts()}, **key),
            lambda **key: what.StatsRead(report=StatsReport(), **key),
        ]
        epoch = Epoch(self.one([0, 1, 1, 1, 2]))
        return self.one(makers)(call=self.one(CALLS), peer=self.one(USERS), epoch=epoch)

    def counts(self) -> Counts:
        """What came, which may be less than before."""
        return Counts(packets=self.one([0, 1, 2]), frames=self.one([0, 1]), reports=self.one([0, 1, 2]))

    def wish(self) -> what.Input:
        """Something a user may want, possible or not."""
        call = self.one(CALLS)
        callees = tuple(self.random.choices(USERS[1:], k=self.random.randint(0, 4)))
        wishes: list[what.Input] = [
            what.CreateCall(call=call, callees=callees, media=self.one([*CallMedia])),
            what.StartCall(call=call),
            *[what.AcceptCall(call=call)] * 3,
            what.RejectCall(call=call),
            what.HangUp(call=call),
            what.SendUpdate(call=call, info={}, to=self.one([None, *USERS])),
            what.GoOnline(),
        ]
        return self.one(wishes)

    def link(self) -> what.Input:
        """Something about the chat link."""
        fatal = self.random.random() < 0.1
        broke = what.LinkBroke(reason=LinkError("cut"), fatal=fatal)
        facts: list[what.Input] = [what.GoOffline(), broke, *[what.LinkUp(device=Device("A/1"))] * 4]
        return self.one(facts)

    def input(self) -> what.Input:
        """Anything."""
        chance = self.random.random()
        if chance < 0.4:
            device = Device(self.one(["x/1", "x/2"]))
            return what.Arrived(sender=self.one(USERS), device=device, signal=self.signal())
        return self.fact() if chance < 0.8 else self.wish() if chance < 0.97 else self.link()


@pytest.mark.parametrize("seed", range(60))
def test_engine_survives_noise(seed: int) -> None:
    """QB-049."""
    noise = Noise(seed)
    policy = Policy(stats_interval=noise.one([0.0, 1.0]), reject_when_busy=noise.one([False, False, True]))
    engine = Engine(USERS[0], policy, leads=lambda one, other: one > other)
    watch = Watch()
    now = 0.0
    for _ in range(400):
        now += noise.one([0.0, 0.0, 0.1, 2.0, -1.0])
        told = noise.input()
        try:
            effects = engine.handle(told, now)
        except (UsageError, LinkDown):
            assert isinstance(told, WISHES)
            continue
        for effect in (*effects, *engine.advance(now)):
            watch.see(effect, online=True)
        assert len(engine.sessions) <= policy.max_calls
        due = engine.next_deadline()
        assert due is None or due > now - 2.0
    for call in tuple(engine.sessions):
        for effect in engine.handle(what.HangUp(call=call), now):
            watch.see(effect, online=True)
    assert watch.media == {}
    assert watch.calls_left == set()


def test_memory_of_ended_calls_is_bounded() -> None:
    engine = Engine(USERS[0], Policy(), leads=lambda one, other: one > other)
    engine.handle(what.GoOnline(), 0.0)
    engine.handle(what.LinkUp(device=Device("A/1")), 0.0)
    for number in range(REMEMBERED_CALLS + 50):
        call = CallId(f"n{number}")
        engine.handle(what.CreateCall(call=call, callees=(USERS[1],), media=CallMedia.AUDIO), 0.0)
        engine.handle(what.HangUp(call=call), 0.0)
    assert engine.sessions == {}
    assert len(engine._ended) == REMEMBERED_CALLS
    assert engine.handle(what.HangUp(call=call), 0.0) == []
