"""Where the received media of one call goes: to the application, and to the sinks, of which each may break alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from qbcall.core.model import MediaKind, User
from qbcall.errors import QbcallError
from qbcall.media.encoded import EncodedFrame, EncodedSink
from qbcall.media.frames import Frame, Sink
from qbcall.peer import Peer

log = logging.getLogger("qbcall.call")


class Receiving:
    """What takes the received media of one call."""

    def __init__(self, peers: Mapping[User, Peer]) -> None:
        self.errors: list[Exception] = []
        """Why sinks broke; each gets nothing more from then on, and the call goes on."""
        self._peers = peers
        self._sinks: Sequence[Sink] = ()
        self._working: list[Sink] = []
        """Those that did not break."""
        self._recorders: list[EncodedSink] = []
        """Those of them that take media as it came."""

    @property
    def sinks(self) -> Sequence[Sink]:
        """All that were opened for the call."""
        return self._sinks

    @sinks.setter
    def sinks(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._use(list(sinks))

    def deliver(self, user: User, frame: Frame) -> None:
        """Received media."""
        incoming = self._peers[user].received(frame)
        incoming.push(frame)
        kind = incoming.kind
        for sink in self._working:
            if kind not in sink.kinds:
                continue
            try:
                sink.write(user, frame)
            except Exception as error:
                self._break(sink, error)

    def wants(self, user: User, kind: MediaKind) -> bool:
        """Whether anybody takes received media of this kind: a sink, or the application."""
        for sink in self._working:  # each packet asks: without a generator
            if kind in sink.kinds:
                return True
        return self._peers[user].wants(kind)

    def passed(self, user: User, kind: MediaKind) -> None:
        """Media was received that nobody took."""
        self._peers[user].passed(kind)

    def records(self, user: User, kind: MediaKind) -> bool:
        """Whether a sink takes received media of this kind as it came."""
        return bool(self._recorders) and any(kind in sink.encoded_kinds for sink in self._recorders)

    def record(self, user: User, frame: EncodedFrame) -> bool:
        """Received media, as it came; whether a sink needs a complete picture."""
        needed = False
        for sink in self._recorders:
            try:
                needed |= frame.kind in sink.encoded_kinds and sink.write_encoded(user, frame)
            except Exception as error:
                self._break(sink, error)
        return needed

    async def close(self) -> None:
        """Finish files, and let go of devices."""
        for result in await asyncio.gather(*(sink.close() for sink in self.sinks), return_exceptions=True):
            if isinstance(result, Exception):
                self._note(result)

    def _use(self, sinks: list[Sink]) -> None:
        self._working = sinks
        self._recorders = [sink for sink in sinks if isinstance(sink, EncodedSink)]

    def _break(self, sink: Sink, error: Exception) -> None:
        self._use([one for one in self._working if one is not sink])
        self._note(error)

    def _note(self, error: Exception) -> None:
        if str(error) not in map(str, self.errors):  # a sink that broke may say so again when it is closed
            log.error("%s", error, exc_info=None if isinstance(error, QbcallError) else error)
            self.errors.append(error)
