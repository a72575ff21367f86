"""QuickBlox's `<userInfo>`: what applications say to each other, and why a call is rejected."""

from __future__ import annotations

import json
from xml.etree.ElementTree import Element

from qbcall.core.model import DeclineReason, Info
from qbcall.core.signals import (
    Accept,
    Decline,
    End,
    Invite,
    Message,
    NotKnown,
    Probe,
    Receipt,
    ReceptionReport,
    RestartAnswer,
    Signal,
    Update,
)
from qbcall.dialects.quickblox_message import KNOWN, message_info, receipt_info
from qbcall.dialects.quickblox_reception import reception_info
from qbcall.dialects.xml import KNOWN_KEY, Fields, add, check_info, local_name, utf8_size
from qbcall.errors import Malformed

MAX_INFO_KEYS = 64
"""Elements within `userInfo`, nested ones included: what we send, and some keys that clients add by themselves."""
MAX_INFO_BYTES = 20_480
"""Names and texts within `userInfo`, in UTF-8: a message's data can double where JSON escapes it."""
DECLINE_MARKS = (
    (DeclineReason.BUSY, "reject", "busy"),
    (DeclineReason.BUSY, "busy", "true"),
    (DeclineReason.UNSUPPORTED, "not_supported", "1"),
)
"""How clients say in `userInfo` why they reject: QuickBlox's iOS sample, then ConnectyCube's "Signaling v1.0"."""


def read_info(params: Fields) -> dict[str, str]:
    """What the application said; a nested value becomes the text of a JSON object.

    Raises:
        Malformed: there is too much of it.
    """
    found = params.get("userInfo")
    if found is None:
        return {}
    inner = list(found.iter())[1:]
    if len(inner) > MAX_INFO_KEYS:
        raise Malformed(f"userInfo: {len(inner)} keys, at most {MAX_INFO_KEYS}")
    size = sum(utf8_size(local_name(item)) + utf8_size(item.text or "") for item in inner)
    if size > MAX_INFO_BYTES:
        raise Malformed(f"userInfo: {size} bytes, at most {MAX_INFO_BYTES}")
    return {
        local_name(item): json.dumps(_nested(item), ensure_ascii=False) if len(item) else item.text or ""
        for item in found
    }


def _nested(element: Element) -> dict[str, object]:
    # Not deep: `read_info` has counted the elements.
    return {local_name(item): _nested(item) if len(item) else item.text or "" for item in element}


def decline_reason(info: Info) -> DeclineReason:
    """Why a call is rejected, as far as the info of the reject says it."""
    reasons = (reason for reason, key, value in DECLINE_MARKS if info.get(key) == value)
    return next(reasons, DeclineReason.DECLINED)


def write_info(params: Element, signal: Signal) -> None:
    """Write what the application says, if it says anything.

    Raises:
        InvalidArgument, TypeError: `check_info` or `check_message` refuses it.
    """
    match signal:
        case Decline(reason=reason, info=info):
            check_info(info)
            info = _marked(reason, info)
        case Invite(info=info) | Accept(info=info) | End(info=info) | Update(info=info):
            check_info(info)
        case Message():
            info = message_info(signal)
        case Receipt():
            info = receipt_info(signal)
        case ReceptionReport():
            info = reception_info(signal)
        case Probe() | NotKnown():
            info = {KNOWN_KEY: KNOWN[type(signal)]}
        case RestartAnswer(anew=True):
            info = {KNOWN_KEY: KNOWN[NotKnown]}
        case _:
            return
    if not info:
        return
    user_info = add(params, "userInfo")
    for key, value in info.items():
        add(user_info, key, value)


def _marked(reason: DeclineReason, info: Info) -> Info:
    """The info of a reject with its reason in it, under the first mark whose key the application does not use."""
    if decline_reason(info) is reason:
        return info
    for mark, key, value in DECLINE_MARKS:
        if mark is reason and key not in info:
            return {**info, key: value}
    return info
