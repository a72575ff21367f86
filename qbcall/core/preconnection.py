"""A connection that is made while the call rings, so that media flows as soon as it is accepted.

Whoever is called offers it, to a caller whom the policy trusts and whose client answers such offers. It stands beside
the invitation, which any client of the callee may accept in the usual order: then the early one is closed. Only
the first device that offers one gets an answer. Media is held until the accept, which names the early connection;
nothing of it is told to the users. If the caller's end is gone by then, it invites again, and says with that and all
later invitations that it takes no early offers: whoever accepted over one answers those in the usual order.
"""

from __future__ import annotations

import enum
from uuid import NAMESPACE_OID, uuid5

from qbcall.core.agreeing import ask_for_answer, give_up_early
from qbcall.core.effects import AcceptOffer, ApplyAnswer, CreateOffer
from qbcall.core.inputs import (
    AcceptCall,
    AnswerReady,
    IceChecking,
    IceConnected,
    IceFailed,
    MediaBroke,
    MediaCounted,
    MediaFact,
    MediaFlowing,
    OfferReady,
    Timer,
)
from qbcall.core.machine import Region, ignored, on, stay, table
from qbcall.core.model import CallId, Description, Device, PeerState
from qbcall.core.peer import Peer
from qbcall.core.room import Early
from qbcall.core.signals import Accept, EarlyAnswer, EarlyOffer, Invite


class Progress(enum.Enum):
    """How far an early connection is."""

    NONE = "none"
    """Nobody offered one."""
    OFFERING = "offering"
    """This side offers, the caller did not answer yet."""
    ANSWERING = "answering"
    """The callee offered; the answer is being made."""
    CHECKING = "checking"
    """Both know of each other; ICE looks for a path."""
    UP = "up"
    """There is a path, and keys were agreed."""
    OVER = "over"
    """It became the connection of the call, or was dropped. No other is made in this call."""
    REFUSED = "refused"
    """An accept named one that was not there; the callee was asked to answer the invitation."""


class Preconnection:
    """The early connection to one user."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.id = ""
        """Of the offer."""
        self._offer: Description | None = None
        self._device: Device | None = None
        """The device of the other user."""

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`. It has none: it ends with the ringing."""

    def changed(self, old: Progress, new: Progress) -> None:
        """See `Owner`. The user is not told."""

    def begin(self, what: Invite) -> None:
        """Offer one to the caller."""
        peer = self.peer
        peer.epochs.prepare(trickle=False)
        media = peer.room.head.media
        peer.room.out(CreateOffer(call=self._call, peer=peer.user, epoch=peer.epochs.newest, media=media, early=True))

    def send_offer(self, what: OfferReady) -> None:
        """The offer is ready. Its id is made of it: several devices may offer."""
        self._offer = what.offer
        self.id = str(uuid5(NAMESPACE_OID, what.offer.sdp))
        self.peer.say(EarlyOffer(call=self._call, offer_id=self.id, offer=what.offer))

    def answer(self, what: EarlyOffer) -> None:
        """A device of the callee offers: the first one that does gets an answer."""
        peer = self.peer
        self.id, self._offer, self._device = what.offer_id, what.offer, peer.speaker
        peer.epochs.prepare(trickle=False)
        media, epoch = peer.room.head.media, peer.epochs.newest
        peer.room.out(
            AcceptOffer(call=self._call, peer=peer.user, epoch=epoch, media=media, offer=what.offer, early=True)
        )

    def send_answer(self, what: AnswerReady) -> None:
        """The answer is ready. The callee may find a path before this side does, and accept over it."""
        self.peer.say(EarlyAnswer(call=self._call, offer_id=self.id, answer=what.answer))
        self._note()

    def apply(self, what: EarlyAnswer) -> None:
        """The caller takes part in it."""
        peer = self.peer
        self._device = peer.speaker
        peer.pin(what.answer)
        peer.room.out(ApplyAnswer(call=self._call, peer=peer.user, epoch=peer.epochs.newest, answer=what.answer))

    def heard(self, what: IceConnected | MediaFlowing) -> None:
        """The other side is there."""
        self._note()

    def drop(self, what: IceFailed | MediaBroke) -> None:
        """It cannot be had: the call goes on in the usual order."""
        give_up_early(self.peer)

    def refuse(self, what: Accept) -> None:
        """It names one that is not there: the callee is to answer the invitation. Asked once; timers repeat it."""
        give_up_early(self.peer)
        ask_for_answer(self.peer)

    def _note(self) -> None:
        assert self._offer is not None, "it was offered"
        self.peer.epochs.early = Early(self.id, self._device, self._offer, self.peer.room.now)

    @property
    def _call(self) -> CallId:
        return self.peer.room.head.call


