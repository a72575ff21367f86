"""aiortc's peer connection, made to end when it is closed, and to use the keys that it is given.

`RTCPeerConnection.close` does not wait for its own task that connects. If that is still at work, it starts senders
and receivers afterwards: tasks and threads that nobody can stop any more, and that keep the program from ending.

The task may miss that it is cancelled: `asyncio.wait_for`, in which aiortc waits for the next part of a DTLS
handshake, swallows that before Python 3.12 if the part comes in the same turn (CPython issue 86296). Then it would
wait for the next part, which never comes, and who closes with it.

aiortc makes new keys for each connection, and has no setting for others (W3C WebRTC has: RTCConfiguration's
`certificates`). A call has the same ones from its beginning to its end; see `core.pinning`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from types import FunctionType
from typing import Any

from aiortc import RTCCertificate, RTCConfiguration, RTCPeerConnection

log = logging.getLogger("qbcall.adapters.rtc")

PATIENCE = 0.1
"""Seconds after which a task that goes on to connect is cancelled again."""


class ClosablePeerConnection(RTCPeerConnection):
    """One that leaves nothing behind, whenever it is closed."""

    def __init__(self, configuration: RTCConfiguration, certificate: RTCCertificate | None = None) -> None:
        """None: it makes keys of its own."""
        super().__init__(configuration)
        if certificate is not None:
            self._RTCPeerConnection__certificates = [certificate]  # aiortc's private name, checked below
        self._connecting: set[asyncio.Future[Any]] = set()

    async def close(self) -> None:
        """Stop connecting, then close."""
        while self._connecting:
            for task in self._connecting:
                task.cancel()
            await asyncio.wait(self._connecting, timeout=PATIENCE)
        await super().close()

    async def _RTCPeerConnection__connect(self) -> None:  # aiortc's private name, checked below
        task = asyncio.current_task()
        assert task is not None, "aiortc connects in a task"
        self._connecting.add(task)
        try:
            await _connect(self)
        except Exception:
            log.debug("connecting failed", exc_info=True)
        finally:
            self._connecting.discard(task)


_NAME = "_RTCPeerConnection__connect"
if not inspect.iscoroutinefunction(vars(RTCPeerConnection).get(_NAME)):
    raise ImportError("aiortc.RTCPeerConnection connects otherwise than in aiortc 1.16: it cannot be closed cleanly")


def keeps_keys(connection: type) -> bool:
    """Whether a peer connection makes its transports with the keys that are put in the place known here."""
    functions = (vars(connection).get(name) for name in ("__init__", "_RTCPeerConnection__createDtlsTransport"))
    return all(
        isinstance(one, FunctionType) and "_RTCPeerConnection__certificates" in one.__code__.co_names
        for one in functions
    )


if not keeps_keys(RTCPeerConnection):
    raise ImportError("aiortc.RTCPeerConnection keeps its keys otherwise than in aiortc 1.16: they cannot be pinned")
_connect = vars(RTCPeerConnection)[_NAME]
