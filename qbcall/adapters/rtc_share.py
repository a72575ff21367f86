"""What is sent in one call, and what each peer gets of it once it is encoded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from aiortc.rtcrtpsender import RTCEncodedFrame

from qbcall.adapters.rtc_demand import Demand
from qbcall.media.frames import Frame
from qbcall.media.outgoing import Listener

log = logging.getLogger("qbcall.adapters.rtc")


class Feed(Protocol):
    """One listener's share of what is sent."""

    async def recv(self) -> Frame:
        """The next frame, unless a listener is told. Raises once it is closed."""

    def close(self) -> None:
        """No more is wanted."""


class Outlet(Protocol):
    """One kind of media that is sent to all peers of a call."""

    def subscribe(self, listener: Listener | None = None) -> Feed:
        """A share for one more listener; without one, frames wait until they are asked for."""


class LocalMedia(Protocol):
    """What this user sends in one call."""

    @property
    def audio(self) -> Outlet | None:
        """None: nothing is sent, but audio may be received."""

    @property
    def video(self) -> Outlet | None:
        """None: nothing is sent, but video may be received."""


@dataclass(slots=True)
class Terms:
    """What one peer allows and asks for; they may change at any time."""

    limit: int | None = None
    """Bits per second that are agreed; None: no limit."""
    demand: Demand = field(default_factory=Demand)
    enabled: Callable[[], bool] = lambda: True
    """Whether it was agreed that this peer is sent anything now."""


def least_limit(some: Iterable[Terms]) -> int | None:
    """The least of the agreed limits."""
    return min((terms.limit for terms in some if terms.limit is not None), default=None)


@dataclass(slots=True)
class Cap:
    """What an encoder may make at most."""

    limit: int | None = None
    """Bits per second; None: no limit."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One frame as it goes to all peers."""

    frame: Frame
    data: RTCEncodedFrame
    complete: bool = True
    """It can be decoded without those before it."""


Take = Callable[[Encoded], None]
"""Sends a frame to a peer."""


class Giver(Protocol):
    """Makes what a share gets."""

    def rate_of(self, share: Share) -> int:
        """Bits per second that are aimed at now in what this share gets."""

    def ask(self, share: Share) -> None:
        """Its peer needs a complete picture."""

    def leave(self, share: Share) -> None:
        """It is closed."""


class Share:
    """What one peer gets of an encoding."""

    def __init__(self, encoding: Giver, terms: Terms, take: Take) -> None:
        """If `take` raises, the share is closed."""
        self.terms = terms
        self.incomplete = True
        """Nothing can be decoded before a complete picture comes."""
        self.dropped = 0
        """Frames that were left out, though the peer was to have them."""
        self._encoding = encoding
        self._take = take
        self._over = asyncio.Event()

    async def over(self) -> None:
        """Wait until there are no more."""
        await self._over.wait()

    def put(self, encoded: Encoded) -> None:
        """Told by the encoding: one more. What the peer could not decode, or may not get, is left out."""
        self.dropped += self.terms.enabled() and self.incomplete and not encoded.complete
        self.incomplete = not self.terms.enabled() or (self.incomplete and not encoded.complete)
        if self.incomplete or self._over.is_set():
            return
        try:
            self._take(encoded)
        except Exception as error:
            log.debug("nothing more can be sent: %r", error)
            self.close()

    def begin_again(self) -> None:
        """What was put was not used: a complete picture is needed now."""
        self.incomplete = True
        self.ask()

    def ask(self) -> None:
        """The peer needs a complete picture."""
        self._encoding.ask(self)

    @property
    def rate(self) -> int:
        """Bits per second that are aimed at now."""
        return self._encoding.rate_of(self)

    def end(self) -> None:
        """Told by the encoding: there are no more."""
        self._over.set()

    def close(self) -> None:
        """No more is wanted; again is no error."""
        self.end()
        self._encoding.leave(self)
