"""The tables, how a row is called, and which inputs each table hears."""

from __future__ import annotations

from typing import Any, get_args

from qbcall.core import inputs as what
from qbcall.core.connection import CONNECTION
from qbcall.core.inputs import MediaFact, Timer
from qbcall.core.link import LINK
from qbcall.core.machine import Row, Stay, Table
from qbcall.core.mailbox import MAIL
from qbcall.core.mailroom import Busy, Quiet
from qbcall.core.matrix import MATRIX, Changed
from qbcall.core.preconnection import PRECONNECTION
from qbcall.core.reconnection import RECONNECTION
from qbcall.core.room import Abandon, Distrust, GaveUp, Merge, Restored, Ring, Settle
from qbcall.core.session import SESSION
from qbcall.core.signals import (
    Accept,
    Decline,
    EarlyAnswer,
    EarlyOffer,
    Invite,
    Message,
    NotKnown,
    Probe,
    Receipt,
    ReceptionReport,
    RestartAnswer,
    RestartOffer,
    Signal,
)

ALL = (LINK, SESSION, CONNECTION, RECONNECTION, PRECONNECTION, MAIL, MATRIX)
TABLES: dict[str, Table[Any, Any]] = {table.name: table for table in ALL}
FACTS: tuple[type[object], ...] = tuple(some for some in get_args(what.Input) if issubclass(some, MediaFact))
CALL_SIGNALS = tuple(some for some in get_args(Signal) if some not in (Message, Receipt, ReceptionReport))
"""Those that peers hear; the rest is for the mailbox and the matrix."""
WISHES: tuple[type[object], ...] = (
    what.StartCall,
    what.AcceptCall,
    what.RejectCall,
    what.HangUp,
    what.SendUpdate,
)
INPUTS: dict[str, tuple[type[object], ...]] = {
    "LINK": (what.GoOnline, what.GoOffline, what.LinkUp, what.LinkBroke),
    "SESSION": (*WISHES, Invite, Accept, Decline, RestartOffer, RestartAnswer, Settle),
    "CONNECTION": (*WISHES, Ring, Merge, Abandon, Distrust, GaveUp, Restored, Settle, *FACTS, *CALL_SIGNALS),
    "MAIL": (Busy, Quiet),
    "MATRIX": (Changed,),
    "PRECONNECTION": (what.AcceptCall, Invite, Accept, EarlyOffer, EarlyAnswer, *FACTS),
    "RECONNECTION": (what.StallDue, RestartOffer, RestartAnswer, Probe, NotKnown, Restored, *FACTS),
}
"""What each table may be fed, timers aside: a timer runs only in the states that list it."""


def name(row: Row[Any, Any]) -> str:
    """A row as text, e.g. `PENDING --Accept[dialled]--> CONNECTING`."""
    states = " ".join(state.name for state in row.states)
    guard = f"[{row.when.__name__}]" if row.when else ""
    then = "stay" if isinstance(row.next, Stay) else row.next.name
    return f"{states} --{row.on.__name__}{guard}--> {'ignored' if row.because else then}"


def timers(table: Table[Any, Any], state: object) -> tuple[type[Timer], ...]:
    """Timers that run in a state."""
    return table.timers.get(state, ())


UP = "CONNECTING CHECKING CONNECTED DISCONNECTED FAILED"
ENDED = "NO_ANSWER REJECTED HANG_UP DISCONNECT_TIMEOUT"
NEVER = "UNKNOWN CLOSED COUNT"
ANY = "*"
OF_FRESH = "OfferReady AnswerReady CandidatesFound IceChecking IceConnected IceFailed MediaBroke"
EARLY = "AnswerReady IceChecking IceConnected IceFailed MediaFlowing MediaCounted RemoteTrack StatsRead"
BEGUN = "OFFERING ANSWERING CHECKING UP"
ALL_FACTS = " ".join(some.__name__ for some in FACTS)

