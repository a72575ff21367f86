"""Encodes pictures for all peers that agreed on a codec: once, and once more in half the size for those far below.

Both sizes are made of the same picture and with the same time stamp: a peer can go from one to the other with any
complete picture, and sees its stream go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

import av
from aiortc import RTCRtpCodecParameters

from qbcall.adapters.rtc_contexts import VIDEO_CLOCK
from qbcall.adapters.rtc_encoding import Encoding
from qbcall.adapters.rtc_layer import Layer, Made
from qbcall.adapters.rtc_share import Outlet, Share, Take, Terms
from qbcall.adapters.rtc_split import Split
from qbcall.adapters.rtc_thread import Worker
from qbcall.media.frames import Frame

REPEAT_AFTER = 0.02
"""Seconds that a request for a complete picture waits for the next picture; then the latest is encoded once more."""
MOST_WAITING = 3
"""Pictures that wait for the one at work; the oldest is left out."""
SMALL = 2
"""Divisor of the small picture's width and height."""


class VideoEncoding(Encoding):
    """Encodes pictures, in a thread."""

    def __init__(
        self,
        codec: RTCRtpCodecParameters,
        outlet: Outlet,
        over: Callable[[Encoding], None],
        worker: Worker,
    ) -> None:
        """`worker` encodes all of this outlet's frames, one after the other: encoders write into them."""
        super().__init__(outlet, over)
        self._codec = codec
        self._worker = worker
        self._left = 0
        """How many sizes of the present picture are not encoded yet."""
        self._waiting: deque[tuple[av.VideoFrame, int]] = deque(maxlen=MOST_WAITING)
        self._large = Layer(codec)
        self._small: Layer | None = None
        self._of_small: set[Share] = set()
        self._split: Split[Share] = Split()
        self._latest: tuple[av.VideoFrame, int, float] | None = None
        """With its time stamp, and when it came."""
        self._stamp = -1
        self._reminder: asyncio.TimerHandle | None = None

    def join(self, terms: Terms, take: Take) -> Share:
        """A share for one more peer, which sees a picture at once."""
        share = super().join(terms, take)
        if self._large.completions.is_recent(self._loop.time()):
            for encoded in self._large.recent:
                share.put(encoded)
        if share.incomplete:
            self.ask(share)
        return share

    def leave(self, share: Share) -> None:
        """Told by a share: it is closed. The last one ends all."""
        self._of_small.discard(share)
        super().leave(share)

    def ask(self, share: Share) -> None:
        """A peer needs a complete picture."""
        self._layer_of(share).completions.ask()
        self._remind()

    def rate_of(self, share: Share) -> int:
        """Bits per second that are aimed at now in what this share gets."""
        return self._layer_of(share).rate

    # -- details -----------------------------------------------------------------------------------------------------

    @property
    def _layers(self) -> list[Layer]:
        return [self._large] if self._small is None else [self._large, self._small]

    def _layer_of(self, share: Share) -> Layer:
        return self._small if self._small is not None and share in self._of_small else self._large

    def _remind(self) -> None:
        waits = [layer.completions.wait(self._loop.time()) for layer in self._layers]
        wait = min((wait for wait in waits if wait is not None), default=None)
        if wait is not None and self._reminder is None:
            self._reminder = self._loop.call_later(max(wait, REPEAT_AFTER), self._repeat_if_needed)

    def _repeat_if_needed(self) -> None:
        self._reminder = None
        if self._left:
            self._remind()  # the picture at work may be the one
        elif self._any_due() and self._latest is not None:
            frame, stamp, came = self._latest
            self._make(frame, stamp + round((self._loop.time() - came) * VIDEO_CLOCK))

    def _any_due(self) -> bool:
        return any(layer.completions.are_due(self._loop.time()) for layer in self._layers)

    def _encode(self, frame: Frame) -> None:
        assert isinstance(frame, av.VideoFrame), "this is a picture"
        assert frame.pts is not None, "what is sent has time stamps"
        assert frame.time_base is not None, "what is sent has time stamps"
        stamp = round(frame.pts * frame.time_base * VIDEO_CLOCK)
        self._latest = frame, stamp, self._loop.time()
        self._waiting.append((frame, stamp))
        self._next()

    def _next(self) -> None:
        """Go on, unless one is at work."""
        while self._waiting and not self._left:
            self._make(*self._waiting.popleft())

    def _make(self, frame: av.VideoFrame, stamp: int) -> None:
        audience = self._audience
        if not audience:
            return
        self._stamp = max(stamp, self._stamp + 1)
        for layer, takers in self._divide(audience).items():
            terms = [share.terms for share in takers]
            layer.encode(frame, self._stamp, terms, self._worker, partial(self._made, layer))
            self._left += 1

    def _made(self, layer: Layer, made: Made) -> None:
        """One size of the present picture is done with."""
        self._left -= 1
        if isinstance(made, Exception):
            self._complain(made)
        elif made is not None:
            for share in tuple(self._shares):
                if self._layer_of(share) is layer:
                    share.put(made)
        self._next()

    def _divide(self, audience: list[Share]) -> dict[Layer, list[Share]]:
        """Who is to get which size, whether or not it can be given it already."""
        apart = self._split.divide(self._loop.time(), {share: self._asked(share.terms) for share in audience})
        if apart and self._small is None:
            self._small = Layer(self._codec, SMALL)
        for share in audience:
            self._move(share, small=share in apart)
        if not self._of_small:
            self._small = None
        for share in audience:
            if share.incomplete:
                self._layer_of(share).completions.ask()
        seen = {self._layer_of(share) for share in audience}
        takers = {self._large: [share for share in audience if share not in apart]}
        if self._small in seen:
            takers[self._small] = [share for share in audience if share in apart]
        return takers

    def _asked(self, terms: Terms) -> int | None:
        known = [bits for bits in (terms.demand.bits, terms.limit) if bits is not None]
        return min(*known, self._large.most) if known else None

    def _move(self, share: Share, *, small: bool) -> None:
        """Give a peer the other size, once the next picture of that can be a complete one."""
        before = self._layer_of(share)
        after = self._small if small and self._small is not None else self._large
        if after is before or after.completions.is_recent(self._loop.time()):
            return
        after.follow(before)
        share.incomplete = True
        if small:
            self._of_small.add(share)
        else:
            self._of_small.discard(share)

    def _end(self) -> None:
        super()._end()
        self._latest = None
        self._waiting.clear()
        for layer in self._layers:
            layer.recent = []
        if self._reminder is not None:
            self._reminder.cancel()
