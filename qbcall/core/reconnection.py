"""What becomes of a connection that was up and is lost. Beside the connection, and fed with the same inputs."""

from __future__ import annotations

from qbcall.core import events as ev
from qbcall.core.inputs import (
    DisconnectDue,
    MediaFlowing,
    StallDue,
    Timer,
)
from qbcall.core.machine import Region, on, table
from qbcall.core.model import (
    CallId,
    PeerState,
    ReconnectionState,
)
from qbcall.core.peer import Peer
from qbcall.core.room import GaveUp


class Reconnection:
    """Watches over a connection that was up."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`."""
        return self.peer.room.now + self.peer.room.policy.disconnect_timeout

    def changed(self, old: ReconnectionState, new: ReconnectionState) -> None:
        """See `Owner`. Each action tells its own event."""

    def begin(self, what: StallDue) -> None:
        """The connection is lost."""
        self.peer.lost_at = self.peer.room.now
        self.peer.emit(ev.PeerReconnecting(call=self._call, peer=self.peer.user))

    def succeed(self, what: MediaFlowing) -> None:
        """It came back by itself."""
        gap = self.peer.room.now - self.peer.lost_at
        self.peer.emit(ev.PeerReconnected(call=self._call, peer=self.peer.user, gap=gap))

    def give_up(self, what: DisconnectDue) -> None:
        """It did not come back."""
        self.peer.emit(ev.PeerReconnectFailed(call=self._call, peer=self.peer.user))
        self.peer.later(GaveUp())

    @property
    def _call(self) -> CallId:
        return self.peer.room.head.call


def is_connected(watch: Reconnection, what: object) -> bool:
    """The connection took the packets as a sign of life; after a failure they are none."""
    return watch.peer.state is PeerState.CONNECTED


def is_lost(watch: Reconnection, what: object) -> bool:
    """The connection did not end over it."""
    return watch.peer.state in {PeerState.DISCONNECTED, PeerState.FAILED}


R = ReconnectionState
RECONNECTION = table(
    "RECONNECTION",
    on(R.STABLE, StallDue, R.RECONNECTING, Reconnection.begin, when=is_lost),
    on(R.RECONNECTING, MediaFlowing, R.STABLE, Reconnection.succeed, when=is_connected),
    on(R.RECONNECTING, DisconnectDue, R.FAILED, Reconnection.give_up),
    timers={R.RECONNECTING: (DisconnectDue,)},
)


def watch(peer: Peer) -> Region[Reconnection, ReconnectionState]:
    """The region that watches over a peer's connection."""
    return Region(RECONNECTION, Reconnection(peer), ReconnectionState.STABLE)
