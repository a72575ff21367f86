"""What tests with a real Prosody share; `tests/conftest.py` skips them where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qbcall.adapters.xmpp import XmppSettings
from qbcall.devserver import DevServer

NEEDS_PROSODY = pytest.mark.prosody


def settings(server: DevServer, name: str = "ann", **changed: object) -> XmppSettings:
    """How an account of a server logs in, with some fields changed."""
    usual = XmppSettings(
        jid=f"{name}@{server.domain}",
        password=server.accounts[name],
        host=server.host,
        port=server.port,
        plaintext=not server.tls,
        ca_file=server.ca_file,
    )
    return replace(usual, **changed)  # type: ignore[arg-type]  # names of fields, which replace() checks