def is_wanted(early: Preconnection, what: Invite) -> bool:
    """The call rings here, its caller is trusted and takes early offers."""
    peer = early.peer
    room = peer.room
    return what.early and room.trusted and peer.user == room.head.caller and not room.joined


def is_welcome(early: Preconnection, what: EarlyOffer) -> bool:
    """This side made the call, said that it takes early offers, and waits for an answer."""
    peer = early.peer
    return not peer.room.incoming and peer.takes_early and peer.state is PeerState.PENDING


def fits(early: Preconnection, what: EarlyAnswer) -> bool:
    """It answers the offer of this device, and comes from the device that invites."""
    return what.offer_id == early.id and early.peer.device == early.peer.speaker


def is_fresh(early: Preconnection, what: object) -> bool:
    """It is about the early connection."""
    return isinstance(what, MediaFact) and what.epoch == early.peer.epochs.fresh


def has_agreed(early: Preconnection, what: Accept) -> bool:
    """The accept counts, for this connection or another one."""
    return early.peer.agreed


def is_unknown(early: Preconnection, what: Accept) -> bool:
    """This side waits for an answer, and the early connection that is named is not there, or not to this device."""
    return early.peer.dialled and early.peer.state is PeerState.PENDING


E = Progress
BEGUN = (E.OFFERING, E.ANSWERING, E.CHECKING, E.UP)
PRECONNECTION = table(
    "PRECONNECTION",
    on(E.NONE, Invite, E.OFFERING, Preconnection.begin, when=is_wanted),
    on(E.NONE, EarlyOffer, E.ANSWERING, Preconnection.answer, when=is_welcome),
    on(E.OFFERING, OfferReady, stay, Preconnection.send_offer, when=is_fresh),
    on(E.OFFERING, EarlyAnswer, E.CHECKING, Preconnection.apply, when=fits),
    on(E.ANSWERING, AnswerReady, E.CHECKING, Preconnection.send_answer, when=is_fresh),
    on(E.CHECKING, IceConnected, E.UP, Preconnection.heard, when=is_fresh),
    on(E.UP, MediaFlowing, stay, Preconnection.heard, when=is_fresh),
    on(BEGUN, IceFailed, E.OVER, Preconnection.drop, when=is_fresh),
    on(BEGUN, MediaBroke, E.OVER, Preconnection.drop, when=is_fresh),
    on(BEGUN, AcceptCall, E.OVER),
    on(BEGUN, Accept, E.OVER, when=has_agreed),
    on((E.NONE, *BEGUN, E.OVER), Accept, E.REFUSED, Preconnection.refuse, when=is_unknown),
    ignored(tuple(E), EarlyOffer, because="of another device of the user, or too late"),
    ignored(tuple(E), EarlyAnswer, because="to another device of this user, or too late"),
    ignored(BEGUN, IceChecking, MediaCounted, because="nothing of it is told"),
    timers={},
)


def preconnect(peer: Peer) -> Region[Preconnection, Progress]:
    """The region that makes an early connection to a peer."""
    return Region(PRECONNECTION, Preconnection(peer), Progress.NONE)
