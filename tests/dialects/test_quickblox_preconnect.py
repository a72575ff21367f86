"""What qbcalls say to each other while it rings: other clients pass over it."""

from __future__ import annotations

import pytest

from qbcall.core.signals import Accept, EarlyOffer, Invite, Update
from qbcall.dialects.quickblox_preconnect import MAX_EARLY_ID
from qbcall.errors import Malformed
from tests.dialects.stanzas import CALL, HEAD, NUMERIC, SDP, B
from tests.dialects.transcripts import fields, over_the_wire


def test_reason_is_not_the_one_of_a_reconnection() -> None:
    """QuickBlox's SDK acts on `reconnect` only."""
    written = fields(NUMERIC.encode(B, HEAD, EarlyOffer(call=CALL, offer_id="o1", offer=SDP)))
    assert written["signalType"] == "update"
    assert written["reason"] == "preconnect"
    assert written["sessionDescription"] == {"offerId": "o1", "sdp": SDP.sdp, "type": "offer"}


@pytest.mark.parametrize("signal", [Invite(head=HEAD, offer=SDP), Accept(call=CALL, answer=SDP)])
def test_who_has_nothing_to_say_of_it_writes_nothing(signal: Invite | Accept) -> None:
    message = over_the_wire(NUMERIC.encode(B, HEAD, signal))
    assert "preconnect" not in fields(message)
    assert NUMERIC.decode(message) == signal


def test_id_that_is_too_long_is_refused() -> None:
    message = over_the_wire(NUMERIC.encode(B, HEAD, Accept(call=CALL, answer=SDP, early="x" * (MAX_EARLY_ID + 1))))
    with pytest.raises(Malformed, match="preconnect: 257 characters"):
        NUMERIC.decode(message)


def test_update_for_another_reason_is_one_of_the_application() -> None:
    message = NUMERIC.encode(B, HEAD, EarlyOffer(call=CALL, offer_id="o1", offer=SDP))
    for element in message.iter():
        if element.tag.endswith("reason"):
            element.text = "other"
    assert NUMERIC.decode(over_the_wire(message)) == Update(call=CALL, info={})
