"""`python -m qbcall` is the command `qbcall`."""

from __future__ import annotations

import sys

from qbcall.cli import main

if __name__ == "__main__":
    sys.exit(main())
