"""An encoder at work on what is sent, for those who have a share of what it makes."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from qbcall.adapters.rtc_share import Outlet, Share, Take, Terms
from qbcall.media.frames import Frame

log = logging.getLogger("qbcall.adapters.rtc")


class Encoding(ABC):
    """One encoder at work, as long as anybody has a share of what it makes."""

    def __init__(self, outlet: Outlet, over: Callable[[Encoding], None]) -> None:
        """`over` is told once, when nobody has a share any more or there is nothing more to encode."""
        self._over = over
        self._shares: list[Share] = []
        self._complained = False
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._feed = outlet.subscribe(self)

    def join(self, terms: Terms, take: Take) -> Share:
        """A share for one more peer."""
        share = Share(self, terms, take)
        self._shares.append(share)
        return share

    def leave(self, share: Share) -> None:
        """Told by a share: it is closed. The last one ends all."""
        if share in self._shares:
            self._shares.remove(share)
            if not self._shares:
                self._end()

    def put(self, frame: Frame) -> None:
        """Told by the outlet: one more."""
        if self._ended:
            return
        try:
            self._encode(frame)
        except Exception as error:
            self._complain(error)

    def end(self) -> None:
        """Told by the outlet: there are no more."""
        self._loop.call_soon(self._end)  # a share may be given out at this moment

    @abstractmethod
    def ask(self, share: Share) -> None:
        """A peer needs what can be decoded on its own."""

    @abstractmethod
    def rate_of(self, share: Share) -> int:
        """Bits per second that are aimed at now in what this share gets."""

    @abstractmethod
    def _encode(self, frame: Frame) -> None:
        """Encode a frame and hand it out."""

    @property
    def _audience(self) -> list[Share]:
        """The shares of those who may be sent anything."""
        return [share for share in self._shares if share.terms.enabled()]

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            log.error("a frame could not be encoded (told once)", exc_info=error)
        self._complained = True

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._feed.close()
        self._over(self)
        shares, self._shares = self._shares, []
        for share in shares:
            share.end()
