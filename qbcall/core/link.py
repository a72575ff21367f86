"""The chat link: online or not, and when it is made again.

The first login fails at once: somebody waits for it. A link that was up and broke is made again within the reconnect
window, with pauses that double and vary (Vonage: automatic reconnection).
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from qbcall.core.effects import DialLink, DropLink, Effect, Emit, Transmit
from qbcall.core.events import LinkLost, LinkOnline, LinkReconnected, LinkReconnecting
from qbcall.core.inputs import BackoffDue, GiveUpDue, GoOffline, GoOnline, LinkBroke, LinkUp, Timer
from qbcall.core.machine import Region, ignored, on, table
from qbcall.core.outbox import Outbox, must_be_kept
from qbcall.core.policy import Policy
from qbcall.errors import LinkDown

BACKOFF_CAP = 8.0
"""The longest pause, as a multiple of the first."""


class LinkState(enum.Enum):
    """State of the connection to the chat server."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    """Logging in for the first time."""
    ONLINE = "online"
    WAITING = "waiting"
    """Broken by accident; pausing before the next attempt."""
    REDIALING = "redialing"
    """Broken by accident; logging in again."""


class Link:
    """The chat link of one client."""

    def __init__(self, policy: Policy, jitter: Callable[[], float], out: Callable[[Effect], None]) -> None:
        self.policy = policy
        self.now = 0.0
        self._jitter = jitter
        self._out = out
        self._attempts = 0
        self.outbox = Outbox()
        self.region = Region(LINK, self, LinkState.OFFLINE)

    @property
    def online(self) -> bool:
        """Whether signals can be sent now."""
        return self.region.state is LinkState.ONLINE

    @property
    def coming_back(self) -> bool:
        """Whether the link broke and is made again."""
        return self.region.state in (LinkState.WAITING, LinkState.REDIALING)

    def transmit(self, effect: Transmit) -> None:
        """Send now, or once the link is back if nothing else would heal the loss."""
        kept = must_be_kept(effect.signal) and (self.online or self.coming_back)
        effect = self.outbox.keep(effect, self.now) if kept else effect
        if self.online:
            self._out(effect)

    def deadline(self, timer: type[Timer]) -> float | None:
        """See `Owner`."""
        if timer is GiveUpDue:
            return self.now + self.policy.reconnect_window
        pause = self.policy.backoff * min(2.0**self._attempts, BACKOFF_CAP)
        return self.now + pause * (0.5 + self._jitter())

    def changed(self, old: LinkState, new: LinkState) -> None:
        """See `Owner`. Each action tells its own event."""

    def dial(self, what: GoOnline | BackoffDue) -> None:
        """Log in."""
        self._out(DialLink())

    def came_up(self, what: LinkUp) -> None:
        """The first login worked."""
        self._out(Emit(LinkOnline(device=what.device)))

    def came_back(self, what: LinkUp) -> None:
        """A later login worked; only that resets the pauses."""
        self._attempts = 0
        for effect in self.outbox.again(self.now):
            self._out(effect)
        self._out(Emit(LinkReconnected(resumed=what.resumed)))

    def broke(self, what: LinkBroke) -> None:
        """The link broke by accident."""
        self._out(Emit(LinkReconnecting(reason=str(what.reason))))

    def failed_again(self, what: LinkBroke) -> None:
        """One more attempt failed."""
        self._attempts += 1

    def lost(self, what: LinkBroke) -> None:
        """The link is gone for good."""
        self._forget()
        self._out(Emit(LinkLost(error=what.reason)))

    def give_up(self, what: GiveUpDue) -> None:
        """The reconnect window is over."""
        self._forget()
        self._out(DropLink())
        window = f"{self.policy.reconnect_window:g}"
        self._out(Emit(LinkLost(error=LinkDown(f"the chat link did not come back within {window} s"))))

    def drop(self, what: GoOffline) -> None:
        """Log out."""
        self._forget()
        self._out(DropLink())

    def _forget(self) -> None:
        self._attempts = 0
        self.outbox.clear()


def fatal(link: Link, what: LinkBroke) -> bool:
    """Trying again is pointless or harmful."""
    return what.fatal


L = LinkState
LINK = table(
    "LINK",
    on(L.OFFLINE, GoOnline, L.CONNECTING, Link.dial),
    on(L.CONNECTING, LinkUp, L.ONLINE, Link.came_up),
    on(L.CONNECTING, LinkBroke, L.OFFLINE, Link.lost),
    on((L.ONLINE, L.REDIALING), LinkBroke, L.OFFLINE, Link.lost, when=fatal),
    on(L.ONLINE, LinkBroke, L.WAITING, Link.broke),
    on(L.WAITING, BackoffDue, L.REDIALING, Link.dial),
    on(L.REDIALING, LinkUp, L.ONLINE, Link.came_back),
    on(L.REDIALING, LinkBroke, L.WAITING, Link.failed_again),
    on((L.WAITING, L.REDIALING), GiveUpDue, L.OFFLINE, Link.give_up),
    on((L.CONNECTING, L.ONLINE, L.WAITING, L.REDIALING), GoOffline, L.OFFLINE, Link.drop),
    ignored((L.OFFLINE, L.WAITING), LinkUp, LinkBroke, because="of an attempt that was given up"),
    ignored(L.ONLINE, LinkUp, because="there is one login per dial"),
    timers={L.WAITING: (GiveUpDue, BackoffDue), L.REDIALING: (GiveUpDue,)},
)