UNEXPECTED: tuple[tuple[str, str, str, str], ...] = (
    ("LINK", "CONNECTING ONLINE WAITING REDIALING", "GoOnline", "raises InvalidState"),
    ("LINK", "OFFLINE", "GoOffline", "nothing follows"),
    ("SESSION", "NEW", "AcceptCall RejectCall SendUpdate", "raises InvalidState"),
    ("SESSION", "PENDING CONNECTING CONNECTED", "StartCall", "raises InvalidState"),
    ("SESSION", "CONNECTING CONNECTED", "AcceptCall RejectCall", "raises InvalidState"),
    (
        "SESSION",
        "CLOSED",
        "StartCall AcceptCall RejectCall HangUp SendUpdate",
        "the engine answers for calls that ended",
    ),
    ("SESSION", "PENDING CONNECTING CONNECTED CLOSED", "Invite RestartOffer", "a known call: its peer hears it"),
    (
        "SESSION",
        "NEW CONNECTING CONNECTED CLOSED",
        "Accept Decline RestartAnswer",
        "of an own device; it does not ring here",
    ),
    ("SESSION", "NEW CLOSED", "Settle", "nothing follows"),
    ("CONNECTION", "NEW", "AcceptCall RejectCall SendUpdate", "the call refuses it before"),
    (
        "CONNECTION",
        "PENDING",
        "StartCall SendUpdate",
        "the call refuses it before; an update needs a peer that is up",
    ),
    ("CONNECTION", UP, "StartCall AcceptCall RejectCall", "of a call with others in other states"),
    (
        "CONNECTION",
        f"NEW PENDING {UP}",
        "RestartAnswer Probe NotKnown EarlyOffer EarlyAnswer",
        "not heard by CONNECTION",
    ),
    ("CONNECTION", "NEW CONNECTED DISCONNECTED FAILED", "RestartOffer", "not heard by CONNECTION"),
    ("CONNECTION", "NEW PENDING CONNECTING CHECKING", "Distrust Restored", "only what was up is made anew"),
    ("CONNECTION", "NEW", "Merge Abandon GaveUp Settle", "fed by the call in other states only"),
    ("CONNECTION", "PENDING", "Ring GaveUp Settle", "fed by the call in other states only"),
    ("CONNECTION", UP, "Ring Merge Abandon", "fed by the call in other states only"),
    ("CONNECTION", "CONNECTED", "GaveUp", "only a peer that is lost is given up"),
    ("CONNECTION", "CONNECTING CHECKING CONNECTED DISCONNECTED", "Settle", "nothing follows"),
    ("CONNECTION", "NEW", f"OfferReady MediaBroke CandidatesFound {EARLY}", "dropped: there is no peer connection"),
    ("CONNECTION", "PENDING", EARLY, "counted as Drop: there is only an offer"),
    (
        "CONNECTION",
        "CONNECTING CHECKING",
        "OfferReady MediaCounted RemoteTrack StatsRead",
        "counted as Drop: too late, too early",
    ),
    ("CONNECTION", "CONNECTED DISCONNECTED FAILED", "OfferReady AnswerReady", "counted as Drop: too late"),
    (
        "CONNECTION",
        "NEW",
        "Accept Candidates Update Decline End",
        "Drop: nobody was called",
    ),
    ("CONNECTION", ENDED, ANY, "passes on to CLOSED within the same step"),
    ("CONNECTION", NEVER, f"{ANY} Settle", "no state of a peer that hears anything"),
    ("MAIL", "BUSY", "Busy", "nothing follows"),
    ("MAIL", "QUIET", "Quiet", "nothing follows"),
    ("MATRIX", "RECENT", "Changed", "once the timer is due, the call sees whether it still holds"),
    ("PRECONNECTION", "NONE OVER REFUSED", f"AcceptCall {ALL_FACTS}", "there is no early connection"),
    ("PRECONNECTION", "REFUSED", "Accept", "counted as Drop, unless it answers the invitation: asked once"),
    ("PRECONNECTION", f"{BEGUN} OVER REFUSED", "Invite", "a call has one early connection"),
    ("PRECONNECTION", "ANSWERING CHECKING UP", "OfferReady", "it is made already"),
    ("PRECONNECTION", "OFFERING CHECKING UP", "AnswerReady", "it is made already, or of the other side"),
    ("PRECONNECTION", "OFFERING ANSWERING UP", "IceConnected", "told once, when both know of each other"),
    ("PRECONNECTION", "OFFERING ANSWERING CHECKING", "MediaFlowing", "there is no path yet"),
    ("PRECONNECTION", BEGUN, "CandidatesFound RemoteTrack StatsRead", "not told of an early connection"),
    ("RECONNECTION", "STABLE", "MediaFlowing Restored", "nothing was lost"),
    ("RECONNECTION", "STABLE GRACE", OF_FRESH, "there is no fresh connection; the present one is CONNECTION's"),
    (
        "RECONNECTION",
        "STABLE GRACE RESTARTING",
        "MediaCounted RemoteTrack StatsRead",
        "for CONNECTION: told once it is up",
    ),
    ("RECONNECTION", "GRACE", "Restored", "no fresh connection is made"),
    ("RECONNECTION", "GRACE RESTARTING", "StallDue", "the loss is known; a connection that came back has it again"),
    ("RECONNECTION", "FAILED", ANY, "the peer is over"),
)
"""What has no row, and why: table, states, inputs (`*`: all but `Settle`), reason."""


def unexpected(table: str) -> set[tuple[str, str]]:
    """Pairs of state and input that have no row on purpose."""
    every = " ".join(some.__name__ for some in INPUTS[table] if some is not Settle)
    return {
        (state, some)
        for of, states, inputs, _ in UNEXPECTED
        if of == table
        for state in states.split()
        for some in inputs.replace(ANY, every).split()
    }
