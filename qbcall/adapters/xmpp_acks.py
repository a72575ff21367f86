"""What the server has of what was written, and a session that outlives its connection: Stream Management (XEP-0198).

Where the server has no Stream Management, it is asked by pings (XEP-0199): a server works in order, so with its
answer it has everything before the question. Nothing is written twice here: that is the core's business.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from qbcall.adapters.xmpp_settings import XmppSettings
from qbcall.errors import LinkDown

SM = "urn:xmpp:sm:3"
SM_ELEMENTS = tuple(f"{{{SM}}}{name}" for name in ("enabled", "resumed", "failed", "r", "a"))
REQUEST = f"<r xmlns='{SM}'/>"
"""How many stanzas does the server have? (XEP-0198, section 4)"""
ASK_BYTES = 4096
"""Written since the last question, when one more is asked before the last is answered: a slow server, e.g. Prosody
with Debian's limit of 10 kB/s, shows within the answer timeout that it is alive."""
SLOWEST = 2500
"""Bytes per second that a server reads at least. Servers that limit users read slowly, and drop nothing; ejabberd's
limit as delivered, 3000 bytes per second, is the lowest that is known."""
ANSWER_DELAY = 0.05
"""Seconds until a question of the server is answered, with those that came meanwhile: it keeps a little more."""
RESUMED_PATIENCE = 2.0
"""Seconds until a server that resumed a session must have shown that it hears this side in it. Prosody 0.12 reads on
where the old connection broke off: if that was within a stanza, all that follows is lost in it."""
OVERSLEPT = 0.5
"""Seconds; a timer that is later shows that this process was held up, and nothing about the server."""

_STANZA = re.compile(r"<(message|presence|iq)\b")
_COUNT = re.compile("[0-9]{1,10}")


@dataclass(frozen=True, kw_only=True)
class Session:
    """What it takes to go on with a session on another connection."""

    id: str
    """The name that the server gave it."""
    jid: str
    """Full JID."""
    received: int
    """Stanzas that came in, modulo 2^32."""
    tickets: tuple[tuple[int, int], ...]
    """Of what is not confirmed: how many stanzas had gone out with it, and the ticket."""
    others: frozenset[str] = frozenset()
    """Full JIDs of the other devices of the account that are online."""


