"""A component of a chat server (XEP-0114), as a web service may have one; it writes what it wants."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

OPEN = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
ID = re.compile(rb"""<stream:stream[^>]* id=['"]([^'"]+)['"][^>]*>""")
READY = re.compile(rb"<handshake\s*/>|<handshake></handshake>")


@dataclass
class Component:
    """One that is connected."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, stanza: str) -> None:
        """As it is."""
        self.writer.write(stanza.encode())

    async def read(self, wanted: re.Pattern[bytes]) -> re.Match[bytes]:
        """What the server says next must have this in it.

        Raises:
            AssertionError: it ended, or it said something else.
        """
        heard = b""
        while piece := await self.reader.read(4096):
            heard += piece
            if found := wanted.search(heard):
                return found
        raise AssertionError(f"the server said {heard!r}")


@asynccontextmanager
async def component(host: str, port: int, domain: str, secret: str) -> AsyncIterator[Component]:
    """A component that is connected, and may write."""
    one = Component(*await asyncio.open_connection(host, port))
    try:
        one.write(OPEN.format(domain=domain))
        stream = (await one.read(ID))[1]
        one.write(f"<handshake>{hashlib.sha1(stream + secret.encode()).hexdigest()}</handshake>")
        await one.read(READY)
        yield one
    finally:
        one.writer.close()
        await one.writer.wait_closed()
