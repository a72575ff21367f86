"""aiortc's peer connection, made to end when it is closed.

`RTCPeerConnection.close` does not wait for its own task that connects. If that is still at work, it starts senders
and receivers afterwards: tasks and threads that nobody can stop any more, and that keep the program from ending.
"""

from __future__ import annotations

import asyncio
import inspect
import logging

from aiortc import RTCConfiguration, RTCPeerConnection

log = logging.getLogger("qbcall.adapters.rtc")


class ClosablePeerConnection(RTCPeerConnection):
    """One that leaves nothing behind, whenever it is closed."""

    def __init__(self, configuration: RTCConfiguration) -> None:
        super().__init__(configuration)
        self._connecting: set[asyncio.Task[object]] = set()

    async def close(self) -> None:
        """Stop connecting, then close."""
        for task in self._connecting:
            task.cancel()
        if self._connecting:
            await asyncio.wait(self._connecting)
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
_connect = vars(RTCPeerConnection)[_NAME]