class Acks:
    """Counts the stanzas of one connection, asks the server how many it has, and notices when it does not answer."""

    def __init__(
        self,
        settings: XmppSettings,
        *,
        write: Callable[[str], object],
        confirmed: Callable[[int], None],
        broke: Callable[[LinkDown], None],
        dead: Callable[[LinkDown], None],
    ) -> None:
        """`broke` takes what makes the session useless, `dead` that only the connection is."""
        self._settings = settings
        self._write = write
        self._tell_confirmed = confirmed
        self._tell_broke = broke
        self._tell_dead = dead
        self._loop = asyncio.get_running_loop()
        self._sent = 0
        self._received = 0
        self._tickets: deque[tuple[int, int]] = deque()
        self._questions: deque[tuple[int, int]] = deque()
        """Of each that is not answered yet: how many stanzas had gone out with it, and bytes since the one before."""
        self._unasked_bytes = 0
        self._heard_at = 0.0
        self._ping_ids = secrets.token_hex(8)
        """What the ids of pings begin with; no peer can know it."""
        self._enabling = False
        self._enabled = False
        self._doubted = False
        """The session was resumed, and it is not known yet whether the server hears this side."""
        self._id: str | None = None
        self._soon: asyncio.Handle | None = None
        self._due: asyncio.TimerHandle | None = None
        self._answer_due: asyncio.TimerHandle | None = None

    # -- what goes out and comes in ----------------------------------------------------------------------------------

    def left(self, text: str | bytes) -> None:
        """Something was written to the connection; each stanza by itself."""
        found = text if isinstance(text, str) else text[:16].decode("utf-8", "replace")
        if _STANZA.match(found):
            self._sent += 1

    def heard(self) -> None:
        """Bytes came in, of whatever: the link is not dead, an answer may be on its way behind them."""
        self._heard_at = self._loop.time()

    def entered(self) -> None:
        """A stanza came in, and is dealt with."""
        self._received += 1

    def wrote(self, size: int, ticket: int | None) -> None:
        """A stanza of so many bytes, whose confirmation matters, was written.

        It is asked about after what follows at once, in a packet of its own: so a server hands the stanza over first.
        The rest of a burst is asked about when that is answered, or at its end.
        """
        if ticket is not None:
            self._tickets.append((self._sent, ticket))
        self._unasked_bytes += size
        if self._unasked_bytes >= ASK_BYTES:
            self._ask()
        elif self._soon is None and not self._questions:
            self._soon = self._loop.call_soon(self._ask)

    def watch(self) -> None:
        """From now on ask now and then, and notice when nothing is answered."""
        self._rearm()

    def stop(self) -> None:
        """Ask no more."""
        for handle in (self._soon, self._due, self._answer_due):
            if handle is not None:
                handle.cancel()

    # -- questions and answers ---------------------------------------------------------------------------------------

    def _ask(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._enabled:
            self._write(REQUEST)
        else:
            to = quoteattr(self._settings.domain)
            name = f"{self._ping_ids}-{self._sent + 1}"
            self._write(f"<iq type='get' id='{name}' to={to}><ping xmlns='urn:xmpp:ping'/></iq>")
        self._asked()

    def _asked(self) -> None:
        self._questions.append((self._sent, self._unasked_bytes))
        self._unasked_bytes = 0
        if len(self._questions) == 1:
            self._rearm()

    def _has(self, count: int) -> None:
        """The server has so many stanzas."""
        self._doubted = False
        while self._questions and self._questions[0][0] <= count:
            self._questions.popleft()
        self._confirm(count)
        if self._unasked_bytes and not self._questions:
            self._ask()
        else:
            self._rearm()

    def _confirm(self, count: int) -> None:
        ticket = None
        while self._tickets and self._tickets[0][0] <= count:
            _, ticket = self._tickets.popleft()
        if ticket is not None:
            self._tell_confirmed(ticket)

    def _rearm(self) -> None:
        if self._due is not None:
            self._due.cancel()
        pause, act = (
            (self._patience, self._on_silence) if self._questions else (self._settings.idle_interval, self._ask)
        )
        self._due = self._loop.call_later(pause, act)

    @property
    def _patience(self) -> float:
        """Seconds that the answer to the first open question may take."""
        if self._doubted:
            return RESUMED_PATIENCE
        return max(self._settings.answer_timeout, self._questions[0][1] / SLOWEST)

    def _on_silence(self) -> None:
        assert self._due is not None, "it fell due"
        now, patience = self._loop.time(), self._patience
        if now - self._due.when() > OVERSLEPT:
            self._rearm()
        elif self._doubted:
            self._tell_broke(LinkDown("the server resumed the session, and does not hear this side in it"))
        elif now < self._heard_at + patience:
            self._due = self._loop.call_at(self._heard_at + patience, self._on_silence)
        else:
            self._tell_dead(LinkDown(f"the server did not answer within {patience:g} s"))

    # -- Stream Management -------------------------------------------------------------------------------------------

    def answers(self, element: Element) -> bool:
        """Whether an element answers a question of here, and needs no other care."""
        name = element.get("id", "")
        if not name.startswith(self._ping_ids):
            return False
        # An error is an answer, too.
        if element.get("type") in ("result", "error") and (found := _COUNT.fullmatch(name.rpartition("-")[2])):
            self._has(int(found[0]))
        return True

    def enable(self) -> None:
        """Ask for Stream Management, and count from here on (XEP-0198, section 3)."""
        self._write(f"<enable xmlns='{SM}' resume='true'/>")
        self._enabling = True
        self._sent = 0

    def take(self, element: Element) -> None:
        """An element of Stream Management came in; what makes no sense is ignored."""
        match element.tag.rpartition("}")[2]:
            case "enabled" if self._enabling:
                self._enabling = False
                self._enabled = True
                self._received = 0
                self._id = element.get("id") if element.get("resume") in ("true", "1") else None
            case "failed":
                self._enabling = False
            case "r" if self._enabled and self._answer_due is None:
                self._answer_due = self._loop.call_later(ANSWER_DELAY, self.answer)
            case "a" if self._enabled and (count := _count(element)) is not None:
                if count > self._sent:
                    self._tell_broke(LinkDown(f"the server has {count} stanzas of {self._sent}"))
                else:
                    self._has(count)

    def answer(self) -> None:
        """Tell the server how many stanzas came in."""
        self._answer_due = None
        if self._enabled:
            self._write(f"<a xmlns='{SM}' h='{self._received % 2**32}'/>")

    def resume(self, session: Session) -> None:
        """Ask for a session of an earlier connection (XEP-0198, section 5)."""
        self._write(f"<resume xmlns='{SM}' previd={quoteattr(session.id)} h='{session.received % 2**32}'/>")

    def resumed(self, session: Session, answer: Element) -> bool:
        """Whether the server goes on with the session; either way it may tell what it had received."""
        count = _count(answer)
        if count is not None:
            self._tickets = deque(session.tickets)
            self._confirm(count)
            self._tickets.clear()
        if answer.tag != f"{{{SM}}}resumed" or answer.get("previd") != session.id or count is None:
            return False
        self._enabled = True
        self._id = session.id
        self._sent = count
        self._received = session.received
        self._doubted = True
        self._ask()
        return True

    def session(self, jid: str) -> Session | None:
        """What it takes to go on after the connection has ended; None: it cannot be."""
        if self._id is None:
            return None
        return Session(id=self._id, jid=jid, received=self._received, tickets=tuple(self._tickets))


def _count(element: Element) -> int | None:
    text = element.get("h", "")
    return int(text) if _COUNT.fullmatch(text) else None
