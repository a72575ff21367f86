"""SCRAM (RFC 5802) as slixmpp does it, but fast, limited and unpredictable: importing this module changes slixmpp.

slixmpp 1.17 computes PBKDF2 in pure Python on the event loop, without a limit to the iterations that the server asks
for: 100,000 block everything, media too, for 0.3 s, and a hostile server may ask for any number. Its nonce is made by
the module `random`, which can be predicted from earlier values (RFC 5802, section 5.1 wants an unpredictable one).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import secrets

from slixmpp.util.sasl import mechanisms
from slixmpp.util.sasl.mechanisms import SCRAM

from qbcall.errors import InsecureLink

MECHANISMS = frozenset(f"SCRAM-SHA-{size}{plus}" for size in ("1", "256", "512") for plus in ("", "-PLUS"))
"""The ways to log in: all others show the password, or need none and so hide that somebody sits in between."""
PLAIN = "PLAIN"
"""RFC 4616: shows the password; only where the user wants it so."""
MAX_ITERATIONS = 200_000
"""Take about 0.1 s of one core. RFC 7677 asks servers for at least 4096, and they use up to 100,000."""

_FIRST = re.compile(rb"r=[^,]*,s=([A-Za-z0-9+/=]+),i=([0-9]{1,19})(?:,.*)?")
"""`server-first-message` of RFC 5802, section 7."""
_ITERATIONS = re.compile(rb"(?:^|,)i=([0-9]{1,19})(?:,|$)")


def check_challenge(challenge: bytes) -> None:
    """Let pass what the server sends within SCRAM, unless it would block this process.

    Raises:
        InsecureLink: too many iterations.
    """
    for found in _ITERATIONS.findall(challenge):
        if int(found) > MAX_ITERATIONS:
            raise InsecureLink(
                f"the server asks for {int(found)} iterations of SCRAM, at most {MAX_ITERATIONS} are done"
            )


def salted_password(mechanism: SCRAM, password: str | bytes, salt: bytes, iterations: int) -> bytes:
    """`Hi` of RFC 5802, section 2.2; `password` is normalised.

    Raises:
        InsecureLink: too many iterations.
    """
    if iterations > MAX_ITERATIONS:
        raise InsecureLink(f"{iterations} iterations of SCRAM, at most {MAX_ITERATIONS} are done")
    text = password.encode() if isinstance(password, str) else password
    return hashlib.pbkdf2_hmac(mechanism.hash_name.replace("-", "").lower(), text, salt, iterations)


async def salt_ahead(mechanism: SCRAM, challenge: bytes) -> None:
    """Compute what the answer to a challenge needs in a thread: meanwhile, media flows. The challenge was checked."""
    if (found := _FIRST.fullmatch(challenge)) is None:
        return
    salt, iterations = base64.b64decode(found[1]), int(found[2])
    password = mechanism.credentials["password"]
    salted = await asyncio.to_thread(salted_password, mechanism, password, salt, iterations)
    vars(mechanism)["Hi"] = lambda *_: salted


assert callable(SCRAM.Hi), "slixmpp changed: look where it computes PBKDF2 now"
SCRAM.Hi = salted_password  # type: ignore[assignment, method-assign]  # the point of this module
assert "random" in vars(mechanisms), "slixmpp changed: look where it makes the nonce now"
vars(mechanisms)["random"] = secrets.SystemRandom()  # has the one function of the module that it uses
