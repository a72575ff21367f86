"""Ways to send and to receive, for comparison with our own: aiortc's, and with a codec and a bit rate that are given.

They are taken by a whole process, before its first call. As a program this is `qbcall` with the ways that its
environment names.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from types import ModuleType

from aiortc.codecs import h264, vpx

from qbcall import running
from qbcall.adapters import rtc_arrival, rtc_bitrate, rtc_codecs, rtc_demand, rtc_receive, rtc_sender, rtc_socket
from qbcall.cli import main
from qbcall.core.model import MediaKind
from qbcall.media.sinks import Null

VARIABLE = "BENCHMARK_WAYS"
BITRATES = ("DEFAULT_BITRATE", "MIN_BITRATE", "MAX_BITRATE")
"""aiortc's names."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a process sends and receives."""

    stock: bool = False
    """As aiortc does: an encoder for each peer, with its own settings; its buffers, a decoder for
    each track; sockets that are asyncio's; and garbage collected as Python does."""
    watching: bool = False
    """The sink `null` has everything decoded, and does nothing with it."""
    codec: str = "VP8"
    """Of pictures; liked best, as both sides must."""
    bits: int = 0
    """Per second, that a picture's encoder is to make, whatever the peer's estimate is; 0: as it is."""

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to take these ways."""
        return os.environ | {VARIABLE: json.dumps(asdict(self))}

    def take(self) -> None:
        """In this process, from now on."""
        if self.stock:
            replace(rtc_sender, "ENCODES_ONCE", False)
            replace(rtc_receive, "SUITED", False)
            replace(rtc_arrival, "KNOWN", False)
            replace(rtc_socket, "KNOWN", False)
            replace(running, "run", asyncio.run)
            replace(rtc_sender, "warn", lambda: None)  # it is on purpose
        if self.watching:
            Null.kinds = tuple(MediaKind)
        wanted = f"video/{self.codec}".lower()
        rtc_codecs.CODECS[MediaKind.VIDEO].sort(key=lambda codec: codec.mimeType.lower() != wanted)
        if self.bits:
            for module in (vpx, h264):
                for name in BITRATES:
                    replace(module, name, self.bits)
            replace(rtc_bitrate, "_MOST", dict.fromkeys(rtc_bitrate._MOST, self.bits))
            replace(rtc_demand, "RUNGS", (self.bits,))


OURS = Ways()


def replace(module: ModuleType, name: str, value: object) -> None:
    """Give a name of a module another value.

    Raises:
        AttributeError: it has no such name; what would be measured is not what is said.
    """
    getattr(module, name)
    setattr(module, name, value)


def taken() -> Ways:
    """Take the ways that the environment names."""
    ways = Ways(**json.loads(os.environ.get(VARIABLE, "{}")))
    ways.take()
    return ways


if __name__ == "__main__":
    taken()
    sys.exit(main())
