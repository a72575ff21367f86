"""How the connection to one other user ends: actions of the table in `connection.py`."""

from __future__ import annotations

from qbcall.core import events as ev
from qbcall.core.inputs import AnswerDue, ConnectDue, HangUp, IceFailed, MediaBroke, RejectCall, StallDue
from qbcall.core.model import DeclineReason, EndReason
from qbcall.core.peer import Peer
from qbcall.core.room import Abandon, Distrust, GaveUp
from qbcall.core.signals import Decline, End

FAILURES = {
    True: "no network path to the peer was found",
    False: "no network path to the peer was found in time",
}
"""By whether the search for one is over."""
END_TIME = 1.0
"""Seconds that a hang-up may take after the transport that it closed."""


def not_answered(peer: Peer, what: AnswerDue) -> None:
    """The answer interval is over; a callee that still rings is told to stop (ours, compatible)."""
    peer.end_reason = EndReason.NO_ANSWER
    peer.emit(ev.PeerNoAnswer(call=peer.call, peer=peer.user))
    if peer.dialled:
        peer.room.transmit(peer.user, peer.farewell)


def rejected(peer: Peer, what: Decline) -> None:
    """The user rejected the call."""
    busy = what.reason is DeclineReason.BUSY
    peer.end_reason = EndReason.BUSY if busy else EndReason.REJECTED
    peer.emit(ev.PeerRejected(call=peer.call, peer=peer.user, info=what.info, reason=what.reason))


def hung_up(peer: Peer, what: End) -> None:
    """The user left."""
    peer.end_reason = EndReason.REMOTE_HUNG_UP
    peer.emit(ev.PeerHungUp(call=peer.call, peer=peer.user, info=what.info))


def doubt_end(peer: Peer, what: End) -> None:
    """Another device of the user hung up: one that accepted too late, or the same one under a new name."""
    peer.doubt = what
    peer.doubted_at = peer.room.now


def believe_end(peer: Peer, what: StallDue) -> None:
    """After the hang-up of another device no packet came any more: it was the one that took part."""
    assert peer.doubt is not None, "guarded by in_doubt"
    hung_up(peer, peer.doubt)


def leave(peer: Peer, what: HangUp) -> None:
    """This user left."""
    peer.end_reason = EndReason.HUNG_UP
    peer.room.transmit(peer.user, End(call=peer.call, info=what.info))


def decline(peer: Peer, what: RejectCall) -> None:
    """This user rejected the call."""
    peer.end_reason = EndReason.DECLINED
    peer.room.transmit(peer.user, Decline(call=peer.call, reason=what.reason, info=what.info))


def forget(peer: Peer, what: HangUp) -> None:
    """Nothing was sent yet: nothing has to be taken back."""
    peer.end_reason = EndReason.HUNG_UP


def miss(peer: Peer, what: Abandon) -> None:
    """Nobody answered on this device; the caller has a timer of their own."""
    peer.end_reason = what.reason


def note_broken_path(peer: Peer, what: IceFailed) -> None:
    """The transport ended. A hang-up may be on its way, so this is no loss before the stall timeout."""
    peer.path_broken = True


def await_end(peer: Peer, what: IceFailed) -> None:
    """The transport ended. Who hangs up now closes it, too, and their word for it may come a little later."""
    if not peer.path_broken:
        peer.path_broken = True
        peer.connection.arm(ConnectDue, peer.room.now + END_TIME)


def fail(peer: Peer, what: MediaBroke | ConnectDue) -> None:
    """Media cannot be established."""
    peer.end_reason = EndReason.MEDIA_FAILED
    peer.detail = what.error if isinstance(what, MediaBroke) else FAILURES[peer.path_broken]
    if peer.has_offer and not peer.answered:
        info = {"reason": peer.detail} if isinstance(what, MediaBroke) and what.theirs else {}
        peer.room.transmit(peer.user, Decline(call=peer.call, reason=DeclineReason.UNSUPPORTED, info=info))
    elif peer.dialled or peer.answered:
        peer.room.transmit(peer.user, peer.farewell)


def distrust(peer: Peer, what: Distrust) -> None:
    """Another device wanted to go on in the place of the one that took part."""
    peer.end_reason = EndReason.SECURITY
    peer.detail = "another device, with other keys, wanted to go on"
    peer.room.transmit(peer.user, peer.farewell)


def say_goodbye(peer: Peer, what: GaveUp) -> None:
    """The connection did not come back."""
    peer.end_reason = EndReason.DISCONNECT_TIMEOUT
    peer.room.transmit(peer.user, peer.farewell)
