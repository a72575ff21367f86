"""The clock of the web server of a chat domain, for chat servers that do not tell their time."""

from __future__ import annotations

import asyncio
import contextlib
import email
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

PORT = 443
PATH = "/.well-known/host-meta"
"""Where chat clients look for ways to connect (XEP-0156)."""
PATIENCE = 4.0
"""Seconds that it may take."""


async def web_skew(domain: str, ca_file: Path | None) -> float | None:
    """Seconds by which this machine's clock is ahead of the header `Date` (RFC 9110); None: there is none."""
    began = datetime.now(UTC)
    try:
        async with asyncio.timeout(PATIENCE):
            head = await _head(domain, ssl.create_default_context(cafile=ca_file))
        told = parsedate_to_datetime(email.message_from_bytes(head.partition(b"\r\n")[2])["Date"] or "")
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):  # TimeoutError is an OSError
        return None
    if told.tzinfo is None:
        return None
    # It was cut off to whole seconds: on average, half a second is missing.
    return (began + (datetime.now(UTC) - began) / 2 - told - timedelta(seconds=0.5)).total_seconds()


async def _head(domain: str, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection(domain, PORT, ssl=context)
    try:
        writer.write(f"HEAD {PATH} HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n".encode())
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
