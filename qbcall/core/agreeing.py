"""How two users come to agree on a connection: actions of the table in `connection.py`.

One side invites until it is answered, with an offer; the other one keeps the newest offer, and answers it when its
user accepts. The answer is repeated as long as the other side invites.
"""

from __future__ import annotations

from dataclasses import replace

from qbcall.core import events as ev
from qbcall.core.effects import AcceptOffer, ApplyAnswer, CreateOffer
from qbcall.core.inputs import AcceptCall, AnswerDue, AnswerReady, ConnectDue, DialDue, OfferReady, StartCall
from qbcall.core.peer import Peer
from qbcall.core.room import Merge
from qbcall.core.signals import Accept, Invite, RestartAnswer, RestartOffer


def offer(peer: Peer, what: StartCall | AcceptCall) -> None:
    """This side offers."""
    _open(peer)
    peer.room.out(CreateOffer(call=peer.call, peer=peer.user, epoch=peer.epochs.newest, media=peer.room.head.media))
    peer.connection.arm(AnswerDue, peer.room.answer_deadline)


def wait(peer: Peer, what: AcceptCall) -> None:
    """The other side offers; whoever accepts in the last moment has still to make and repeat that offer."""
    peer.connection.arm(AnswerDue, peer.room.answer_deadline + peer.room.policy.dialing_interval)


def keep_offer(peer: Peer, what: Invite) -> None:
    """The newest offer counts; it is answered when this user accepts."""
    peer.their_offer = what.offer
    peer.pin(what.offer)
    _meet(peer, what)


def keep_restart(peer: Peer, what: RestartOffer) -> None:
    """The newest offer counts; who sends it knows this side as one that acknowledges."""
    peer.their_offer, peer.restart_id = what.offer, what.offer_id
    peer.receipts = True
    peer.pin(what.offer)


def answer_restart(peer: Peer, what: RestartOffer) -> None:
    """This user is back in the call already, or its answer to an older offer came to nothing."""
    keep_restart(peer, what)
    peer.acceptance = None
    answer(peer, AcceptCall(call=what.call))


def answer(peer: Peer, what: AcceptCall) -> None:
    """Answer the offer that is here."""
    assert peer.their_offer is not None, "guarded by has_offer"
    _open(peer)
    peer.connection.arm(ConnectDue, peer.room.now + peer.room.policy.connect_timeout)
    peer.room.out(
        AcceptOffer(
            call=peer.call,
            peer=peer.user,
            epoch=peer.epochs.newest,
            media=peer.room.head.media,
            offer=peer.their_offer,
        )
    )
    peer.epochs.use()


def answer_at_once(peer: Peer, what: Invite) -> None:
    """Another callee offers, and this user is in the call already: no second question."""
    keep_offer(peer, what)
    answer(peer, AcceptCall(call=what.call))


def answer_instead(peer: Peer, what: Invite) -> None:
    """The caller gave up the early connection that this side accepted over: the usual order."""
    peer.acceptance = None
    answer_at_once(peer, what)


def withdraw(peer: Peer) -> None:
    """Take the own invitation back, under the id it was made with."""
    peer.epochs.close()
    if peer.dialled:
        peer.room.transmit(peer.user, peer.farewell)
    peer.invite = None


def yield_to(peer: Peer, what: Merge) -> None:
    """Both called, and the other one's call goes on: that is their yes, and this side answers at once."""
    peer.emit(ev.PeerAccepted(call=peer.call, peer=peer.user, info=what.invite.info))
    answer_at_once(peer, what.invite)


def dial(peer: Peer, what: OfferReady) -> None:
    """The offer is ready: invite, and repeat it. Only the caller's invitation carries words to the callee."""
    info = {} if peer.room.incoming else peer.room.info
    peer.invite = Invite(
        head=peer.room.head, offer=what.offer, info=info, data=peer.room.data, receipts=True, early=True
    )
    redial(peer, DialDue())


def redial(peer: Peer, what: DialDue) -> None:
    """Invite again: whoever was not online yet rings now."""
    assert peer.invite is not None, "only dial() arms the timer"
    peer.room.transmit(peer.user, peer.invite)
    peer.connection.arm(DialDue, peer.room.now + peer.room.policy.dialing_interval)


def give_up_early(peer: Peer) -> None:
    """Answer no early offers any more; every invitation says so from now on."""
    peer.epochs.discard()
    if peer.invite is not None:
        peer.invite = replace(peer.invite, early=False)


def ask_for_answer(peer: Peer) -> None:
    """Invite again at once; an accept in the last moment has time for it."""
    peer.connection.arm(AnswerDue, peer.room.answer_deadline + peer.room.policy.dialing_interval)
    redial(peer, DialDue())


def accepted(peer: Peer, what: Accept) -> None:
    """The user accepted; the first device that does is the one."""
    peer.agreed = True
    peer.epochs.discard()
    peer.pin(what.answer)
    _meet(peer, what)
    peer.emit(ev.PeerAccepted(call=peer.call, peer=peer.user, info=what.info))
    assert peer.epochs.present is not None, "this side offered"
    peer.room.out(ApplyAnswer(call=peer.call, peer=peer.user, epoch=peer.epochs.present, answer=what.answer))
    peer.epochs.use()
    peer.epochs.trickle()


def accepted_early(peer: Peer, what: Accept) -> None:
    """The user accepted, over the connection that was made while the call rang there."""
    peer.agreed = True
    peer.pin(what.answer)
    _meet(peer, what)
    peer.emit(ev.PeerAccepted(call=peer.call, peer=peer.user, info=what.info))
    _use_early(peer)


def accept_early(peer: Peer, what: AcceptCall) -> None:
    """Accept over the connection that was made while the call rang."""
    assert peer.epochs.early is not None, "guarded by has_early"
    peer.agreed = True
    peer.acceptance = Accept(
        call=peer.call,
        answer=peer.epochs.early.offer,
        info=peer.room.info,
        data=peer.room.data,
        receipts=True,
        early=peer.epochs.early.id,
    )
    peer.room.transmit(peer.user, peer.acceptance)
    _use_early(peer)


def send_accept(peer: Peer, what: AnswerReady) -> None:
    """The answer is ready; it is kept, for it may get lost."""
    peer.agreed = True
    peer.acceptance = (
        RestartAnswer(call=peer.call, offer_id=peer.restart_id, answer=what.answer, anew=True)
        if peer.restart_id
        else Accept(call=peer.call, answer=what.answer, info=peer.room.info, data=peer.room.data, receipts=True)
    )
    peer.room.transmit(peer.user, peer.acceptance)
    peer.epochs.trickle_later(peer.connection)


def send_accept_again(peer: Peer, what: Invite) -> None:
    """The user still invites: the accept was lost."""
    assert peer.acceptance is not None, "guarded by answered"
    peer.room.transmit(peer.user, peer.acceptance)
    peer.epochs.trickle_later(peer.connection)


# -- details ---------------------------------------------------------------------------------------------------------


def _meet(peer: Peer, what: Invite | Accept) -> None:
    peer.data, peer.receipts = what.data, what.receipts


def _use_early(peer: Peer) -> None:
    peer.adopt()
    peer.epochs.start_early()


def _open(peer: Peer) -> None:
    peer.epochs.prepare()
    peer.adopt()
