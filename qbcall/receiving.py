"""Where the received media of one call goes: to the application, and to the sinks, of which each may break alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence

from qbcall.core.model import MediaKind, User
from qbcall.errors import QbcallError
from qbcall.media.encoded import EncodedFrame, EncodedSink
from qbcall.media.frames import Frame, Sink
from qbcall.peer import Peer

log = logging.getLogger("qbcall.call")


class Receiving:
    """What takes the received media of one call."""

    def __init__(self, peers: Mapping[User, Peer]) -> None:
        self.sinks: Sequence[Sink] = ()
        self.errors: list[Exception] = []
        """Why sinks broke; each gets nothing more from then on, and the call goes on."""
        self._peers = peers
        self._broken: list[Sink] = []

    def deliver(self, user: User, frame: Frame) -> None:
        """Received media."""
        incoming = self._peers[user].received(frame)
        incoming.push(frame)
        kind = incoming.kind
        for sink in self.sinks:
            if sink in self._broken or kind not in sink.kinds:
                continue
            try:
                sink.write(user, frame)
            except Exception as error:
                self._break(sink, error)

    def wants(self, user: User, kind: MediaKind) -> bool:
        """Whether anybody takes received media of this kind: a sink, or the application."""
        return self._peers[user].wants(kind) or any(
            kind in sink.kinds and sink not in self._broken for sink in self.sinks
        )

    def passed(self, user: User, kind: MediaKind) -> None:
        """Media was received that nobody took."""
        self._peers[user].passed(kind)

    def records(self, user: User, kind: MediaKind) -> bool:
        """Whether a sink takes received media of this kind as it came."""
        return any(True for _ in self._recorders(kind))

    def record(self, user: User, frame: EncodedFrame) -> bool:
        """Received media, as it came; whether a sink needs a complete picture."""
        needed = False
        for sink in self._recorders(frame.kind):
            try:
                needed |= sink.write_encoded(user, frame)
            except Exception as error:
                self._break(sink, error)
        return needed

    async def close(self) -> None:
        """Finish files, and let go of devices."""
        for result in await asyncio.gather(*(sink.close() for sink in self.sinks), return_exceptions=True):
            if isinstance(result, Exception):
                self._note(result)

    def _recorders(self, kind: MediaKind) -> Iterator[EncodedSink]:
        for sink in self.sinks:
            if isinstance(sink, EncodedSink) and kind in sink.encoded_kinds and sink not in self._broken:
                yield sink

    def _break(self, sink: Sink, error: Exception) -> None:
        self._broken.append(sink)
        self._note(error)

    def _note(self, error: Exception) -> None:
        if str(error) not in map(str, self.errors):  # a sink that broke may say so again when it is closed
            log.error("%s", error, exc_info=None if isinstance(error, QbcallError) else error)
            self.errors.append(error)
