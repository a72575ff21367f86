"""Which keys a participant's media comes with: the fingerprints in its descriptions (RFC 8122, section 5).

Nobody can take over a running call with keys of his own: a fresh connection is taken from the device that takes part
(the server vouches for its full JID), or from whoever has the keys of before. Clients that make new keys for each
connection, as browsers do, can therefore not change their device within a call; qbcall keeps its keys for the whole
call. There is one exception: a device of the same account that says, when it is asked, that it has forgotten the call
(see `reconnection`). A program that was killed and started again has neither its name nor its keys.
"""

from __future__ import annotations

import re

from qbcall.core.model import Description

ATTRIBUTE = "a=fingerprint:"


def fingerprints(description: Description) -> frozenset[str]:
    """All that a description names, whatever of it will be used."""
    lines = re.split(r"[\r\n]+", description.sdp)
    return frozenset(line.removeprefix(ATTRIBUTE).strip().lower() for line in lines if line.startswith(ATTRIBUTE))
