"""Hand-made stanzas and signals of the QuickBlox dialect."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

from qbcall.core.model import CallHead, CallId, CallMedia, Candidate, Description, User
from qbcall.core.signals import Invite
from qbcall.dialects import Dialect
from qbcall.dialects.quickblox import QuickBlox

A, B, C = (User(f"{number}-77@localhost") for number in (1001, 1002, 1003))
ALICE, BOB = User("alice@example.org"), User("bob@example.org")
NUMERIC: Dialect = QuickBlox(A)
NAMED: Dialect = QuickBlox(ALICE)
CALL = CallId("c1")
HEAD = CallHead(call=CALL, caller=A, callees=(B, C), media=CallMedia.VIDEO)
SDP = Description("v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\n")
CANDIDATE = Candidate(candidate="candidate:1 1 udp 1 127.0.0.1 9 typ host", mid="0", line=0)

CALL_FIELDS = {
    "callType": "<callType>1</callType>",
    "callerID": "<callerID>1001</callerID>",
    "opponentsIDs": "<opponentsIDs><opponentID>1002</opponentID></opponentsIDs>",
    "sdp": "<sdp>v=0</sdp>",
}
RESTART = "<reason>reconnect</reason><sessionDescription>{}</sessionDescription>"


def stanza(kind: str, body: str = "", call: str = "<sessionID>c1</sessionID>") -> Element:
    return fromstring(
        "<message xmlns='jabber:client' type='headline' to='1001-77@localhost'><extraParams>"
        f"<moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>{kind}</signalType>{call}{body}"
        "</extraParams></message>"
    )


def call_with(**changed: str) -> Element:
    """A call stanza; a field that is given replaces the usual one."""
    return stanza("call", "".join({**CALL_FIELDS, **changed}.values()))


def opponents(*ids: object) -> str:
    return f"<opponentsIDs>{''.join(f'<opponentID>{one}</opponentID>' for one in ids)}</opponentsIDs>"


def candidates(*items: str) -> str:
    return f"<iceCandidates>{''.join(f'<iceCandidate>{item}</iceCandidate>' for item in items)}</iceCandidates>"


def invited(dialect: Dialect, message: Element) -> Invite:
    signal = dialect.decode(message)
    assert isinstance(signal, Invite)
    return signal
