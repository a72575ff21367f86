"""QuickBlox's WebRTC signalling: headline messages that carry `<extraParams>`.

Sources: "Signaling v1.0" of the QuickBlox real-time API, and the source and the recorded stanzas of QuickBlox's
JavaScript SDK 2.23 (`tests/vectors/quickblox`). The names of fields below are theirs.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from xml.etree.ElementTree import Element

from qbcall.core.model import CallHead, CallId, CallMedia, Candidate, DeclineReason, Description, User
from qbcall.core.signals import (
    Accept,
    Candidates,
    Decline,
    EarlyAnswer,
    EarlyOffer,
    End,
    Invite,
    Message,
    NotKnown,
    Probe,
    Receipt,
    ReceptionReport,
    RestartAnswer,
    RestartOffer,
    Signal,
    Update,
)
from qbcall.dialects.jid import bare_jid
from qbcall.dialects.quickblox_info import decline_reason, read_info, write_info
from qbcall.dialects.quickblox_message import KNOWN, read_update
from qbcall.dialects.quickblox_participant import read_participant_data, read_receipts, write_participant
from qbcall.dialects.quickblox_preconnect import REASON, read_early, read_takes_early, write_early
from qbcall.dialects.xml import CLIENT, KNOWN_KEY, Fields, add, children, local_name, utf8_size
from qbcall.errors import InvalidArgument, Malformed

MODULE = "WebRTCVideoChat"
"""Value of `moduleIdentifier`: tells calls from QuickBlox's system messages."""
PLATFORM = "python"
"""Value of `platform`: informational, any text is understood."""

MAX_SDP_BYTES = 65_536
"""Browsers offer 5 to 8 kB; more is an attempt to keep us busy."""
MAX_CANDIDATES = 50
"""In one stanza; a browser with four network interfaces sends 16."""
MAX_CANDIDATE_BYTES = 1024
"""Of one candidate; they are about 100."""
MAX_ID_LENGTH = 256
"""Characters of `sessionID`, `offerId` and `sdpMid`, which are kept and written back; a UUID has 36."""
MAX_OPPONENTS = 16
"""In one call; QuickBlox allows 3 in its documents, and a full mesh carries no more."""
MAX_USER_DIGITS = 19
"""Of a user id; QuickBlox counts users in 64 bits."""
MAX_LINE_DIGITS = 5
"""Of `sdpMLineIndex`, an unsigned short in W3C WebRTC."""

SIGNAL_TYPES: dict[type[Signal], str] = {
    Invite: "call",
    Accept: "accept",
    Decline: "reject",
    End: "hangUp",
    Candidates: "iceCandidates",
    Update: "update",
    EarlyOffer: "update",
    EarlyAnswer: "update",
    RestartOffer: "update",
    RestartAnswer: "update",
    Message: "update",
    Receipt: "update",
    ReceptionReport: "update",
    Probe: "update",
    NotKnown: "update",
}
CALL_TYPES = {CallMedia.VIDEO: "1", CallMedia.AUDIO: "2"}
_MEDIA = {number: media for media, number in CALL_TYPES.items()}
_ACCOUNT = re.compile(r"(?P<user>[0-9]+)(?P<rest>-[0-9]+@.+)")
_USER_ID = re.compile(f"0|[1-9][0-9]{{0,{MAX_USER_DIGITS - 1}}}")


