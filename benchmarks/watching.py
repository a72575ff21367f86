"""The program with a sink that has everything decoded, and does nothing with it."""

from __future__ import annotations

import sys

from qbcall.cli import main
from qbcall.core.model import MediaKind
from qbcall.media.sinks import Null

if __name__ == "__main__":
    Null.kinds = tuple(MediaKind)
    sys.exit(main())
