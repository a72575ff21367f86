"""Messages of the application and their receipts, as keys in the `userInfo` of QuickBlox's `update`.

A JavaScript application gets them in `onUpdateCallListener`, and sends them with
`session.update({userInfo: {sigType, sigData}})`.

| key | holds |
| --- | --- |
| `sigType` | the type |
| `sigData` | the data |
| `sigEncoding` | `json`: the data is a JSON string (RFC 8259), in JavaScript `JSON.parse(userInfo.sigData)` |
| `sigId` | the id that the sender gave; without it, the id of the stanza is meant |
| `sigSeq` | the number; of clients that count |
| `sigReceipt` | `1`: the sender waits for `sigAck`, which otherwise may come later for several messages |
| `sigAck` | all messages up to this number arrived |
| `sigKnown` | `?`: does the reader's client know the call? `no`: the sender's does not, and wants to be in it again |
| `sigAgain` | with `sigAck`, `1`: what comes after it may be lost, and should be sent again |

`sigEncoding` is there only where the data has a carriage return in it: servers write a stanza anew without escaping
it, so that it would arrive as a line feed (XML 1.0, section 2.11).
"""

from __future__ import annotations

import json
import re

from qbcall.core.model import Info
from qbcall.core.signals import Message, NotKnown, Probe, Receipt, ReceptionReport, Update
from qbcall.dialects.message_text import check_message
from qbcall.dialects.quickblox_reception import read_reception
from qbcall.dialects.xml import KNOWN_KEY, MESSAGE_KEYS, RECEIPT_KEY, RECEPTION_KEY
from qbcall.errors import InvalidArgument, Malformed

KNOWN: dict[type[Probe | NotKnown], str] = {Probe: "?", NotKnown: "no"}
"""Values of `sigKnown`."""
MAX_SEQ = 2**53
"""What JavaScript counts exactly."""
MAX_MESSAGE_ID = 256
"""Characters of an id, which is kept."""
_NUMBER = re.compile("0|[1-9][0-9]{0,15}")


def message_info(signal: Message) -> dict[str, str]:
    """The keys of a message.

    Raises:
        InvalidArgument, TypeError: `check_message` refuses it.
    """
    check_message(signal.type, signal.data)
    info = {"sigType": signal.type, "sigData": signal.data, "sigId": signal.id}
    if signal.seq is not None:
        info["sigSeq"] = str(signal.seq)
    if signal.ack:
        info["sigReceipt"] = "1"
    if "\r" in signal.data:
        info |= {"sigData": json.dumps(signal.data, ensure_ascii=False), "sigEncoding": "json"}
    return info


def receipt_info(signal: Receipt) -> dict[str, str]:
    """The keys of a receipt."""
    return {RECEIPT_KEY: str(signal.seq)} | ({"sigAgain": "1"} if signal.again else {})


def read_update(update: Update, stanza_id: str) -> Update | Message | Receipt | ReceptionReport | Probe | NotKnown:
    """What an update is by one of its keys, or else the update itself.

    Raises:
        Malformed: it is one, but breaks its rules; names the key.
    """
    info = update.info
    if RECEIPT_KEY in info:
        seq = _number(RECEIPT_KEY, info[RECEIPT_KEY], least=0)
        return Receipt(call=update.call, seq=seq, again=info.get("sigAgain") == "1")
    if RECEPTION_KEY in info:
        return read_reception(update, info)
    if KNOWN_KEY in info:
        return _read_known(update, info[KNOWN_KEY])
    if not any(key in info for key in MESSAGE_KEYS):
        return update
    type, data = info.get("sigType", ""), _data(info)
    try:
        check_message("", data)
    except InvalidArgument as error:
        raise Malformed(f"sigData: {error}") from None
    try:
        check_message(type, "")
    except InvalidArgument as error:
        raise Malformed(f"sigType: {str(error)[:400]}") from None
    number = _number("sigSeq", info["sigSeq"], least=1) if "sigSeq" in info else None
    return Message(
        call=update.call, type=type, data=data, id=_id(info, stanza_id), seq=number, ack=info.get("sigReceipt") == "1"
    )


def _read_known(update: Update, value: str) -> Probe | NotKnown:
    for kind, written in KNOWN.items():
        if written == value:
            return kind(call=update.call)
    raise Malformed(f"{KNOWN_KEY}: ? or no, not {value[:40]!r}")


def _data(info: Info) -> str:
    text = info.get("sigData", "")
    if info.get("sigEncoding") != "json":
        return text
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("sigData: is not JSON, as sigEncoding says") from None
    if not isinstance(data, str):
        raise Malformed("sigData: a JSON string, nothing else")
    return data


def _id(info: Info, stanza_id: str) -> str:
    found = info.get("sigId") or stanza_id
    if not found:
        raise Malformed("sigId: missing, and the stanza has no id")
    if len(found) > MAX_MESSAGE_ID:
        raise Malformed(f"sigId: {len(found)} characters, at most {MAX_MESSAGE_ID}")
    return found


def _number(key: str, text: str, *, least: int) -> int:
    found = _NUMBER.fullmatch(text.strip())
    if not found or not least <= int(found[0]) <= MAX_SEQ:
        raise Malformed(f"{key}: a whole number from {least} to {MAX_SEQ}, not {text[:40]!r}")
    return int(found[0])
