"""The program with aiortc's own way to send, for comparison: an encoder for each peer."""

from __future__ import annotations

import sys

from qbcall.adapters import rtc_sender
from qbcall.cli import main

if __name__ == "__main__":
    rtc_sender.ENCODES_ONCE = False
    sys.exit(main())