class QuickBlox:
    """QuickBlox's dialect, seen from one account; satisfies `qbcall.dialects.Dialect`.

    On an account `<userId>-<appId>@domain` users are written as integers, which mean users of the same app. On any
    other account they are written as bare JIDs, which QuickBlox's own clients cannot read.
    """

    def __init__(self, me: User) -> None:
        match = _ACCOUNT.fullmatch(me)
        self._app = match["rest"] if match else None
        """What follows the user id in a JID of this app, or None on an account without such ids."""

    # -- users -------------------------------------------------------------------------------------------------------

    def user(self, text: str) -> User:
        """The user that a person means by `text`: a bare JID, or a user id of the own app.

        Raises:
            InvalidArgument: it is neither, or a user id on an account that has no app.
            TypeError: it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"user must be text, not {text!r}")
        if not (text.isascii() and text.isdecimal()):
            return bare_jid(text)
        if self._app is None:
            raise InvalidArgument(f"user {text[:40]!r}: this account is not <userId>-<appId>@domain; give a JID")
        if len(text) > MAX_USER_DIGITS:
            raise InvalidArgument(f"user {text[:40]!r} is not a user id: at most {MAX_USER_DIGITS} digits")
        return User(f"{int(text)}{self._app}")

    def leads(self, a: User, b: User) -> bool:
        """Whether `a` offers where two users are equal: the higher user id, or else the higher JID by its bytes."""
        first, second = self._number(a), self._number(b)
        if first is not None and second is not None:
            return first > second
        return a.encode() > b.encode()

    def _number(self, user: User) -> int | None:
        """The user id of a user of the own app."""
        digits = user.removesuffix(self._app) if self._app else ""
        return int(digits) if _USER_ID.fullmatch(digits) else None

    def _write_user(self, user: User) -> str:
        number = self._number(user)
        return user if number is None else str(number)

    def _read_user(self, field: str, text: str) -> User:
        try:
            return self.user(text.strip())
        except InvalidArgument as error:
            raise Malformed(f"{field}: {error}") from None

    # -- reading -----------------------------------------------------------------------------------------------------

    def decode(self, message: Element) -> Signal | None:
        """The signal in a message; None: no call signal, or one of an unknown type.

        Fields are found by name, in any order and namespace; unknown ones are ignored. Nested values of `userInfo`
        become the text of a JSON object.

        Raises:
            Malformed: a field is missing, wrong or too large; names the field.
        """
        params = _params(message)
        if params is None:
            return None
        kind = params.text("signalType").strip()
        read = self._invite if kind == "call" else _READERS.get(kind)
        if read is None:
            return None
        signal = read(CallId(_id_field(params, "sessionID")), params)
        if isinstance(signal, Update):
            signal = read_update(signal, message.get("id", ""))
        if isinstance(signal, (RestartOffer, Probe)):
            with suppress(Malformed):  # QuickBlox's SDKs need not say everything again
                return replace(signal, head=self._head(signal.call, params))
        return signal

    def _invite(self, call: CallId, params: Fields) -> Invite:
        return Invite(
            head=self._head(call, params),
            offer=_description(params),
            info=read_info(params),
            data=read_participant_data(params),
            receipts=read_receipts(params),
            early=read_takes_early(params),
        )

    def _head(self, call: CallId, params: Fields) -> CallHead:
        media = _MEDIA.get(params.text("callType").strip())
        if media is None:
            raise Malformed(f"callType: 1 or 2, not {params.text('callType')[:40]!r}")
        caller = self._read_user("callerID", params.text("callerID"))
        listed = params.get("opponentsIDs")
        opponents = [] if listed is None else [item.text or "" for item in children(listed, "opponentID")]
        if len(opponents) > MAX_OPPONENTS:
            raise Malformed(f"opponentsIDs: {len(opponents)} users, at most {MAX_OPPONENTS}")
        callees = dict.fromkeys(self._read_user("opponentsIDs", text) for text in opponents)
        callees.pop(caller, None)
        if not callees:
            raise Malformed("opponentsIDs: nobody is called")
        return CallHead(call=call, caller=caller, callees=tuple(callees), media=media)

    # -- writing -----------------------------------------------------------------------------------------------------

    def encode(self, to: User, head: CallHead, signal: Signal) -> Element:
        """The message, with all common fields in it unless it is brief.

        There is no white space between elements: some clients choke. Lines of an SDP end in a line feed, which is
        what arrives in any case (XML 1.0, section 2.11).

        Raises:
            InvalidArgument: an info, message or participant's data that its check refuses, no callees, or no
                candidates: QuickBlox's JavaScript SDK stops to listen when it gets such a stanza.
            TypeError: what must be text is none.
        """
        if not head.callees:
            raise InvalidArgument("callees must not be empty")
        message = Element(f"{{{CLIENT}}}message", {"to": to, "type": "headline", "id": secrets.token_hex(12)})
        params = add(message, "extraParams")
        add(params, "moduleIdentifier", MODULE)
        add(params, "signalType", SIGNAL_TYPES[type(signal)])
        add(params, "sessionID", head.call)
        if not isinstance(signal, (Message, Receipt, ReceptionReport)) or not signal.brief:
            self._write_common(params, head, signal)
        # Last, so that a key named like a field is not taken for the field.
        write_info(params, signal)
        return message

    def _write_common(self, params: Element, head: CallHead, signal: Signal) -> None:
        add(params, "callType", CALL_TYPES[head.media])
        _write_body(params, signal)
        add(params, "platform", PLATFORM)
        add(params, "callerID", self._write_user(head.caller))
        opponents = add(params, "opponentsIDs")
        for user in head.callees:
            add(opponents, "opponentID", self._write_user(user))


def _params(message: Element) -> Fields | None:
    """The fields of a call signal; None: the message is no call signal."""
    if local_name(message) != "message" or message.get("type") != "headline":
        return None
    found = next(children(message, "extraParams"), None)
    params = None if found is None else Fields(found)
    return params if params is not None and params.text("moduleIdentifier").strip() == MODULE else None


def _id_field(fields: Fields, name: str) -> str:
    text = fields.text(name)
    if not text.strip():
        raise Malformed(f"{name}: missing")
    if len(text) > MAX_ID_LENGTH:
        raise Malformed(f"{name}: {len(text)} characters, at most {MAX_ID_LENGTH}")
    return text


def _description(fields: Fields) -> Description:
    sdp = fields.text("sdp")
    if not sdp.strip():
        raise Malformed("sdp: missing")
    size = utf8_size(sdp)
    if size > MAX_SDP_BYTES:
        raise Malformed(f"sdp: {size} bytes, at most {MAX_SDP_BYTES}")
    return Description(sdp)


def _accept(call: CallId, params: Fields) -> Accept:
    return Accept(
        call=call,
        answer=_description(params),
        info=read_info(params),
        data=read_participant_data(params),
        receipts=read_receipts(params),
        early=read_early(params),
    )


def _decline(call: CallId, params: Fields) -> Decline:
    if params.text("sdp"):
        # The automatic reject of the JavaScript SDK sends the caller's own fields back, userInfo among them.
        return Decline(call=call, reason=DeclineReason.BUSY)
    info = read_info(params)
    return Decline(call=call, reason=decline_reason(info), info=info)


def _end(call: CallId, params: Fields) -> End:
    return End(call=call, info=read_info(params))


def _candidates(call: CallId, params: Fields) -> Candidates:
    listed = params.get("iceCandidates")
    items = [] if listed is None else [Fields(item) for item in children(listed, "iceCandidate")]
    if len(items) > MAX_CANDIDATES:
        raise Malformed(f"iceCandidates: {len(items)} candidates, at most {MAX_CANDIDATES}")
    # An empty text is W3C WebRTC's end of candidates; nothing waits for it.
    found = tuple(_candidate(item) for item in items if item.text("candidate").strip())
    if not found:
        raise Malformed("iceCandidates: no candidate")
    return Candidates(call=call, candidates=found)


def _candidate(item: Fields) -> Candidate:
    text = item.text("candidate").strip().removeprefix("a=")
    if utf8_size(text) > MAX_CANDIDATE_BYTES:
        raise Malformed(f"candidate: {utf8_size(text)} bytes, at most {MAX_CANDIDATE_BYTES}")
    mid = _id_field(item, "sdpMid") if item.text("sdpMid") else None
    line = item.text("sdpMLineIndex").strip()
    if line and not re.fullmatch(f"[0-9]{{1,{MAX_LINE_DIGITS}}}", line):
        raise Malformed(f"sdpMLineIndex: a whole number, not {line[:40]!r}")
    return Candidate(candidate=text, mid=mid, line=int(line) if line else None)


def _update(call: CallId, params: Fields) -> Signal:
    made = _DESCRIBED.get(params.text("reason").strip())
    if made is None:
        return Update(call=call, info=read_info(params))
    offer, answer = made
    found = params.get("sessionDescription")
    if found is None:
        raise Malformed("sessionDescription: missing")
    description = Fields(found)
    offer_id = _id_field(description, "offerId")
    match description.text("type").strip():
        case "offer":
            return offer(call=call, offer_id=offer_id, offer=_description(description))
        case "answer":
            answered = answer(call=call, offer_id=offer_id, answer=_description(description))
            anew = read_info(params).get(KNOWN_KEY) == KNOWN[NotKnown]
            return replace(answered, anew=True) if anew and isinstance(answered, RestartAnswer) else answered
        case other:
            raise Malformed(f"sessionDescription: the type is offer or answer, not {other[:40]!r}")


_DESCRIBED: dict[str, tuple[type[RestartOffer | EarlyOffer], type[RestartAnswer | EarlyAnswer]]] = {
    "reconnect": (RestartOffer, RestartAnswer),
    REASON: (EarlyOffer, EarlyAnswer),
}
"""Reason of an update that carries an SDP -> what it is."""
_READERS: dict[str, Callable[[CallId, Fields], Signal]] = {
    "accept": _accept,
    "reject": _decline,
    "hangUp": _end,
    "iceCandidates": _candidates,
    "update": _update,
}


def _write_body(params: Element, signal: Signal) -> None:
    match signal:
        case Invite(offer=description) | Accept(answer=description):
            _write_sdp(params, description)
            write_participant(params, signal.data, signal.receipts)
            write_early(params, signal.early)
        case RestartOffer(offer_id=offer_id, offer=description):
            _write_described(params, "reconnect", "offer", offer_id, description)
        case RestartAnswer(offer_id=offer_id, answer=description):
            _write_described(params, "reconnect", "answer", offer_id, description)
        case EarlyOffer(offer_id=offer_id, offer=description):
            _write_described(params, REASON, "offer", offer_id, description)
        case EarlyAnswer(offer_id=offer_id, answer=description):
            _write_described(params, REASON, "answer", offer_id, description)
        case Candidates(candidates=candidates):
            _write_candidates(params, candidates)
        case _:
            pass  # All others have nothing but user info.


def _write_sdp(parent: Element, description: Description) -> None:
    add(parent, "sdp", description.sdp.replace("\r\n", "\n"))


def _write_described(params: Element, reason: str, kind: str, offer_id: str, description: Description) -> None:
    add(params, "reason", reason)
    session_description = add(params, "sessionDescription")
    add(session_description, "offerId", offer_id)
    _write_sdp(session_description, description)
    add(session_description, "type", kind)


def _write_candidates(params: Element, candidates: tuple[Candidate, ...]) -> None:
    if not candidates:
        raise InvalidArgument("candidates must not be empty")
    listed = add(params, "iceCandidates")
    for candidate in candidates:
        item = add(listed, "iceCandidate")
        add(item, "candidate", candidate.candidate)
        if candidate.mid is not None:
            add(item, "sdpMid", candidate.mid)
        if candidate.line is not None:
            add(item, "sdpMLineIndex", str(candidate.line))
