"""What qbcall says about itself in `call` and `accept`: two elements that other clients ignore.

`<participantData>` holds a text of the application, `<receipts>1</receipts>` that messages are acknowledged.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from qbcall.dialects.message_text import MAX_PARTICIPANT_DATA, check_participant_data
from qbcall.dialects.xml import Fields, add
from qbcall.errors import Malformed


def read_participant_data(params: Fields) -> str:
    """What the participant says about itself, or empty.

    Raises:
        Malformed: it is too long.
    """
    data = params.text("participantData")
    if len(data) > MAX_PARTICIPANT_DATA:
        raise Malformed(f"participantData: {len(data)} characters, at most {MAX_PARTICIPANT_DATA}")
    return data


def read_receipts(params: Fields) -> bool:
    """Whether the participant acknowledges messages."""
    return params.text("receipts").strip() == "1"


def write_participant(params: Element, data: str, receipts: bool) -> None:
    """Write what is said, if anything.

    Raises:
        InvalidArgument, TypeError: `check_participant_data` refuses it.
    """
    check_participant_data(data)
    if data:
        add(params, "participantData", data)
    if receipts:
        add(params, "receipts", "1")
