"""The rules of the connection to one other user: QuickBlox's peer connection state."""

from __future__ import annotations

from qbcall.core import agreeing, ending
from qbcall.core.inputs import (
    AcceptCall,
    AnswerDue,
    AnswerReady,
    CandidatesDue,
    CandidatesFound,
    ConnectDue,
    DialDue,
    HangUp,
    IceChecking,
    IceConnected,
    IceFailed,
    MediaBroke,
    MediaCounted,
    MediaFlowing,
    OfferReady,
    RejectCall,
    RemoteTrack,
    SendUpdate,
    StallDue,
    StartCall,
    StatsDue,
    StatsRead,
)
from qbcall.core.machine import ignored, on, stay, table
from qbcall.core.model import (
    EndReason,
    PeerState,
    User,
)
from qbcall.core.peer import Peer
from qbcall.core.preconnection import preconnect
from qbcall.core.reconnection import watch
from qbcall.core.room import Abandon, Distrust, GaveUp, Merge, Restored, Ring, Room, Settle
from qbcall.core.signals import (
    Accept,
    Candidates,
    Decline,
    End,
    Invite,
    RestartOffer,
    Update,
)

STALE = 1.0
"""Seconds; who was not heard for so long over an early connection, though asked three times a second, may be gone."""
OVERSLEPT = 0.25
"""Seconds; a timer that falls due later than this was held up by something."""


# -- guards ----------------------------------------------------------------------------------------------------------


def joined(peer: Peer, what: object) -> bool:
    """This user takes part already."""
    return peer.room.joined


def has_offer(peer: Peer, what: object) -> bool:
    """The other side's offer is here."""
    return peer.has_offer


def leads(peer: Peer, what: object) -> bool:
    """Of two callees, this side offers."""
    return peer.room.leads(peer.user)


def dialled(peer: Peer, what: object) -> bool:
    """This side invited the user."""
    return peer.dialled


def answers(peer: Peer, what: Accept) -> bool:
    """This side invited the user, and gets an answer to its offer."""
    return peer.dialled and not what.early


def names_early(peer: Peer, what: Accept) -> bool:
    """It names the early connection to the device that it comes from."""
    early = peer.epochs.early
    return early is not None and what.early == early.id and peer.speaker == early.device


def has_early(peer: Peer, what: AcceptCall) -> bool:
    """There is an early connection to the device that invites, for all that is sent."""
    early = peer.epochs.early
    lately = early is not None and early.device == peer.device and peer.room.now - early.heard_at <= STALE
    return lately and what.sends_all


def answered(peer: Peer, what: object) -> bool:
    """This side accepted the user's offer."""
    return peer.answered


def early_refused(peer: Peer, what: Invite) -> bool:
    """The caller, or who has its keys, has given up the early connection that this side accepted over."""
    return peer.relies_on_early and not what.early and peer.knows(what.offer)


def path_broken(peer: Peer, what: object) -> bool:
    """The transport ended."""
    return peer.path_broken


def media_failed(peer: Peer, what: object) -> bool:
    """Media was never established, or cannot be trusted: there is nothing to wait for."""
    return peer.end_reason in {EndReason.MEDIA_FAILED, EndReason.SECURITY}


def rejoins(peer: Peer, what: object) -> bool:
    """This user is taken back into the call."""
    return peer.room.rejoins


def rejoined(peer: Peer, what: object) -> bool:
    """This user is taken back into the call, and accepted that."""
    return peer.room.rejoins and peer.room.joined


def rejoins_there(peer: Peer, what: object) -> bool:
    """This user is taken back into the call by the device that offered before."""
    return rejoins(peer, what) and takes_part(peer, what)


def takes_part(peer: Peer, what: object) -> bool:
    """Until one device of the user is known to take part, each may speak for them."""
    return peer.device is None or peer.device == peer.speaker


def in_doubt(peer: Peer, what: object) -> bool:
    """Another device of the user hung up."""
    return peer.doubt is not None


def overslept(peer: Peer, what: object) -> bool:
    """This process did not run when it should: it was stopped, or busy."""
    return peer.room.late > OVERSLEPT


# -- the tables ------------------------------------------------------------------------------------------------------

P = PeerState
SETTING_UP = (P.CONNECTING, P.CHECKING)
ESTABLISHED = (P.CONNECTED, P.DISCONNECTED, P.FAILED)
UP = (*SETTING_UP, *ESTABLISHED)
LIVE = (P.PENDING, *UP)
ENDED = (P.NO_ANSWER, P.REJECTED, P.HANG_UP, P.DISCONNECT_TIMEOUT)

