"""An encoder at work on what is sent, for those who have a share of what it makes."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

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
        self._encodes = False
        self._ended = False
        self._feed = outlet.subscribe()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="qbcall-encode")

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

    @abstractmethod
    def ask(self, share: Share) -> None:
        """A peer needs what can be decoded on its own."""

    @abstractmethod
    def rate_of(self, share: Share) -> int:
        """Bits per second that are aimed at now in what this share gets."""

    @abstractmethod
    async def _encode(self, frame: Frame) -> None:
        """Encode a frame and hand it out."""

    @property
    def _audience(self) -> list[Share]:
        """The shares of those who may be sent anything."""
        return [share for share in self._shares if share.terms.enabled()]

    async def _run(self) -> None:
        while not self._ended:
            try:
                frame = await self._feed.recv()
            except Exception as error:
                log.debug("nothing more to send: %r", error)
                break
            self._encodes = True
            await self._try(self._encode(frame))
            self._encodes = False
        self._end()

    async def _try(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            if not self._complained:
                log.exception("a frame could not be encoded (told once)")
            self._complained = True

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._feed.close()
        self._over(self)
        if not self._encodes:  # what is in a thread cannot be stopped, and must not be left alone with its frame
            self._task.cancel()
        shares, self._shares = self._shares, []
        for share in shares:
            share.end()
