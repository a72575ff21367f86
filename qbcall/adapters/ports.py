"""What the driver needs from the outside, and nothing more. Facts come back through the `Post` they are given."""

from __future__ import annotations

from typing import Protocol

from qbcall.core.effects import MediaEffect
from qbcall.core.model import CallHead, CallId, User
from qbcall.core.signals import Signal


class ChatLink(Protocol):
    """The connection to the chat server. Posts `LinkUp`, `LinkBroke` and `Arrived`. No method raises or blocks."""

    def dial(self) -> None:
        """Start to log in; `LinkUp` or `LinkBroke` is posted once it is decided."""

    def drop(self) -> None:
        """Log out, or stop logging in; nothing is posted for it."""

    def send(self, to: User, head: CallHead, signal: Signal, ticket: int | None = None) -> None:
        """Send a signal to all devices of a user, in order. Called only between `LinkUp` and `LinkBroke`.

        With a ticket, `Confirmed` is posted once the server has it and all before it; one for many may do. What is
        not confirmed before `LinkBroke` is sent again by the core after the next `LinkUp`; the link repeats nothing.
        """

    async def close(self) -> None:
        """Log out, wait until everything is written, and leave no task behind."""


class MediaEngine(Protocol):
    """The peer connections. Posts the media facts of the epoch it was asked about. No method raises or blocks."""

    def perform(self, effect: MediaEffect) -> None:
        """Carry out an effect; those of one peer are carried out one after the other."""

    def release(self, call: CallId) -> None:
        """The call is over: let go of what was kept for it."""

    async def close(self) -> None:
        """Close all peer connections and leave no task behind."""