CONNECTION = table(
    "CONNECTION",
    on(P.NEW, StartCall, P.PENDING, agreeing.offer),
    on(P.NEW, Ring, P.PENDING),
    on(P.NEW, Invite, P.PENDING, agreeing.keep_offer),
    on(P.PENDING, RestartOffer, P.CONNECTING, agreeing.answer_restart, when=rejoined),
    on(P.PENDING, RestartOffer, stay, agreeing.keep_restart, when=rejoins),
    on(SETTING_UP, RestartOffer, stay, agreeing.answer_restart, when=rejoins_there),
    on(P.PENDING, AcceptCall, P.CONNECTING, agreeing.accept_early, when=has_early),
    on(P.PENDING, AcceptCall, P.CONNECTING, agreeing.answer, when=has_offer),
    on(P.PENDING, AcceptCall, stay, agreeing.offer, when=leads),
    on(P.PENDING, AcceptCall, stay, agreeing.wait),
    on(P.PENDING, OfferReady, stay, agreeing.dial),
    on(P.PENDING, DialDue, stay, agreeing.redial),
    on(P.PENDING, Merge, P.CONNECTING, agreeing.yield_to),
    on(P.PENDING, Invite, stay, when=dialled),
    on(P.PENDING, Invite, P.CONNECTING, agreeing.answer_at_once, when=joined),
    on(P.PENDING, Invite, stay, agreeing.keep_offer),
    on(P.PENDING, Accept, P.CONNECTING, agreeing.accepted, when=answers),
    on(P.PENDING, Accept, P.CONNECTING, agreeing.accepted_early, when=names_early),
    on(P.PENDING, AnswerDue, P.NO_ANSWER, ending.not_answered),
    on(P.PENDING, Candidates, stay, Peer.keep_candidates),
    on((P.PENDING, *SETTING_UP), MediaBroke, P.FAILED, ending.fail),
    on(SETTING_UP, AnswerReady, stay, agreeing.send_accept),
    on((P.PENDING, *SETTING_UP), CandidatesFound, stay, Peer.find_candidates),
    on(SETTING_UP, CandidatesDue, stay, Peer.candidates_due),
    on(P.CONNECTING, IceChecking, P.CHECKING),
    on(SETTING_UP, IceConnected, P.CONNECTED),
    on(SETTING_UP, IceFailed, stay, ending.await_end),
    on(SETTING_UP, ConnectDue, P.FAILED, ending.fail),
    on(UP, Invite, P.CONNECTING, agreeing.answer_instead, when=early_refused),
    on(UP, Invite, stay, agreeing.send_accept_again, when=answered),
    on(UP, Candidates, stay, Peer.add_candidates, when=takes_part),
    on(ESTABLISHED, RemoteTrack, stay, Peer.add_track),
    on(P.CONNECTED, MediaFlowing, stay, Peer.heard),
    on(P.CONNECTED, MediaCounted, stay, Peer.count),
    on(P.CONNECTED, IceFailed, stay, ending.note_broken_path),
    on(P.CONNECTED, StallDue, P.HANG_UP, ending.believe_end, when=in_doubt),
    on(P.CONNECTED, StallDue, P.FAILED, when=path_broken),
    on(P.CONNECTED, StallDue, stay, Peer.listen_again, when=overslept),
    on(P.CONNECTED, StallDue, P.DISCONNECTED),
    on(P.CONNECTED, StatsDue, stay, Peer.read_stats),
    on(ESTABLISHED, StatsRead, stay, Peer.tell_stats),
    on(P.DISCONNECTED, MediaFlowing, P.CONNECTED),
    on(P.DISCONNECTED, IceFailed, P.FAILED),
    on(P.CONNECTED, Restored, stay, Peer.heard),
    on((P.DISCONNECTED, P.FAILED), Restored, P.CONNECTED),
    on((*SETTING_UP, P.DISCONNECTED, P.FAILED), GaveUp, P.DISCONNECT_TIMEOUT, ending.say_goodbye),
    on(ESTABLISHED, Distrust, P.FAILED, ending.distrust),
    on(LIVE, Update, stay, Peer.hear_update),
    on(UP, SendUpdate, stay, Peer.send_update),
    on(LIVE, Decline, P.REJECTED, ending.rejected, when=takes_part),
    on((*SETTING_UP, P.CONNECTED), End, P.HANG_UP, ending.hung_up, when=takes_part),
    on(P.CONNECTED, End, stay, ending.doubt_end),
    on((P.PENDING, P.DISCONNECTED, P.FAILED), End, P.HANG_UP, ending.hung_up),
    on(P.NEW, HangUp, P.CLOSED, ending.forget),
    on(LIVE, HangUp, P.CLOSED, ending.leave),
    on(P.PENDING, RejectCall, P.CLOSED, ending.decline),
    on(P.PENDING, Abandon, P.CLOSED, ending.miss),
    on(ENDED, Settle, P.CLOSED),
    on(P.FAILED, Settle, P.CLOSED, when=media_failed),
    ignored(UP, Accept, because="a repetition, or another device of the user; the first one takes part"),
    ignored(UP, Candidates, because="of another device of the user; the first one takes part"),
    ignored(LIVE, Decline, because="of another device of the user; the first one takes part"),
    ignored(SETTING_UP, End, because="of another device of the user; the first one takes part"),
    ignored(UP, Invite, because="the answer is being made, or this side's own offer was accepted"),
    ignored(ESTABLISHED, CandidatesFound, because="there is a path"),
    ignored(P.CHECKING, IceChecking, because="QuickBlox tells a state once"),
    ignored(ESTABLISHED, IceChecking, IceConnected, because="ICE re-nominates"),
    ignored(P.FAILED, IceFailed, MediaFlowing, because="the transport ended; what is left of it does not matter"),
    ignored(ESTABLISHED, MediaBroke, because="the path decides, not a late error"),
    ignored((P.DISCONNECTED, P.FAILED), MediaCounted, because="the connection is lost, whatever was counted"),
    ignored(SETTING_UP, MediaFlowing, because="packets of ICE itself"),
    timers={
        P.PENDING: (AnswerDue, DialDue),
        P.CONNECTING: (ConnectDue, CandidatesDue),
        P.CHECKING: (ConnectDue, CandidatesDue),
        P.CONNECTED: (StallDue, StatsDue),
    },
)


def new_peer(room: Room, user: User) -> Peer:
    """Another user of a call."""
    return Peer(room, user, CONNECTION, watch, preconnect)
