"""The program with aiortc's own ways, for comparison: an encoder for each peer, a decoder for each track."""

from __future__ import annotations

import sys

from aiortc.mediastreams import MediaStreamError

from qbcall.adapters import rtc_peer, rtc_receive
from qbcall.adapters.rtc_share import Feed
from qbcall.adapters.rtc_tracks import OutgoingTrack
from qbcall.cli import main
from qbcall.media.frames import Frame


class StockTrack(OutgoingTrack):
    """Gives frames, which aiortc encodes."""

    _feed: Feed | None = None

    async def recv(self) -> Frame:
        """The next frame."""
        if self._feed is None:
            self._feed = self._stream._outlet.subscribe()
        try:
            frame = await self._feed.recv()
        except Exception as error:
            raise MediaStreamError from error
        self.count.add(frame)
        return frame

    def stop(self) -> None:
        """Give the share back."""
        if self._feed is not None:
            self._feed.close()
        super().stop()


def leave_alone(*_: object) -> None:
    """Aiortc's sender stays as it is."""


if __name__ == "__main__":
    for name, instead in {"OutgoingTrack": StockTrack, "send_shared": leave_alone}.items():
        setattr(rtc_peer, name, instead)
    rtc_receive.SUITED = False
    sys.exit(main())
