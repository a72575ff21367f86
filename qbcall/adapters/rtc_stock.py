"""What is sent to one peer where aiortc is another than we know: frames, which aiortc encodes for each peer anew."""

from __future__ import annotations

import logging

from aiortc import RTCRtpCodecParameters
from aiortc.mediastreams import MediaStreamError

from qbcall.adapters.rtc_encoder import SharedStream
from qbcall.adapters.rtc_share import Feed
from qbcall.adapters.rtc_tracks import OutgoingTrack
from qbcall.media.frames import Frame

log = logging.getLogger("qbcall.adapters.rtc")


class StockTrack(OutgoingTrack):
    """Gives frames. Peers share them; where aiortc marks one as to be complete for one peer, it is for all."""

    def __init__(self, stream: SharedStream) -> None:
        super().__init__(stream)
        self._frames = stream
        self._feed: Feed | None = None

    def prepare(self, codec: RTCRtpCodecParameters) -> None:
        """Nothing: aiortc's sender has an encoder of its own."""

    async def recv(self) -> Frame:
        """The next frame; asked for by aiortc's sender.

        Raises:
            MediaStreamError: there are no more.
        """
        if self.readyState != "live":
            raise MediaStreamError
        if self._feed is None:
            self._feed = self._frames.subscribe()
        try:
            frame = await self._feed.recv()
        except Exception as error:
            log.debug("nothing more to send of %s: %r", self.kind, error)
            self.stop()
            raise MediaStreamError from error
        self.count.add(frame)
        return frame

    def stop(self) -> None:
        """Give the feed back."""
        if self._feed is not None:
            self._feed.close()
        super().stop()
