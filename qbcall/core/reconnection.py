"""What becomes of a connection that was up and is lost. Beside the connection, and fed with the same inputs.

A lost connection may come back by itself for one restart interval. Then a fresh one is made beside it, whose offer
and answer go through the chat and carry an id. Of two users one leads: its offers count, the other one's are requests
for one (QuickBlox JS SDK 2.17: `_reconnect` of its WebRTC session; the user with the higher id leads). The lost
connection is kept until the fresh one is up: it may still come back, for instance where the chat is gone as well.

Every restart interval without success a fresh offer with a fresh id is made, and none is sent twice: QuickBlox's SDK
drops its connection at each offer, so a second answer to the same one would belong to another connection.
"""

from __future__ import annotations

import enum
from uuid import NAMESPACE_OID, uuid5

from qbcall.core import events as ev
from qbcall.core.effects import AcceptOffer, ApplyAnswer, CreateOffer
from qbcall.core.inputs import (
    AnswerReady,
    CandidatesDue,
    CandidatesFound,
    DisconnectDue,
    IceChecking,
    IceConnected,
    IceFailed,
    MediaBroke,
    MediaFlowing,
    OfferReady,
    ProbeDue,
    RestartDue,
    StallDue,
    Timer,
)
from qbcall.core.machine import Region, ignored, on, stay, table
from qbcall.core.model import CallId, Device, PeerState
from qbcall.core.peer import Peer
from qbcall.core.room import Distrust, GaveUp, Restored
from qbcall.core.signals import NotKnown, Probe, RestartAnswer, RestartOffer

PROBE_INTERVAL = 0.5
"""Seconds between two questions to a lost user whether their client still knows the call."""


class Recovery(enum.Enum):
    """How far a lost connection is on its way back."""

    STABLE = "stable"
    """Nothing is lost."""
    GRACE = "grace"
    """Lost; it may come back by itself."""
    RESTARTING = "restarting"
    """It is made anew."""
    FAILED = "failed"
    """It did not come back within the disconnect interval, or cannot be trusted."""


