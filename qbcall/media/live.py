"""Devices that block: a thread reads them, and the newest frames are kept for the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from qbcall.errors import SourceError
from qbcall.media.frames import Frame
from qbcall.media.waiting import WaitingFrames

log = logging.getLogger("qbcall.media.live")


class Device(Protocol):
    """Something that yields frames at its own pace."""

    def grab(self) -> Frame:
        """Block until there is a frame; whatever it raises is the end of the source."""

    def close(self) -> None:
        """Let go of it."""


class LiveSource:
    """A device as a source: what nobody asked for in time is dropped, so that it never lags."""

    def __init__(self, device: Device, *, keep: int = 1) -> None:
        """Start to read; the device belongs to this object.

        Args:
            device: is used from one thread only.
            keep: frames that may wait.
        """
        self._device = device
        self._loop = asyncio.get_running_loop()
        self._frames = WaitingFrames(keep)
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="qbcall-device", daemon=True)
        self._thread.start()

    async def read(self) -> Frame:
        """The next frame.

        Raises:
            SourceError: the device broke.
        """
        try:
            return await self._frames.get()
        except Exception:
            if self._error is not None:
                raise SourceError(f"the device broke: {self._error}") from self._error
            raise

    async def close(self) -> None:
        """Let go of the device."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 2.0)
        if self._thread.is_alive():
            log.warning("a device does not answer; its thread is left behind")

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._tell(partial(self._frames.put, self._device.grab()))
        except Exception as error:
            self._error = error
        finally:
            self._device.close()
            self._tell(self._frames.end)

    def _tell(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call)


async def open_device(spec: str, make: Callable[[], Device], *, keep: int = 1) -> LiveSource:
    """Open a device in a thread and start to read it.

    Raises:
        SourceError: as `make` raised it, or names `spec` and what `make` raised.
    """
    try:
        device = await asyncio.to_thread(make)
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(f"{spec}: {error}") from error
    return LiveSource(device, keep=keep)
