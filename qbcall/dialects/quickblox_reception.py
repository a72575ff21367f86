"""What a participant receives of the others, as a key in `userInfo` of QuickBlox's `update`; between qbcalls only.

`sigReception` holds a word for each user of whom something is to come: `JID=av`, where `a` is for sound and `v` for
the picture: `f` flowing, `s` silent, `t` stalled, `l` lost, `-` nothing is to come.
"""

from __future__ import annotations

import re

from qbcall.core.model import Info, MediaKind, Reception, User
from qbcall.core.signals import ReceptionReport, Update
from qbcall.dialects.jid import bare_jid
from qbcall.dialects.xml import RECEPTION_KEY
from qbcall.errors import InvalidArgument, Malformed

MOST_USERS = 16
"""In one report; a call has fewer."""
LETTERS = {
    Reception.IDLE: "-",
    Reception.FLOWING: "f",
    Reception.SILENT: "s",
    Reception.STALLED: "t",
    Reception.LOST: "l",
}
_STATES = {letter: state for state, letter in LETTERS.items()}
_KINDS = (MediaKind.AUDIO, MediaKind.VIDEO)
_WORD = re.compile(r"(?P<user>\S+)=(?P<letters>[-fstl]{2})")


def reception_info(signal: ReceptionReport) -> dict[str, str]:
    """The key of a report."""
    words = (
        f"{user}={''.join(LETTERS[states.get(kind, Reception.IDLE)] for kind in _KINDS)}"
        for user, states in signal.received.items()
    )
    return {RECEPTION_KEY: " ".join(words)}


def read_reception(update: Update, info: Info) -> ReceptionReport:
    """The report that an update is.

    Raises:
        Malformed: it breaks its rules.
    """
    words = info[RECEPTION_KEY].split()
    if len(words) > MOST_USERS:
        raise Malformed(f"{RECEPTION_KEY}: {len(words)} users, at most {MOST_USERS}")
    return ReceptionReport(call=update.call, received=dict(map(_read, words)))


def _read(word: str) -> tuple[User, dict[MediaKind, Reception]]:
    found = _WORD.fullmatch(word)
    if found is None:
        raise Malformed(f"{RECEPTION_KEY}: JID=av with letters of {''.join(_STATES)}, not {word[:40]!r}")
    try:
        user = bare_jid(found["user"])
    except InvalidArgument as error:
        raise Malformed(f"{RECEPTION_KEY}: {error}") from None
    states = {kind: _STATES[letter] for kind, letter in zip(_KINDS, found["letters"], strict=True)}
    return user, {kind: state for kind, state in states.items() if state is not Reception.IDLE}