class Reconnection:
    """Watches over a connection that was up."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.attempts = 0
        """Fresh connections since the loss."""
        self.offer_id = ""
        """Of the offer that the present attempt began with, ours or theirs."""
        self.awaits_answer = False
        """The offer is ours, and was not answered."""
        self.asked = False
        """Whether the user's clients were asked if they know the call, in this loss."""
        self._sent: RestartOffer | None = None
        self.anew: set[Device | None] = set()
        """Devices of the user that have forgotten the call, and want to be in it again."""
        self._lost_at = 0.0

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`."""
        policy, now = self.peer.room.policy, self.peer.room.now
        return {
            DisconnectDue: now + policy.disconnect_timeout,
            RestartDue: now + policy.restart_interval,
            ProbeDue: now + PROBE_INTERVAL if self.peer.receipts else None,
        }.get(timer)

    def changed(self, old: Recovery, new: Recovery) -> None:
        """See `Owner`. Each action tells its own event."""

    def begin(self, what: StallDue | RestartOffer) -> None:
        """The connection is lost."""
        self._lost_at = self.peer.room.now
        self.anew.clear()
        self.asked = False
        self.attempts = 0
        self.peer.emit(ev.PeerReconnecting(call=self._call, peer=self.peer.user))

    def adopt(self, what: IceConnected) -> None:
        """The fresh connection is up: it takes the place of the lost one."""
        self.peer.adopt()
        self.peer.later(Restored())

    def resume(self, what: RestartDue | DisconnectDue) -> None:
        """The lost connection came back, and the fresh one did not come up."""
        self.peer.epochs.discard()
        self.attempts = 0
        self.succeed(what)

    def succeed(self, what: MediaFlowing | Restored | RestartDue | DisconnectDue) -> None:
        """It came back, by itself or made anew."""
        gap = self.peer.room.now - self._lost_at
        self.peer.emit(ev.PeerReconnected(call=self._call, peer=self.peer.user, gap=gap, attempts=self.attempts))

    def give_up(self, what: DisconnectDue) -> None:
        """It did not come back."""
        self.peer.emit(ev.PeerReconnectFailed(call=self._call, peer=self.peer.user))
        self.peer.later(GaveUp())

    def refuse(self, what: RestartOffer | RestartAnswer) -> None:
        """Another device, with other keys, wants to go on in the place of the one that took part."""
        self.peer.emit(ev.PeerReconnectFailed(call=self._call, peer=self.peer.user))
        self.peer.later(Distrust())

    def offer(self, what: RestartDue | RestartOffer | NotKnown) -> None:
        """Make the connection anew, from this side."""
        self._sent = None
        self._restart()
        # A UUID as of QuickBlox's SDK, but made of names: the core has no randomness of its own.
        self.offer_id = str(uuid5(NAMESPACE_OID, f"{self._call} {self.peer.user} {self.peer.epochs.newest}"))
        self.awaits_answer = True
        media = self.peer.room.head.media
        self.peer.room.out(
            CreateOffer(call=self._call, peer=self.peer.user, epoch=self.peer.epochs.newest, media=media)
        )

    def answer(self, what: RestartOffer) -> None:
        """Make the connection anew, from the other side: its newest offer counts."""
        self._restart()
        self.offer_id = what.offer_id
        self.awaits_answer = False
        self.peer.pin(what.offer)
        media, epoch = self.peer.room.head.media, self.peer.epochs.newest
        self.peer.room.out(
            AcceptOffer(call=self._call, peer=self.peer.user, epoch=epoch, media=media, offer=what.offer)
        )

    def lead(self, what: RestartOffer) -> None:
        """The other side lost the connection first, and asks for an offer."""
        self.begin(what)
        self.offer(what)

    def follow(self, what: RestartOffer) -> None:
        """The other side lost the connection first, and leads."""
        self.begin(what)
        self.answer(what)

    def probe(self, what: ProbeDue) -> None:
        """The user's client may have begun anew: it is to say so. Only qbcalls understand."""
        self.peer.reconnection.arm(ProbeDue, self.peer.room.now + PROBE_INTERVAL)
        if is_lost(self, what):
            self.asked = True
            self.peer.say(Probe(call=self._call))

    def take_back(self, what: NotKnown) -> None:
        """The user's client began anew: there is nothing to wait for."""
        self.anew.add(self.peer.speaker)
        self.offer(what)

    def take_back_again(self, what: NotKnown) -> None:
        """It did not get the offer: it was not there yet, or another client of the user answered."""
        self.anew.add(self.peer.speaker)
        if not self.awaits_answer:
            self.offer(what)
        elif self._sent is not None:
            self.peer.say(self._sent)

    def send_offer(self, what: OfferReady) -> None:
        """The fresh offer is ready."""
        self._sent = RestartOffer(call=self._call, offer_id=self.offer_id, offer=what.offer)
        self.peer.say(self._sent)

    def send_answer(self, what: AnswerReady) -> None:
        """The answer to the fresh offer is ready."""
        self.peer.say(RestartAnswer(call=self._call, offer_id=self.offer_id, answer=what.answer))
        self.peer.epochs.trickle_later(self.peer.reconnection)

    def find_candidates(self, what: CandidatesFound) -> None:
        """More paths for the fresh connection, once the other side can try them."""
        self.peer.find_candidates(what)

    def candidates_due(self, what: CandidatesDue) -> None:
        """The other side took our answer."""
        self.peer.candidates_due(what)

    def apply(self, what: RestartAnswer) -> None:
        """The fresh offer is answered: from now on the path has a whole interval to come up."""
        self.awaits_answer = False
        if began_anew(self, what):
            self.peer.room.began_anew(self.peer.user)
        self.anew.clear()
        self.peer.pin(what.answer)
        self.peer.reconnection.arm(RestartDue, self.peer.room.now + self.peer.room.policy.restart_interval)
        self.peer.room.out(
            ApplyAnswer(call=self._call, peer=self.peer.user, epoch=self.peer.epochs.newest, answer=what.answer)
        )
        self.peer.epochs.trickle()

    def _restart(self) -> None:
        self.attempts += 1
        self.peer.epochs.prepare()
        self.peer.reconnection.arm(RestartDue, self.peer.room.now + self.peer.room.policy.restart_interval)

    @property
    def _call(self) -> CallId:
        return self.peer.room.head.call


def is_connected(watch: Reconnection, what: object) -> bool:
    """The connection took the packets as a sign of life; after a failure they are none."""
    return watch.peer.state is PeerState.CONNECTED


def is_lost(watch: Reconnection, what: object) -> bool:
    """The connection did not end over it."""
    return watch.peer.state in {PeerState.DISCONNECTED, PeerState.FAILED}


def was_asked(watch: Reconnection, what: NotKnown) -> bool:
    """The user is lost, and their clients were asked."""
    return watch.asked and is_lost(watch, what)


def was_up(watch: Reconnection, what: RestartOffer) -> bool:
    """The connection was up, and it is its device that speaks."""
    return (watch.peer.state is PeerState.CONNECTED or is_lost(watch, what)) and watch.peer.knows(what.offer)


def leads(watch: Reconnection, what: object) -> bool:
    """This side's offers count."""
    return watch.peer.room.restarts(watch.peer.user)


def was_up_and_leads(watch: Reconnection, what: RestartOffer) -> bool:
    """The connection was up, and this side's offers count."""
    return was_up(watch, what) and leads(watch, what)


def is_fresh(watch: Reconnection, what: AnswerReady | CandidatesFound | IceConnected) -> bool:
    """It is about the fresh connection."""
    return what.epoch == watch.peer.epochs.fresh


def is_current(watch: Reconnection, what: RestartAnswer) -> bool:
    """It is the first answer to the present offer."""
    return watch.awaits_answer and what.offer_id == watch.offer_id


def is_strange(watch: Reconnection, what: RestartOffer) -> bool:
    """It is of another device than the one that takes part, with other keys."""
    return not watch.peer.knows(what.offer)


def is_strange_answer(watch: Reconnection, what: RestartAnswer) -> bool:
    """It answers the present offer, with other keys, and is not of the device that takes part or took its place."""
    return is_current(watch, what) and not watch.peer.knows(what.answer) and not began_anew(watch, what)


def began_anew(watch: Reconnection, what: RestartAnswer) -> bool:
    """It is of a client of the lost user that says, now or before, that it has forgotten the call."""
    return watch.peer.speaker in watch.anew or (what.anew and is_lost(watch, what))


R = Recovery
RECONNECTION = table(
    "RECONNECTION",
    on(R.STABLE, StallDue, R.GRACE, Reconnection.begin, when=is_lost),
    on(R.STABLE, RestartOffer, R.RESTARTING, Reconnection.lead, when=was_up_and_leads),
    on(R.STABLE, RestartOffer, R.RESTARTING, Reconnection.follow, when=was_up),
    on(R.GRACE, MediaFlowing, R.STABLE, Reconnection.succeed, when=is_connected),
    on(R.GRACE, RestartDue, R.RESTARTING, Reconnection.offer),
    on(R.GRACE, NotKnown, R.RESTARTING, Reconnection.take_back, when=was_asked),
    on((R.GRACE, R.RESTARTING), ProbeDue, stay, Reconnection.probe),
    on((R.GRACE, R.RESTARTING), RestartOffer, R.FAILED, Reconnection.refuse, when=is_strange),
    on(R.RESTARTING, RestartAnswer, R.FAILED, Reconnection.refuse, when=is_strange_answer),
    on(R.GRACE, RestartOffer, R.RESTARTING, Reconnection.offer, when=leads),
    on(R.GRACE, RestartOffer, R.RESTARTING, Reconnection.answer),
    on(R.RESTARTING, OfferReady, stay, Reconnection.send_offer),
    on(R.RESTARTING, AnswerReady, stay, Reconnection.send_answer, when=is_fresh),
    on(R.RESTARTING, RestartAnswer, stay, Reconnection.apply, when=is_current),
    on(R.RESTARTING, NotKnown, stay, Reconnection.take_back_again, when=was_asked),
    on(R.RESTARTING, RestartOffer, stay, when=leads),  # the own one is on its way, or made anew by the timer
    on(R.RESTARTING, RestartOffer, stay, Reconnection.answer),
    on(R.RESTARTING, CandidatesFound, stay, Reconnection.find_candidates, when=is_fresh),
    on(R.RESTARTING, CandidatesDue, stay, Reconnection.candidates_due),
    on(R.RESTARTING, IceConnected, stay, Reconnection.adopt, when=is_fresh),
    on(R.RESTARTING, Restored, R.STABLE, Reconnection.succeed),
    on(R.RESTARTING, RestartDue, R.STABLE, Reconnection.resume, when=is_connected),
    on(R.RESTARTING, RestartDue, stay, Reconnection.offer),
    on(R.RESTARTING, DisconnectDue, R.STABLE, Reconnection.resume, when=is_connected),
    on((R.GRACE, R.RESTARTING), DisconnectDue, R.FAILED, Reconnection.give_up),
    ignored(R.RESTARTING, RestartAnswer, because="to an offer of before, or of another device of the user"),
    ignored((R.STABLE, R.GRACE), RestartAnswer, because="it is too late"),
    ignored(R.STABLE, RestartOffer, because="nothing was up, or it is of another device of the user"),
    ignored(R.RESTARTING, IceChecking, IceFailed, MediaBroke, because="the timer makes the next attempt"),
    ignored(R.RESTARTING, MediaFlowing, because="the other side may hear nothing: it asked for a fresh connection"),
    ignored((R.STABLE, R.GRACE, R.RESTARTING), NotKnown, because="nobody asked, or the user is there"),
    ignored((R.STABLE, R.GRACE, R.RESTARTING), Probe, because="the call is known here"),
    timers={
        R.GRACE: (DisconnectDue, RestartDue, ProbeDue),
        R.RESTARTING: (DisconnectDue, RestartDue, ProbeDue, CandidatesDue),
    },
)


def watch(peer: Peer) -> Region[Reconnection, Recovery]:
    """The region that watches over a peer's connection."""
    return Region(RECONNECTION, Reconnection(peer), Recovery.STABLE)
