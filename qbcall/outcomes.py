"""The end of a call as an error, for who awaits another outcome."""

from __future__ import annotations

from qbcall.core.model import EndReason
from qbcall.errors import (
    Busy,
    CallFailed,
    CallLost,
    Cancelled,
    MediaFailed,
    NoAnswer,
    PeerNotTrusted,
    Rejected,
)
from qbcall.peer import Peer

FAILURES: dict[EndReason, tuple[type[CallFailed], str]] = {
    EndReason.REJECTED: (Rejected, "the call was rejected"),
    EndReason.BUSY: (Busy, "the user is busy"),
    EndReason.NO_ANSWER: (NoAnswer, "nobody answered"),
    EndReason.MISSED: (NoAnswer, "the call was not answered here"),
    EndReason.ELSEWHERE: (Cancelled, "another device of this user accepted or rejected the call"),
    EndReason.CANCELLED: (Cancelled, "the caller hung up before the call was accepted"),
    EndReason.MEDIA_FAILED: (MediaFailed, "media could not be established"),
    EndReason.DISCONNECT_TIMEOUT: (CallLost, "the connection was lost and did not come back"),
    EndReason.SECURITY: (PeerNotTrusted, "another device than the one that took part wanted to go on"),
    EndReason.REMOTE_HUNG_UP: (CallFailed, "the other side hung up"),
    EndReason.HUNG_UP: (CallFailed, "this side hung up"),
    EndReason.DECLINED: (CallFailed, "this side rejected the call"),
}


def failure_of(reason: EndReason, peer: Peer | None) -> CallFailed:
    """The error for a call that ended like this.

    Args:
        reason: why the call ended.
        peer: the user whose part of the call ended last, and so decided how the call ended.
    """
    kind, words = FAILURES[reason]
    if peer is None:
        return kind(words)
    said = f": {peer.detail}" if peer.detail else f" ({dict(peer.info)})" if peer.info else ""
    return kind(f"{peer.user}: {words}{said}", peer=peer.user, info=peer.info)
