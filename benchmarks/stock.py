"""The program with aiortc's own ways, for comparison: an encoder for each peer, a decoder for each track."""

from __future__ import annotations

import sys

from qbcall.adapters import rtc_receive, rtc_sender
from qbcall.cli import main

if __name__ == "__main__":
    rtc_sender.ENCODES_ONCE = False
    rtc_receive.SUITED = False
    sys.exit(main())
