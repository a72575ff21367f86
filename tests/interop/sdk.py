"""The QuickBlox JavaScript SDK: fetched from npm when it is not there, checked, and never changed or committed."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

VERSION = "2.17.0"
"""The newest one under Apache-2.0."""
SHA512 = "XzABjTEQX9GNiwIuDiT8cM8TqFlT7HeWVPw4KxwHqBVAGnxAGj9itsBpc+tZuQMgQFtj+NeWCuna4xjw6vsgdA=="
"""`npm view quickblox@2.17.0 dist.integrity`"""
BUILD = Path(__file__).parents[2] / "build"
TARBALL = BUILD / f"quickblox-{VERSION}.tgz"
SCRIPT = BUILD / f"quickblox-{VERSION}" / "quickblox.js"
PATIENCE = 120.0
"""Seconds for npm."""


class SdkMissing(Exception):
    """The SDK cannot be had on this machine; says why."""


def script() -> Path:
    """The file that a page loads.

    Raises:
        SdkMissing: it is not here, and npm is missing or did not deliver it.
    """
    if not SCRIPT.exists():
        if not TARBALL.exists():
            _fetch()
        _unpack()
    return SCRIPT


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SdkMissing("npm is not installed: apt-get install npm")
    BUILD.mkdir(exist_ok=True)
    words = [npm, "pack", f"quickblox@{VERSION}", "--pack-destination", str(BUILD), "--silent"]
    try:
        subprocess.run(words, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        raise SdkMissing(f"npm did not deliver quickblox@{VERSION} within {PATIENCE:g} s") from None
    except subprocess.CalledProcessError as error:
        raise SdkMissing(f"npm did not deliver quickblox@{VERSION}: {error.stderr.strip()[-300:]}") from None


def _unpack() -> None:
    found = base64.b64encode(hashlib.sha512(TARBALL.read_bytes()).digest()).decode()
    if found != SHA512:
        TARBALL.unlink()
        raise SdkMissing(f"{TARBALL.name} is not what npm published: SHA-512 {found}")
    with tarfile.open(TARBALL) as tar:
        member = tar.extractfile("package/quickblox.js")
        assert member is not None, "a regular file: the archive is the one we know"
        text = member.read()
    SCRIPT.parent.mkdir(exist_ok=True)
    part = SCRIPT.with_suffix(".part")
    part.write_bytes(text)
    part.replace(SCRIPT)
